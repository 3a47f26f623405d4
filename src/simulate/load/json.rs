//! Traces as JSON lines.

use std::io::BufRead;

use serde_json::{Map, Value};

use super::{
    columns::is_ledger,
    trace::{Gathers, Trace},
};
use crate::simulate::{LoadError, plain::plain};

pub(super) fn read(text: impl BufRead) -> Result<Trace, LoadError> {
    let mut gathers = Gathers::default();
    for (line, text) in (1..).zip(text.lines()) {
        take(&mut gathers, line, &text?)?;
    }
    Ok(gathers.done())
}

/// Takes in one line.
pub(in crate::simulate) fn take(
    gathers: &mut Gathers,
    line: u64,
    text: &str,
) -> Result<(), LoadError> {
    if text.trim().is_empty() {
        return Ok(());
    }
    let wrong = |reason: String| LoadError::Line {
        line,
        reason: plain(&reason),
    };
    let pairs: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| wrong(format!("is no JSON object: {error}")))?;
    let is_ledger = is_ledger(|name| pairs.contains_key(name));
    let pairs = pairs.into_iter().map(|(name, value)| match value {
        Value::Null => Ok((name, String::new())),
        Value::String(text) => Ok((name, text)),
        Value::Bool(_) | Value::Number(_) => Ok((name, value.to_string())),
        Value::Object(_) if name == "tags" => Ok((name, value.to_string())),
        Value::Array(_) | Value::Object(_) => {
            Err(wrong(format!("`{name}` is neither a text nor a number")))
        }
    });
    gathers.line(line, is_ledger, pairs.collect::<Result<Vec<_>, _>>()?)
}
