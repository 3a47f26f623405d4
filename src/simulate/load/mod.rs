//! Loads: the calls that are to come.

mod agents;
mod bounds;
mod columns;
mod csv;
mod draw;
mod json;
mod moment;
mod population;
mod rate;
mod trace;

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

pub use draw::Draw;
pub use population::{Group, Models, Population};
pub use rate::Rate;
pub(super) use {agents::Agent, trace::Trace};
#[cfg(feature = "sqlite")]
pub(super) use {json::take as take_json, trace::Gathers};

use super::LoadError;
use crate::tags::Tags;

/// The calls that are to come: a trace, or a [`Population`].
///
/// # Columns of a trace
/// | name | what |
/// |---|---|
/// | `at` | when the call came: seconds on any clock, or an RFC 3339 date; the same kind in all lines. The load begins with the first |
/// | `model` | the model that is asked for |
/// | `input_tokens` (`input`), `output_tokens` (`output`) | what it used |
/// | `latency` (`duration`), or `latency_ms` (`duration_ms`, `took_ms`) | how long the answer took: seconds or `1.5s`; milliseconds |
/// | `max_tokens` (optional) | the cap on output that it names; if it names none, what its model answers at most is reserved for it, in every API |
/// | `cache_read_tokens`, `cache_write_tokens` (optional) | the parts of the input that came from a cache and that were written to one: taken for kept the usual time, and as usual input in APIs that do not say them |
/// | `priority` (optional) | how urgent it is: a whole number |
/// | `max_wait` (optional) | how long it may wait: seconds or `30s` |
/// | `provider`, `api_key`, `agent`, `user`, `team`, `run` (optional) | its tags |
/// | any other | a tag of that name |
///
/// Without a `provider`, models that begin with `claude` are called in the API of `anthropic`, those that begin with
/// `gemini` in that of `gemini`, and all others in OpenAI's. What the ledger exports is a trace as it stands: its
/// columns `id`, `usage`, `cost_nanos`, `cost_dollars`, `reasoning_tokens` and `error_code` are
/// ignored, its `tags` are tags, and attempts whose `status` is `open` are skipped. Attempts without a model are left
/// out, and [counted](super::Report::left_out). An empty value counts as absent. Lines may be in any order. No span is
/// longer than 100 years, nor is a trace.
#[derive(Clone, Debug)]
pub struct Load(pub(super) Kind);

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Trace(Arc<Trace>),
    Population(Box<Population>),
}

/// One call that is to come.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ToCome {
    /// After the beginning.
    pub(super) at: Duration,
    pub(super) model: Arc<str>,
    pub(super) tags: Arc<Tags>,
    pub(super) size: Size,
    pub(super) priority: i32,
    pub(super) max_wait: Option<Duration>,
}

/// How large a call is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) input: u64,
    /// The part of it that comes from a cache.
    pub(super) cached: u64,
    /// The part of it that is written to one.
    pub(super) written: u64,
    pub(super) output: u64,
    pub(super) max_tokens: Option<u64>,
    pub(super) latency: Duration,
}

impl Load {
    /// A trace in a file whose ending says what it is: `.csv`, or `.jsonl`, `.ndjson` or `.json` for JSON lines.
    ///
    /// # Errors
    /// If the ending is another one; otherwise as [`from_csv`](Self::from_csv).
    pub fn from_trace(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let open = || File::open(path).map(BufReader::new);
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("csv") => Self::from_csv(open()?),
            Some("jsonl" | "ndjson" | "json") => Self::from_json_lines(open()?),
            _ => Err(LoadError::Ending),
        }
    }

    /// A trace as CSV (RFC 4180): a line of column names, then one call a line.
    ///
    /// # Errors
    /// The first invalid line, with its number.
    pub fn from_csv(text: impl Read) -> Result<Self, LoadError> {
        csv::read(text).and_then(Self::of)
    }

    /// A trace as JSON lines: one object for each call. Empty lines are skipped.
    ///
    /// # Errors
    /// The first invalid line, with its number.
    pub fn from_json_lines(text: impl BufRead) -> Result<Self, LoadError> {
        json::read(text).and_then(Self::of)
    }

    /// Made-up agents, from a file of YAML, JSON or TOML.
    ///
    /// # Errors
    /// As [`Population::from_path`].
    pub fn from_population(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        Population::from_path(path).map(Self::from)
    }

    pub(super) fn of(trace: Trace) -> Result<Self, LoadError> {
        match trace.calls.is_empty() {
            true => Err(LoadError::Empty),
            false => Ok(Load(Kind::Trace(Arc::new(trace)))),
        }
    }

    pub(super) fn start(&self) -> Option<SystemTime> {
        match &self.0 {
            Kind::Trace(trace) => trace.start,
            Kind::Population(population) => population.start,
        }
    }

    pub(super) fn left_out(&self) -> u64 {
        match &self.0 {
            Kind::Trace(trace) => trace.left_out,
            Kind::Population(_) => 0,
        }
    }

    pub(super) fn seed(&self) -> Option<u64> {
        match &self.0 {
            Kind::Trace(_) => None,
            Kind::Population(population) => Some(population.seed),
        }
    }
}

impl From<Population> for Load {
    fn from(population: Population) -> Self {
        Load(Kind::Population(Box::new(population)))
    }
}
