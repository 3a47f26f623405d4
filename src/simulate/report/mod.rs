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

/// What a [`Simulation`](super::Simulation) comes to.
///
/// It prints as tables for people, serialises for programs, and [draws](Self::svg) what happened over time. In JSON
/// durations are seconds, and money is dollars as text.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// How many calls came.
    pub calls: u64,
    /// How many of them were answered well.
    pub answered: u64,
    /// How many were refused by a layer of ours.
    pub refused: u64,
    /// How many had an error of the provider in the end.
    pub failed: u64,
    /// How many attempts left.
    pub attempts: u64,
    /// How many calls name no cap on their output: what the model answers at most is reserved for them.
    pub uncapped: u64,
    /// How many attempts of a ledger are not among the calls, because nobody knows their models.
    pub left_out: u64,
    /// From the beginning until the last call was over.
    #[serde(serialize_with = "seconds")]
    pub makespan: Duration,
    /// How long calls waited for room, over all attempts; also those that were refused in the end.
    pub waits: Waits,
    /// The input of all attempts.
    pub input_tokens: u64,
    /// The output of all attempts.
    pub output_tokens: u64,
    /// What all attempts cost, by the configuration's prices.
    pub cost: Money,
    /// How many attempts have no known price, and are not in that.
    pub unpriced: u64,
    /// The limits, budgets among them, in the order they were given; then what else calls waited for: slices of limits,
    /// and `cooldown`, which a provider has told.
    pub limits: Vec<LimitUse>,
    /// How budgets stand at the end, the hundred of which most is used.
    pub budgets: Vec<BudgetUse>,
    /// Refusals by kind.
    pub refusals: Vec<Refused>,
    /// Attempts that ended with an error of the provider, by the kind of error.
    pub errors: BTreeMap<String, u64>,
    /// By the values of each tag.
    pub by: Vec<TagUse>,
    /// What happened when.
    pub over_time: OverTime,
}

impl Report {
    /// As JSON, on several lines.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// A picture of waiting calls, and of the four limits that held calls the longest, over time.
    #[must_use]
    pub fn svg(&self) -> String {
        svg::draw(self)
    }

    /// The limit that held calls for the longest time in all; where none did, the fullest.
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
