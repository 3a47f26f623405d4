//! Tables: the first column to the left, figures to the right, free text last.

use std::fmt;

use crate::simulate::plain::plain;

/// A table, line by line.
#[derive(Debug)]
pub(super) struct Columns(Vec<Vec<String>>);

impl Columns {
    pub(super) fn titled<const N: usize>(titles: [&str; N]) -> Self {
        Columns(vec![titles.map(str::to_owned).into()])
    }

    pub(super) fn line<const N: usize>(&mut self, cells: [String; N]) {
        self.0.push(cells.map(|cell| plain(&cell)).into());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.len() < 2
    }
}

impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths = |place: usize| self.0.iter().map(move |line| line[place].chars().count());
        let count = self.0.first().map_or(0, Vec::len);
        let widths: Vec<usize> = (0..count).map(|n| lengths(n).max().unwrap_or(0)).collect();
        for line in &self.0 {
            let cells = line.iter().zip(&widths).enumerate();
            let cells = cells.map(|(place, (cell, width))| match place {
                0 => format!("{cell:width$}"),
                _ => format!("{cell:>width$}"),
            });
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}
