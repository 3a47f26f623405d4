//! How every budget stands.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use serde::{Serialize, Serializer, ser::Error as _};

use super::{MemoryStore, Store as _, entry::Entry};
use crate::{
    error::serialized::millis,
    limit::{Life, LimitKey, Limits, Period, Quantity, Tick, Window},
    money::Money,
    tags::Tag,
};

/// How one budget stands. A budget is a limit on cost; if it is split by tags, this is for one value.
///
/// ```
/// use tower_quota::{Limiter, Money, Tag, Tags, Usage, limit::{CalendarUnit, Limit, Limits}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let budget = Limit::cost(Money::from_dollars(10)).every_calendar(CalendarUnit::Day, "UTC").per(Tag::Agent);
/// let limiter = Limiter::new(Limits::new([budget])?);
/// let mut usage = Usage::default();
/// usage.cost = Some("2.50".parse()?);
/// limiter.record(&Tags::new().with(Tag::Agent, "scout"), usage).await?;
///
/// let json = serde_json::to_value(limiter.budgets().await?)?;
/// assert_eq!(json[0]["budget"], "cost $10.00/calendar day in UTC for agent=scout");
/// assert_eq!(json[0]["of"]["agent"][0], "scout");
/// assert_eq!(json[0]["settled"], "2.50");
/// assert!(json[0]["comes_back"]["at"].as_str().unwrap().ends_with("T00:00:00Z"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BudgetStanding {
    /// The budget in words, such as `cost $10.00/hour for agent=scout`.
    pub budget: String,
    /// Which calls it is for: those that have, for each of these tags, one of the values. An empty value stands for
    /// calls without the tag. `None` for values that have no count of their own. In JSON, an object.
    #[serde(serialize_with = "by_tag")]
    pub of: Option<Vec<(Tag, Vec<Arc<str>>)>>,
    /// How much may be spent.
    pub amount: Money,
    /// What is spent for good.
    pub settled: Money,
    /// What is held for calls that have not ended.
    pub reserved: Money,
    /// Whether the budget only watches.
    pub shadow: bool,
    /// Whether its circuit is open: it refuses calls until somebody [resets](crate::Limiter::reset) it.
    pub stopped: bool,
    /// When its money comes back.
    pub comes_back: ComesBack,
}

/// When the money of a budget comes back. In JSON: `{"at": "2026-11-26T00:00:00Z"}`, `{"after_ms": 3600000}` or
/// `"never"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ComesBack {
    /// All of it at this moment of the wall clock.
    At(#[serde(serialize_with = "moment")] SystemTime),
    /// Each part this long after it was spent.
    #[serde(rename = "after_ms")]
    After(#[serde(serialize_with = "millis")] Duration),
    /// Never.
    Never,
}

impl BudgetStanding {
    /// Returns what is neither spent nor held.
    #[must_use]
    pub fn left(&self) -> Money {
        self.amount - self.settled - self.reserved
    }
}

/// An object of tags.
pub(super) fn by_tag<V: Serialize, S: Serializer>(
    of: &Option<Vec<(Tag, V)>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match of {
        Some(of) => serializer.collect_map(of.iter().map(|one| (&one.0, &one.1))),
        None => serializer.serialize_none(),
    }
}

/// `2026-11-26T00:00:00Z`.
fn moment<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let at = Timestamp::try_from(*at).map_err(S::Error::custom)?;
    serializer.collect_str(&at)
}

impl MemoryStore {
    pub(super) fn budget_standings(&self) -> Vec<BudgetStanding> {
        let state = self.lock();
        self.clock.set_calendars();
        let (limits, now) = (state.limits.clone(), self.now());
        let limits = &limits;
        let mut met = vec![false; limits.rules().len()];
        let mut windows = Vec::new();
        for (number, entry) in state.counts.iter() {
            let level = &limits.levels()[number];
            for (place, window) in level.places.iter().zip(&entry.windows) {
                if is_budget(limits, *place) {
                    met[*place as usize] = true;
                    let key = key(*place, entry, entry.is_shared(&level.limit));
                    windows.push((*place, key, window.clone()));
                }
            }
        }
        // Words take longer than counts: nobody waits for them.
        drop(state);
        let standings = windows.iter();
        let mut standings: Vec<(u32, BudgetStanding)> = standings
            .map(|(place, key, window)| (*place, standing(limits, key, window, now)))
            .collect();
        // Nobody has come to these yet.
        for (place, rule) in limits.live() {
            if !met[place as usize] && is_budget(limits, place) && rule.limit.per.is_empty() {
                let (key, none) = (LimitKey::of_values(place, &[], false), Window::new(0));
                standings.push((place, standing(limits, &key, &none, now)));
            }
        }
        standings.sort_by(|(place, one), (other_place, other)| {
            (place, &one.budget).cmp(&(other_place, &other.budget))
        });
        standings
            .into_iter()
            .map(|(_, standing)| standing)
            .collect()
    }
}

/// Whether the limit at this place is a budget as it was given, no slice and no share of one.
pub(super) fn is_budget(limits: &Limits, place: u32) -> bool {
    let rule = &limits.rules()[place as usize];
    rule.limit.quantity == Quantity::Cost && rule.limit.whole.is_none() && !rule.is_share()
}

fn key(place: u32, entry: &Entry, shared: bool) -> LimitKey {
    LimitKey::of_values(place, &entry.values.shared(), shared)
}

fn standing(limits: &Limits, key: &LimitKey, window: &Window, now: Tick) -> BudgetStanding {
    let rule = &limits.rules()[key.limit()];
    let mut count = window.clone();
    count.expire(rule, now);
    let (in_use, reserved) = (count.in_use(), count.reserved());
    let per = rule.limit.per.iter().zip(key.values());
    let per = per.map(|(tag, value)| (tag.clone(), vec![value.clone()]));
    let when = rule.limit.when.iter();
    let when = when.map(|(tag, values)| (tag.clone(), values.to_vec()));
    // A tag that is in both is split to one value, which is of those.
    let when = when.filter(|(tag, _)| !rule.limit.per.contains(tag));
    BudgetStanding {
        budget: limits.describe(key),
        of: (!key.is_shared()).then(|| when.chain(per).collect()),
        amount: Money::from_nanos(limits.amount_of(key)),
        settled: Money::from_nanos(in_use.saturating_sub(reserved)),
        reserved: Money::from_nanos(reserved),
        shadow: rule.limit.shadow,
        stopped: count.is_tripped(),
        comes_back: match (&rule.life, rule.limit.period) {
            (Life::Calendar(calendar), _) => {
                let until = count.period_ends(calendar, now);
                ComesBack::At(SystemTime::UNIX_EPOCH + Duration::from_micros(until))
            }
            (_, Some(Period::Sliding(length))) => ComesBack::After(length),
            _ => ComesBack::Never,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;

    fn standing(comes_back: ComesBack) -> BudgetStanding {
        BudgetStanding {
            budget: "cost $10.00/hour for agent=scout".into(),
            of: Some(vec![(Tag::Agent, vec!["scout".into()])]),
            amount: Money::from_dollars(10),
            settled: Money::from_nanos(1_234_500_000),
            reserved: Money::ZERO,
            shadow: false,
            stopped: true,
            comes_back,
        }
    }

    #[test]
    fn a_standing_is_an_object_with_money_in_dollars() {
        let hour = Duration::from_secs(3_600);
        let expected = json!({
            "budget": "cost $10.00/hour for agent=scout", "of": {"agent": ["scout"]},
            "amount": "10.00", "settled": "1.2345", "reserved": "0.00",
            "shadow": false, "stopped": true, "comes_back": {"after_ms": 3_600_000},
        });
        assert_eq!(
            to_value(standing(ComesBack::After(hour))).unwrap(),
            expected
        );
        let of_others = BudgetStanding {
            of: None,
            ..standing(ComesBack::Never)
        };
        let of_others = to_value(of_others).unwrap();
        assert!(of_others["of"].is_null());
        assert_eq!(of_others["comes_back"], "never");
    }

    #[test]
    fn a_moment_is_one_of_the_calendar() {
        let day = Duration::from_secs(86_400);
        let back = ComesBack::At(SystemTime::UNIX_EPOCH + day);
        let expected = json!({"at": "1970-01-02T00:00:00Z"});
        assert_eq!(to_value(back).unwrap(), expected);
    }
}
