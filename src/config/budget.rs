//! A budget in full, for what the short names do not say.

use std::{collections::BTreeMap, fmt};

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use super::{
    OneOrMore, Span,
    limit::one_or_more,
    schema::{Share, TagNames, alias},
};
use crate::{
    limit::{CalendarUnit, Limit},
    money::Money,
    tags::Tag,
};

/// One entry of `budgets:`.
///
/// ```
/// use tower_quota::config::Config;
///
/// let config = Config::from_yaml(
///     "rate_limiting:
///        time_zone: Europe/Berlin
///        budgets:
///          - { amount: 200, every: month, per: [team], amounts: { search: 900 }, thresholds: [0.5, 0.8] }
///          - { amount: 5.00, every: 24h, when: { agent: [scout, crawler] }, mode: circuit }
///     ",
/// )?;
/// let limits = config.build()?.limiter.limits().clone();
/// let words: Vec<String> = limits.iter().map(ToString::to_string).collect();
/// assert_eq!(words, [
///     "cost $200.00/calendar month in Europe/Berlin per team (other amounts for 1)",
///     "cost $5.00/day for agent=crawler|scout (circuit)",
/// ]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = names)]
#[non_exhaustive]
pub struct BudgetConfig {
    /// How many dollars may be spent. You may also write `budget_limit`, but only here: elsewhere that name would not say
    /// over which time.
    #[serde(alias = "budget_limit")]
    pub amount: Money,
    /// The period: an `hour`, `day`, `week` or `month` of the calendar; each `run`; any interval of a length such as
    /// `24h` or `7d`; or `total`, for money that never comes back.
    pub every: BudgetPeriod,
    /// Only calls whose tags have these values count: one value for a tag, or a list of which any one will do.
    #[serde(default)]
    pub when: BTreeMap<String, OneOrMore>,
    /// The tags that the budget is split by, one or a list: it counts separately for each of their values.
    #[serde(default, deserialize_with = "one_or_more")]
    #[schemars(with = "TagNames")]
    pub per: Vec<String>,
    /// Other amounts for some values of the tag in `per`, of which there must be exactly one.
    #[serde(default)]
    pub amounts: BTreeMap<String, Money>,
    /// What happens to a call that does not fit: `hard` refuses it, `soft` lets it pass and counts it, `circuit` refuses it
    /// and, once half of the budget is spent, stops every call under it until somebody resets it; so it does when more than
    /// the amount is spent.
    #[serde(default)]
    pub mode: BudgetMode,
    /// The shares of the budget at which it warns. The default is `alert_threshold`.
    #[serde(default)]
    #[schemars(with = "Option<Vec<Share>>")]
    pub thresholds: Option<Vec<f64>>,
    /// The time zone of a calendar period, if it differs from `rate_limiting.time_zone`.
    #[serde(default)]
    pub time_zone: Option<String>,
}

/// Its other names.
fn names(schema: &mut Schema) {
    alias(schema, "amount", "budget_limit");
}

/// What happens to calls that do not fit a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BudgetMode {
    /// They are refused.
    #[default]
    Hard,
    /// They pass, and they count.
    Soft,
    /// They are refused. If at least half of the budget is spent by then, every later call under it is refused too, until
    /// the budget is reset by hand.
    Circuit,
}

/// The period that a budget counts over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BudgetPeriod {
    /// A period of the calendar.
    Calendar(CalendarUnit),
    /// One run.
    Run,
    /// All time.
    Total,
    /// Any interval of this length.
    Rolling(Span),
}

impl std::str::FromStr for BudgetPeriod {
    type Err = BadPeriod;

    fn from_str(text: &str) -> Result<Self, BadPeriod> {
        Ok(match text {
            "hour" => BudgetPeriod::Calendar(CalendarUnit::Hour),
            "day" => BudgetPeriod::Calendar(CalendarUnit::Day),
            "week" => BudgetPeriod::Calendar(CalendarUnit::Week),
            "month" => BudgetPeriod::Calendar(CalendarUnit::Month),
            "run" => BudgetPeriod::Run,
            "total" => BudgetPeriod::Total,
            span => {
                let span = span.parse().map_err(|_| BadPeriod(text.to_owned()))?;
                BudgetPeriod::Rolling(span)
            }
        })
    }
}

/// A period of a budget that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no period of a budget; write hour, day, week, month, run, total, or a length: 24h, 7d"
)]
pub struct BadPeriod(String);

impl<'de> Deserialize<'de> for BudgetPeriod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = BudgetPeriod;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("hour, day, week, month, run, total, or a length: 24h, 7d")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<BudgetPeriod, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl BudgetConfig {
    pub(super) fn limit(&self, time_zone: &str, alert: Option<f64>) -> Limit {
        let limit = Limit::cost(self.amount);
        let mut limit = match self.every {
            BudgetPeriod::Calendar(unit) => {
                let zone = self.time_zone.as_deref().unwrap_or(time_zone);
                limit.every_calendar(unit, zone)
            }
            BudgetPeriod::Run => limit.every_run(),
            BudgetPeriod::Total => limit.in_total(),
            BudgetPeriod::Rolling(span) => limit.every(span.into()),
        };
        for (tag, values) in &self.when {
            let values = values.0.iter().map(String::as_str);
            limit = limit.when_any(Tag::from(tag.as_str()), values);
        }
        for tag in &self.per {
            limit = limit.per(Tag::from(tag.as_str()));
        }
        for (value, amount) in &self.amounts {
            limit = limit.amount_for(value.as_str(), amount.as_nanos());
        }
        limit = match &self.thresholds {
            Some(thresholds) => limit.thresholds(thresholds.iter().copied()),
            None => limit.thresholds(alert),
        };
        match self.mode {
            BudgetMode::Hard => limit,
            BudgetMode::Soft => limit.shadow(),
            BudgetMode::Circuit => limit.circuit(),
        }
    }
}
