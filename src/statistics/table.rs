//! The figures of one time, by the values of some tags.

use std::{sync::Arc, time::SystemTime};

use hashbrown::{Equivalent, HashMap};
use smallvec::SmallVec;

use super::Figures;
use crate::tags::{Tag, Tags};

/// The values of the tags of a view; empty where a call has none.
pub(super) type Values = SmallVec<[Arc<str>; 2]>;

/// The same, of a call that has them.
#[derive(Hash)]
struct Sought<'t>(SmallVec<[&'t str; 2]>);

// Texts hash alike, whoever has them.
impl Equivalent<Values> for Sought<'_> {
    fn equivalent(&self, values: &Values) -> bool {
        self.0
            .iter()
            .copied()
            .eq(values.iter().map(|value| &**value))
    }
}

pub(super) fn values(by: &[Tag], tags: &Tags) -> Values {
    let value = |tag| tags.shared(tag).cloned().unwrap_or_default();
    by.iter().map(value).collect()
}

/// Figures by tag values, of so many at most; the others together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) rows: HashMap<Values, Figures>,
    pub(super) others: Figures,
}

/// One time, and a table for each view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: SystemTime,
    pub(super) end: SystemTime,
    pub(super) tables: Vec<Table>,
}

impl Table {
    /// Adds to the row of these values, which is made while there are fewer than `most`.
    pub(super) fn add(&mut self, values: &[Arc<str>], figures: &Figures, most: usize) {
        if let Some(row) = self.rows.get_mut(values) {
            *row += figures;
        } else if self.rows.len() < most {
            self.rows.insert(values.into(), figures.clone());
        } else {
            self.others += figures;
        }
    }

    /// The same of a call with these tags.
    pub(super) fn add_of(&mut self, by: &[Tag], tags: &Tags, figures: &Figures, most: usize) {
        let sought = by.iter().map(|tag| tags.get(tag).unwrap_or_default());
        match self.rows.get_mut(&Sought(sought.collect())) {
            Some(row) => *row += figures,
            None => self.add(&values(by, tags), figures, most),
        }
    }

    pub(super) fn merge(&mut self, later: &Table, most: usize) {
        for (values, figures) in &later.rows {
            self.add(values, figures, most);
        }
        self.others += &later.others;
    }
}

impl Span {
    pub(super) fn new((start, end): (SystemTime, SystemTime), views: usize) -> Self {
        Span {
            start,
            end,
            tables: vec![Table::default(); views],
        }
    }

    pub(super) fn merge(&mut self, later: &Span, most: usize) {
        for (mine, later) in self.tables.iter_mut().zip(&later.tables) {
            mine.merge(later, most);
        }
    }
}
