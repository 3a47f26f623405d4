//! A block of limits on one thing, by the names that everybody uses.

use std::time::Duration;

use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use super::schema::alias;
use crate::{
    limit::{CalendarUnit, Limit, Quantity},
    money::Money,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// A block of limits on one thing: all calls, a model or an agent.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = names)]
#[non_exhaustive]
pub struct Quota {
    /// Requests in any second.
    #[serde(alias = "rps")]
    #[schemars(range(min = 1))]
    pub requests_per_second: Option<u64>,
    /// Requests in any minute.
    #[serde(alias = "rpm")]
    #[schemars(range(min = 1))]
    pub requests_per_minute: Option<u64>,
    /// Requests in any hour.
    #[schemars(range(min = 1))]
    pub requests_per_hour: Option<u64>,
    /// Requests in any 24 hours; for a provider with a preset that counts by days of a calendar, as Gemini's do, in such a
    /// day.
    #[serde(alias = "rpd")]
    #[schemars(range(min = 1))]
    pub requests_per_day: Option<u64>,
    /// Tokens, input and output together, in any minute.
    #[serde(alias = "tpm")]
    #[schemars(range(min = 1))]
    pub tokens_per_minute: Option<u64>,
    /// Tokens, input and output together, in any 24 hours.
    #[serde(alias = "tpd")]
    #[schemars(range(min = 1))]
    pub tokens_per_day: Option<u64>,
    /// Input tokens in any minute.
    #[serde(alias = "itpm")]
    #[schemars(range(min = 1))]
    pub input_tokens_per_minute: Option<u64>,
    /// Output tokens in any minute.
    #[serde(alias = "otpm")]
    #[schemars(range(min = 1))]
    pub output_tokens_per_minute: Option<u64>,
    /// Calls in flight at the same time.
    #[serde(alias = "max_parallel_requests")]
    #[schemars(range(min = 1))]
    pub concurrent_requests: Option<u64>,
    /// Requests in one run.
    #[schemars(range(min = 1))]
    pub max_requests_per_run: Option<u64>,
    /// The share of each of these limits that may be used: `0.9`. Not of those in dollars.
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    pub headroom: Option<f64>,
    /// Lets each of these limits learn from 429s how much is really allowed, down to this share: `0.25`. Not those of runs,
    /// nor those in dollars; limits of agents learn nothing, and it is refused there.
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    pub adaptive: Option<f64>,
    /// Dollars in one run.
    pub max_cost_per_run: Option<Money>,
    /// Dollars in any hour.
    pub max_cost_per_hour: Option<Money>,
    /// Dollars in any 24 hours.
    pub max_cost_per_day: Option<Money>,
}

/// Its other names.
fn names(schema: &mut Schema) {
    for (name, other) in [
        ("requests_per_second", "rps"),
        ("requests_per_minute", "rpm"),
        ("requests_per_day", "rpd"),
        ("tokens_per_minute", "tpm"),
        ("tokens_per_day", "tpd"),
        ("input_tokens_per_minute", "itpm"),
        ("output_tokens_per_minute", "otpm"),
        ("concurrent_requests", "max_parallel_requests"),
    ] {
        alias(schema, name, other);
    }
}

impl Quota {
    /// The limits in this block, each with the key it stands under.
    pub(super) fn limits(&self) -> impl Iterator<Item = (&'static str, Limit)> {
        use Quantity::{InputTokens, OutputTokens, Requests, Tokens};
        let windows = [
            (
                "requests_per_second",
                Requests,
                self.requests_per_second,
                SECOND,
            ),
            (
                "requests_per_minute",
                Requests,
                self.requests_per_minute,
                MINUTE,
            ),
            ("requests_per_hour", Requests, self.requests_per_hour, HOUR),
            ("requests_per_day", Requests, self.requests_per_day, DAY),
            ("tokens_per_minute", Tokens, self.tokens_per_minute, MINUTE),
            ("tokens_per_day", Tokens, self.tokens_per_day, DAY),
            (
                "input_tokens_per_minute",
                InputTokens,
                self.input_tokens_per_minute,
                MINUTE,
            ),
            (
                "output_tokens_per_minute",
                OutputTokens,
                self.output_tokens_per_minute,
                MINUTE,
            ),
        ];
        let sliding = windows
            .into_iter()
            .filter_map(|(key, quantity, amount, period)| {
                Some((key, Limit::new(quantity, amount?).every(period)))
            });
        let flight = self
            .concurrent_requests
            .map(|n| ("concurrent_requests", Limit::concurrency(n)));
        let run = self
            .max_requests_per_run
            .map(|n| ("max_requests_per_run", Limit::requests(n).every_run()));
        let learns = sliding
            .chain(flight)
            .map(|(key, limit)| match self.adaptive {
                Some(floor) => (key, limit.adaptive(floor)),
                None => (key, limit),
            });
        let counted = learns.chain(run).map(|(key, limit)| match self.headroom {
            Some(share) => (key, limit.headroom(share)),
            None => (key, limit),
        });
        counted.chain(self.budgets())
    }

    /// Whether there is no limit that its headroom is of.
    pub(super) fn has_idle_headroom(&self) -> bool {
        self.headroom.is_some() && !self.limits().any(|(_, limit)| limit.headroom.is_some())
    }

    /// Whether there is no limit that might learn.
    pub(super) fn has_idle_adaptive(&self) -> bool {
        self.adaptive.is_some() && !self.limits().any(|(_, limit)| limit.adaptive.is_some())
    }

    /// The same, beside a preset of a provider whose days end in this zone.
    pub(super) fn limits_by(
        &self,
        zone: Option<&'static str>,
    ) -> impl Iterator<Item = (&'static str, Limit)> {
        self.limits().map(move |(key, limit)| match (key, zone) {
            ("requests_per_day", Some(zone)) => {
                (key, limit.every_calendar(CalendarUnit::Day, zone))
            }
            _ => (key, limit),
        })
    }

    /// The budgets in this block, each with the key it stands under. No part of them is kept free: it is not the
    /// provider who enforces them.
    fn budgets(&self) -> impl Iterator<Item = (&'static str, Limit)> {
        let over = |period| move |amount| Limit::cost(amount).every(period);
        let run = |amount| Limit::cost(amount).every_run();
        [
            ("max_cost_per_run", self.max_cost_per_run.map(run)),
            ("max_cost_per_hour", self.max_cost_per_hour.map(over(HOUR))),
            ("max_cost_per_day", self.max_cost_per_day.map(over(DAY))),
        ]
        .into_iter()
        .filter_map(|(key, limit)| Some((key, limit?)))
    }
}
