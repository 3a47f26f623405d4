//! What a simulation comes to.

mod columns;
mod figures;
mod svg;
mod table;
mod text;

use std::{collections::BTreeMap, time::Duration};

use serde::{Serialize, Serializer};

pub use figures::{BudgetUse, LevelUse, LimitUse, Moment, OverTime, Refused, TagUse, Waits};
pub(super) use text::span as span_text;

use crate::money::Money;

/// The result of a [`Simulation`](super::Simulation).
///
/// It prints as tables for people, serialises for programs, and [draws](Self::svg) what happened over time. In JSON,
/// durations are in seconds, and money is in dollars, as text.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// How many calls came in.
    pub calls: u64,
    /// How many of them were answered successfully.
    pub answered: u64,
    /// How many were refused by one of our layers.
    pub refused: u64,
    /// How many ended with an error of the provider.
    pub failed: u64,
    /// How many attempts left.
    pub attempts: u64,
    /// How many calls name no output cap, so that what the model answers at most is reserved for them.
    pub uncapped: u64,
    /// How many attempts of a ledger are not among the calls, because their models are not known.
    pub left_out: u64,
    /// The time from the beginning until the last call had ended.
    #[serde(serialize_with = "seconds")]
    pub makespan: Duration,
    /// How long calls waited for room, over all their attempts, including calls that were refused in the end.
    pub waits: Waits,
    /// The input tokens of all attempts.
    pub input_tokens: u64,
    /// The output tokens of all attempts.
    pub output_tokens: u64,
    /// What all attempts cost, at the configuration's prices.
    pub cost: Money,
    /// How many attempts have no known price and are not included in `cost`.
    pub unpriced: u64,
    /// The limits, including budgets, in the order in which they were given; then whatever else calls waited for:
    /// slices of limits, and `cooldown` for waits that a provider asked for.
    pub limits: Vec<LimitUse>,
    /// The state of budgets at the end: the hundred of which the largest share is spent.
    pub budgets: Vec<BudgetUse>,
    /// The refusals, by kind.
    pub refusals: Vec<Refused>,
    /// Attempts that ended with an error of the provider, by the kind of error.
    pub errors: BTreeMap<String, u64>,
    /// What became of calls, by the values of each tag.
    pub by: Vec<TagUse>,
    /// What happened over time.
    pub over_time: OverTime,
}

impl Report {
    /// The report as JSON, on several lines.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// A picture, over time, of the waiting calls and of how full the four limits were that held calls the longest.
    #[must_use]
    pub fn svg(&self) -> String {
        svg::draw(self)
    }

    /// The limit that held calls for the longest time in total; if none did, the fullest one.
    #[must_use]
    pub fn tightest(&self) -> Option<&LimitUse> {
        self.tightest_first().into_iter().next()
    }

    fn tightest_first(&self) -> Vec<&LimitUse> {
        let mut limits: Vec<&LimitUse> = self.limits.iter().collect();
        limits.sort_by(|one, other| {
            let held = other.held_for.cmp(&one.held_for);
            held.then(other.fullest.total_cmp(&one.fullest))
        });
        limits
    }
}

fn seconds<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(span.as_secs_f64())
}
