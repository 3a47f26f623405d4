//! What a line of a trace says, name by name.

use std::{collections::BTreeMap, str::FromStr, sync::Arc, time::Duration};

use super::{Size, bounds::bounded, moment::Moment};
use crate::{config::Span, tags::Tag};

/// What the ledger exports, and no call needs.
const NOT_LOOKED_AT: [&str; 6] = [
    "id",
    "usage",
    "cost_nanos",
    "cost_dollars",
    "reasoning_tokens",
    "error_code",
];

/// Together they are in what the ledger exports, and in nothing else.
const OF_LEDGERS: [&str; 4] = ["id", "took_ms", "usage", "cost_nanos"];

/// Whether lines that have such names are attempts of a ledger.
pub(super) fn is_ledger(has: impl Fn(&str) -> bool) -> bool {
    OF_LEDGERS.iter().all(|name| has(name))
}

/// What a value of a ledger's CSV was: it has a `'` before what a spreadsheet would compute.
pub(super) fn as_it_was(value: &str) -> &str {
    match value.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) => rest,
        _ => value,
    }
}

/// One line, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) at: Option<Moment>,
    pub(super) model: Option<String>,
    pub(super) tags: BTreeMap<Tag, String>,
    pub(super) priority: i32,
    pub(super) max_wait: Option<Duration>,
    /// Whether it is an attempt of a ledger that had not ended.
    pub(super) is_open: bool,
    input: Option<u64>,
    cached: Option<u64>,
    written: Option<u64>,
    output: Option<u64>,
    max_tokens: Option<u64>,
    latency: Option<Duration>,
}

impl Row {
    /// Takes in one value; an empty one says nothing.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        if value.is_empty() || NOT_LOOKED_AT.contains(&name) {
            return Ok(());
        }
        match name {
            "at" => once(&mut self.at, name, read(name, value)?),
            "model" => once(&mut self.model, name, value.to_owned()),
            "input_tokens" | "input" => once(&mut self.input, name, read(name, value)?),
            "output_tokens" | "output" => once(&mut self.output, name, read(name, value)?),
            "cache_read_tokens" => once(&mut self.cached, name, read(name, value)?),
            "cache_write_tokens" => once(&mut self.written, name, read(name, value)?),
            "max_tokens" => once(&mut self.max_tokens, name, read(name, value)?),
            "latency" | "duration" => once(&mut self.latency, name, span(name, value)?),
            "latency_ms" | "duration_ms" | "took_ms" => {
                let millis = read::<f64>(name, value)?;
                let span = Duration::try_from_secs_f64(millis / 1_000.0);
                let span = span.map_err(|error| wrong(name, value, &error))?;
                let span = bounded(span).map_err(|reason| wrong(name, value, &reason))?;
                once(&mut self.latency, name, span)
            }
            "max_wait" => once(&mut self.max_wait, name, span(name, value)?),
            "priority" => {
                self.priority = read(name, value)?;
                Ok(())
            }
            "status" => {
                self.is_open = value == "open";
                Ok(())
            }
            "tags" => self.tags_of(value),
            tag => {
                self.tags.insert(Tag::from(tag), value.to_owned());
                Ok(())
            }
        }
    }

    /// All tags of an attempt in a ledger; some of them have a column of their own.
    fn tags_of(&mut self, value: &str) -> Result<(), String> {
        let all: BTreeMap<Tag, Arc<str>> =
            serde_json::from_str(value).map_err(|error| wrong("tags", value, &error))?;
        for (tag, value) in all {
            match tag {
                Tag::Model => drop(self.model.get_or_insert_with(|| value.to_string())),
                tag => drop(self.tags.entry(tag).or_insert_with(|| value.to_string())),
            }
        }
        Ok(())
    }

    /// It was taken down as it was told: what came from a cache and went to one may be said to be more than the input.
    pub(super) fn cap_cached(&mut self) {
        let mut left = self.input.unwrap_or(u64::MAX);
        for part in [&mut self.cached, &mut self.written].into_iter().flatten() {
            *part = left.min(*part);
            left -= *part;
        }
    }

    pub(super) fn size(&self) -> Result<Size, String> {
        let input = self.input.ok_or_else(|| Self::missing("input_tokens"))?;
        let (cached, written) = (self.cached.unwrap_or(0), self.written.unwrap_or(0));
        let both = cached.saturating_add(written);
        if both > input {
            return Err(format!(
                "`cache_read_tokens` and `cache_write_tokens` are parts of the input, and {both} is more than {input}"
            ));
        }
        Ok(Size {
            input,
            cached,
            written,
            output: self.output.ok_or_else(|| Self::missing("output_tokens"))?,
            max_tokens: self.max_tokens,
            latency: self.latency.ok_or_else(|| Self::missing("latency"))?,
        })
    }

    pub(super) fn missing(name: &str) -> String {
        format!("`{name}` is missing")
    }
}

fn once<T>(place: &mut Option<T>, name: &str, value: T) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("`{name}` is said twice, perhaps by another name")),
    }
}

fn read<T: FromStr>(name: &str, value: &str) -> Result<T, String>
where
    T::Err: std::fmt::Display,
{
    value.parse().map_err(|error| wrong(name, value, &error))
}

fn span(name: &str, value: &str) -> Result<Duration, String> {
    let span = read::<Span>(name, value)?;
    bounded(span.into()).map_err(|reason| wrong(name, value, &reason))
}

fn wrong(name: &str, value: &str, why: &dyn std::fmt::Display) -> String {
    format!("`{name}` is `{value}`: {why}")
}
