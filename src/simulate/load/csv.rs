//! Traces as CSV.

use std::io::{self, Read};

use csv::{ErrorKind, ReaderBuilder, StringRecord, Trim};

use super::{
    columns::{as_it_was, is_ledger},
    trace::{Gathers, Trace},
};
use crate::simulate::LoadError;

pub(super) fn read(text: impl Read) -> Result<Trace, LoadError> {
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(text);
    let names = reader.headers().map_err(wrong)?.clone();
    let is_ledger = is_ledger(|name| names.iter().any(|one| one == name));
    let (mut gathers, mut record) = (Gathers::default(), StringRecord::new());
    while reader.read_record(&mut record).map_err(wrong)? {
        let line = record.position().map_or(0, csv::Position::line);
        let values = record.iter().map(|value| match is_ledger {
            true => as_it_was(value),
            false => value,
        });
        gathers.line(line, is_ledger, names.iter().zip(values))?;
    }
    Ok(gathers.done())
}

fn wrong(error: csv::Error) -> LoadError {
    let line = error.position().map_or(1, csv::Position::line);
    match error.into_kind() {
        ErrorKind::Io(error) => LoadError::Input(error),
        ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => LoadError::Line {
            line,
            reason: format!("has {len} values, and there are {expected_len} names"),
        },
        ErrorKind::Utf8 { err, .. } => LoadError::Line {
            line,
            reason: err.to_string(),
        },
        other => LoadError::Input(io::Error::other(format!("{other:?}"))),
    }
}
