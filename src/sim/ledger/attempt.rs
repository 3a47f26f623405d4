//! One line of the ledger.

use std::sync::Arc;
use std::time::Duration;

use crate::sim::dialect::Dialect;
use crate::sim::limit::SimLimit;

/// One exchange with the simulator. All instants are since the start of its clock.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The place in the order of arrival, from 0.
    pub seq: u64,
    /// When its request had been read, which is when it was held against the limits.
    pub arrival: Duration,
    /// The language it spoke.
    pub dialect: Dialect,
    /// The model it asked for; empty if its request was malformed.
    pub model: Arc<str>,
    /// The API key it came with, as sent; empty if none.
    pub key: Arc<str>,
    /// Whether it asked for a stream.
    pub stream: bool,
    /// Its estimated input tokens.
    pub prompt: u64,
    /// Its output cap, if it named one.
    pub max_tokens: Option<u64>,
    /// The tokens it was charged on arrival: the most over the limits on tokens that it touched.
    pub charged: u64,
    /// The status it was answered; `None` while it is open without an answer, and for ever if it
    /// was dropped or given up before one.
    pub status: Option<u16>,
    /// The limit that refused it, by its place in the configuration.
    pub refused_by: Option<usize>,
    /// What it is billed; of a stream that was cut, the output that had been sent.
    pub billed: Billed,
    /// How it ended.
    pub outcome: Outcome,
    /// When its last byte was handed out, or it was given up; `None` while it is open.
    pub finish: Option<Duration>,
    /// Whether it was admitted, and so charged.
    pub(crate) admitted: bool,
    /// Its places in the order of all arrivals and ends, which tell apart those of one instant.
    pub(crate) arrived: u64,
    pub(crate) ended: Option<u64>,
}

/// Tokens that are paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Billed {
    /// Input tokens.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It has not.
    Open,
    /// The whole answer was handed out, an error answer too.
    Completed,
    /// The client gave it up.
    Aborted,
    /// A fault spoilt it: no answer, a broken one or one that cannot be read.
    Spoilt,
}

impl Attempt {
    /// An attempt that has just arrived and of whose request nothing is known yet.
    pub(crate) fn new(dialect: Dialect, key: Arc<str>, model: Arc<str>) -> Self {
        Self {
            seq: 0,
            arrival: Duration::ZERO,
            dialect,
            model,
            key,
            stream: false,
            prompt: 0,
            max_tokens: None,
            charged: 0,
            status: None,
            refused_by: None,
            billed: Billed::default(),
            outcome: Outcome::Open,
            finish: None,
            admitted: false,
            arrived: 0,
            ended: None,
        }
    }

    /// Whether it was answered 200, whole and unbroken.
    pub(crate) fn ok(&self) -> bool {
        self.status == Some(200) && self.outcome == Outcome::Completed
    }

    /// Whether it was held against the limits.
    pub(crate) fn heard(&self) -> bool {
        self.admitted || self.refused_by.is_some()
    }

    /// The group of a limit that it belongs to, or `None` if the limit does not touch it.
    pub(super) fn group<'a>(&'a self, limit: &SimLimit) -> Option<Group<'a>> {
        limit.touches(&self.model).then(|| {
            let key = limit.per_key.then_some(&*self.key);
            (key, limit.per_model.then_some(&*self.model))
        })
    }

    /// Its charge on a limit when it arrived.
    pub(super) fn on_arrival(&self, limit: &SimLimit) -> u64 {
        limit.on_arrival(self.prompt, self.max_tokens)
    }
}

/// The key and the model of a group, where the limit tells them apart.
pub(super) type Group<'a> = (Option<&'a str>, Option<&'a str>);
