//! The parts of a report.

use std::time::Duration;

use serde::Serialize;

use super::seconds;
use crate::{error::Rejection, money::Money, tags::Tag};

/// How long calls waited for room. The mean and the percentiles are over all calls, including those that did not wait;
/// percentiles are by nearest rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Waits {
    /// How many calls waited at all.
    pub calls: u64,
    /// The mean wait.
    #[serde(serialize_with = "seconds")]
    pub mean: Duration,
    /// Half of the calls waited no longer.
    #[serde(serialize_with = "seconds")]
    pub p50: Duration,
    /// 90 of 100 waited no longer.
    #[serde(serialize_with = "seconds")]
    pub p90: Duration,
    /// 95 of 100 waited no longer.
    #[serde(serialize_with = "seconds")]
    pub p95: Duration,
    /// 99 of 100 waited no longer.
    #[serde(serialize_with = "seconds")]
    pub p99: Duration,
    /// The longest wait.
    #[serde(serialize_with = "seconds")]
    pub longest: Duration,
}

/// What a limit did.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LimitUse {
    /// The limit in words, as it was given: `tokens 90000/min per agent`.
    pub limit: String,
    /// How full it was at its fullest, where 1 means that no more might be used; if it has several counts, that of the
    /// fullest. This is as seen when it was looked at: at each call that leaves while there are few, and at each step
    /// of time.
    pub fullest: f64,
    /// Whose count that was, if it has several.
    pub fullest_of: Option<String>,
    /// How many times calls waited for it.
    pub held: u64,
    /// How long these waits were in total.
    #[serde(serialize_with = "seconds")]
    pub held_for: Duration,
    /// The longest of them.
    #[serde(serialize_with = "seconds")]
    pub longest: Duration,
    /// How many attempts it refused.
    pub refused: u64,
    /// How many claims it would have refused, if it only watches.
    pub would_have_refused: Option<u64>,
}

impl LimitUse {
    pub(in crate::simulate) fn new(words: &str) -> Self {
        LimitUse {
            limit: words.to_owned(),
            fullest: 0.0,
            fullest_of: None,
            held: 0,
            held_for: Duration::ZERO,
            longest: Duration::ZERO,
            refused: 0,
            would_have_refused: None,
        }
    }
}

/// The state of a budget at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BudgetUse {
    /// The budget in words: `cost $10.00/hour for agent=scout`.
    pub budget: String,
    /// How much may be spent.
    pub amount: Money,
    /// What is spent of it in the current period.
    pub spent: Money,
    /// What is left of it.
    pub left: Money,
}

/// The refusals of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Refused {
    /// The kind, as [`Rejection::kind`] names it.
    pub kind: &'static str,
    /// How many calls were refused in this way in the end.
    pub calls: u64,
    /// How many attempts were; a call may have gone on to another target afterwards.
    pub attempts: u64,
    /// The message of the first of them.
    pub message: String,
}

impl Refused {
    pub(in crate::simulate) fn of(kind: &'static str) -> Self {
        Refused {
            kind,
            calls: 0,
            attempts: 0,
            message: String::new(),
        }
    }

    pub(in crate::simulate) fn new(rejection: &Rejection) -> Self {
        Refused {
            message: rejection.to_string(),
            ..Self::of(rejection.kind())
        }
    }
}

/// What became of calls, by the values of a tag.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TagUse {
    /// The tag.
    pub tag: Tag,
    /// Its values, the ones with the most calls first; at most a hundred.
    pub values: Vec<LevelUse>,
    /// All other values together.
    pub others: Option<LevelUse>,
}

/// What became of the calls with one value of a tag. Calls, refusals and waits are those of the calls that came in with
/// it; attempts, tokens and cost are those of the attempts that left with it. On a route these differ in model and
/// provider.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LevelUse {
    /// The value.
    pub value: String,
    /// How many calls came in.
    pub calls: u64,
    /// How many were refused.
    pub refused: u64,
    /// How many ended with an error of the provider.
    pub failed: u64,
    /// How many attempts left.
    pub attempts: u64,
    /// The input tokens of these attempts.
    pub input_tokens: u64,
    /// The output tokens of these attempts.
    pub output_tokens: u64,
    /// What these attempts cost.
    pub cost: Money,
    /// How long the calls waited.
    pub waits: Waits,
}

/// What happened over time, in at most 240 steps.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OverTime {
    /// How long a step is.
    #[serde(serialize_with = "seconds")]
    pub step: Duration,
    /// The limits that [`Moment::full`] is about, in words.
    pub limits: Vec<String>,
    /// The steps.
    pub moments: Vec<Moment>,
}

/// One step of time.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Moment {
    /// When it begins.
    #[serde(serialize_with = "seconds")]
    pub at: Duration,
    /// How many calls came in during it.
    pub came: u64,
    /// How many calls ended in it.
    pub ended: u64,
    /// How many of these were refused.
    pub refused: u64,
    /// The largest number of calls that waited at one time.
    pub waiting: u64,
    /// How long the calls that ended in it had waited: the mean.
    #[serde(serialize_with = "seconds")]
    pub mean_wait: Duration,
    /// The longest of these waits.
    #[serde(serialize_with = "seconds")]
    pub longest_wait: Duration,
    /// What the attempts that ended in it cost.
    pub spent: Money,
    /// How full each limit was at its fullest, as in [`LimitUse::fullest`].
    pub full: Vec<f64>,
}
