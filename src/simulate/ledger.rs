//! The ledger of a store in a file as a load.

use std::{
    io::{self, Write},
    path::Path,
    time::SystemTime,
};

use serde_json::Value;

use super::{
    Load, LoadError,
    load::{Gathers, take_json},
};
use crate::store::sqlite::Ledger;

impl Load {
    /// The attempts of a ledger that were claimed between two instants and have ended. Those without a model are left
    /// out, and [counted](super::Report::left_out).
    ///
    /// # Errors
    /// If there is no ledger or it cannot be read; else the first attempt that is invalid.
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

/// The same error with its attempt in place of a line: nobody sees the lines.
fn named(error: LoadError, text: &str) -> LoadError {
    let LoadError::Line { reason, .. } = error else {
        return error;
    };
    let attempt: Value = serde_json::from_str(text).unwrap_or_default();
    LoadError::Attempt {
        id: attempt["id"].as_i64().unwrap_or_default(),
        at: attempt["at"].as_str().unwrap_or_default().to_owned(),
        reason,
    }
}

/// Takes in what the ledger writes, line by line, so that nothing of it is kept.
#[derive(Debug, Default)]
struct Lines {
    gathers: Gathers,
    rest: Vec<u8>,
    wrong: Option<LoadError>,
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let text = String::from_utf8_lossy(&self.rest);
                if let Err(error) = take_json(&mut self.gathers, 0, &text) {
                    self.wrong = Some(named(error, &text));
                    return Err(io::Error::other("an attempt makes no sense"));
                }
                self.rest.clear();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
