//! The ledger of a store in a file as a load.

use std::{
    io::{self, Write},
    path::Path,
    time::SystemTime,
};

use super::{
    Load, LoadError,
    load::{Gathers, take_json},
};
use crate::store::sqlite::Ledger;

impl Load {
    /// The attempts of a ledger that were claimed between two instants, and have ended.
    ///
    /// # Errors
    /// Where it cannot be read, or there is none.
    pub fn from_ledger(
        path: impl AsRef<Path>,
        from: SystemTime,
        until: SystemTime,
    ) -> Result<Self, LoadError> {
        let mut lines = Lines::default();
        let read = Ledger::open(path)?.attempts_to_json(from, until, &mut lines);
        match (read, lines.wrong) {
            (_, Some(error)) => Err(error),
            (Err(error), None) => Err(error.into()),
            (Ok(()), None) => Load::of(lines.gathers.done()),
        }
    }
}

/// Takes in what the ledger writes, line by line, so that nothing of it is kept.
#[derive(Debug, Default)]
struct Lines {
    gathers: Gathers,
    rest: Vec<u8>,
    line: u64,
    wrong: Option<LoadError>,
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.line += 1;
                let text = String::from_utf8_lossy(&self.rest);
                let taken = take_json(&mut self.gathers, self.line, &text);
                self.rest.clear();
                taken.map_err(|error| {
                    self.wrong = Some(error);
                    io::Error::other("an attempt makes no sense")
                })?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
