//! When budgets end, should things go on as they do.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use super::{Statistics, instant};
use crate::{
    money::Money,
    store::{BudgetStanding, ComesBack},
    tags::Tag,
};

/// What was spent less than this long ago tells no pace: it is taken for what was spent in this time.
const SHORTEST: Duration = Duration::from_secs(60);
/// What ends later than this does not end: a hundred years.
const FAR: Duration = Duration::from_secs(100 * 366 * 86_400);

/// How much money was spent in how much time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// What was spent.
    pub cost: Money,
    /// The time in which it was spent. Less than a minute is treated as a minute.
    pub over: Duration,
}

impl Pace {
    /// Returns what is spent per hour at this pace, rounded down to the nano-dollar.
    #[must_use]
    pub fn per_hour(&self) -> Money {
        let over = self.over.max(SHORTEST).as_nanos();
        let hour = Duration::from_secs(3_600).as_nanos();
        let cost = u128::from(self.cost.as_nanos()) * hour / over;
        Money::from_nanos(u64::try_from(cost).unwrap_or(u64::MAX))
    }
}

/// When a budget ends. In JSON: `"never"`, `{"at": "2026-11-25T13:00:00Z"}` or `{"turns": "2026-11-26T00:00:00Z"}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ends {
    /// Not at this pace: as much comes back as is spent, or nothing is spent.
    Never,
    /// Not before this moment, when its period ends and all of the money comes back.
    Turns(#[serde(with = "instant")] SystemTime),
    /// At this moment, rounded down to the second.
    At(#[serde(with = "instant")] SystemTime),
}

/// How a budget stands, and when it ends at the present pace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Forecast {
    /// The budget in words, such as `cost $10.00/hour for agent=scout`.
    pub budget: String,
    /// How much may be spent.
    pub amount: Money,
    /// What is spent for good.
    pub settled: Money,
    /// What is held for calls that have not ended.
    pub reserved: Money,
    /// What is neither spent nor held.
    pub left: Money,
    /// Whether the budget only watches.
    pub shadow: bool,
    /// The recent spending, per hour.
    pub pace_per_hour: Money,
    /// When nothing will be left.
    pub ends: Ends,
}

/// Returns when all of a budget will be spent if this pace goes on from now.
///
/// - If the money comes back with a calendar, the end of that period is returned, unless the budget ends before.
/// - If each part comes back a fixed time after it was spent, what is spent so far is assumed to have been spent
///   evenly, and so to come back evenly.
/// - What is reserved does not count: most of it will be given back, and the rest is in the pace to come.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_quota::{
///     Limiter, Money, Usage,
///     limit::{Limit, Limits}, limiter::Call,
///     statistics::{Ends, Pace, ends},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let day = Duration::from_secs(86_400);
/// let limiter = Limiter::new(Limits::new([Limit::cost(Money::from_dollars(30)).every(day)])?);
/// let permit = limiter.acquire(Call::new().cost(Money::from_dollars(6))).await?;
/// let mut usage = Usage::new(900, 100);
/// usage.cost = Some(Money::from_dollars(6));
/// permit.settle(usage);
///
/// let budget = &limiter.budgets().await?[0];
/// let now = SystemTime::now();
/// let hour = Duration::from_secs(3_600);
/// // A dollar an hour never comes to thirty a day, three do.
/// let pace = |dollars| Pace { cost: Money::from_dollars(dollars), over: hour };
/// assert_eq!(ends(budget, pace(1), now), Ends::Never);
/// assert!(matches!(ends(budget, pace(3), now), Ends::At(at) if at < now + 9 * hour));
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn ends(budget: &BudgetStanding, pace: Pace, now: SystemTime) -> Ends {
    let left = (budget.amount - budget.settled).as_nanos();
    if left == 0 {
        return Ends::At(whole_seconds(now));
    }
    let Some(wait) = wait(left, budget, pace).filter(|wait| *wait < FAR) else {
        return Ends::Never;
    };
    let at = whole_seconds(now + wait);
    match budget.comes_back {
        ComesBack::At(turn) if at >= turn => Ends::Turns(turn),
        // By then all that is spent now has come back.
        ComesBack::After(length) if wait >= length => Ends::Never,
        _ => Ends::At(at),
    }
}

/// A moment to the second below.
fn whole_seconds(at: SystemTime) -> SystemTime {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(at, |since| {
        SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
    })
}

/// How long until so much more is spent than comes back, to the second below; `None`: for ever, or absurdly long.
fn wait(left: u64, budget: &BudgetStanding, pace: Pace) -> Option<Duration> {
    let (left, spent) = (u128::from(left), u128::from(pace.cost.as_nanos()));
    let over = pace.over.max(SHORTEST).as_millis();
    let millis = match budget.comes_back {
        // left / (spent / over - settled / length)
        ComesBack::After(length) => {
            let (length, settled) = (length.as_millis(), u128::from(budget.settled.as_nanos()));
            let net = spent
                .checked_mul(length)?
                .checked_sub(settled.checked_mul(over)?)?;
            left.checked_mul(over)?
                .checked_mul(length)?
                .checked_div(net)?
        }
        _ => left.checked_mul(over)?.checked_div(spent)?,
    };
    Some(Duration::from_secs(u64::try_from(millis / 1_000).ok()?))
}

impl Statistics {
    /// Returns when each of these budgets ends at the pace of the last half hour; see [`ends`].
    ///
    /// Budgets for which nobody can tell are left out: those of values that have no count or no row of their own, and
    /// those for whose tags there is no table. A layer that records has tables for all budgets of its limiter.
    ///
    /// The budgets are those of [`Limiter::budgets`](crate::Limiter::budgets).
    #[must_use]
    pub fn forecast(&self, budgets: &[BudgetStanding]) -> Vec<Forecast> {
        let now = self.shown();
        let forecast = |budget: &BudgetStanding| {
            let of: &[(Tag, Vec<Arc<str>>)] = budget.of.as_deref()?;
            let pace = self.pace(of)?;
            Some(Forecast {
                budget: budget.budget.clone(),
                amount: budget.amount,
                settled: budget.settled,
                reserved: budget.reserved,
                left: budget.left(),
                shadow: budget.shadow,
                pace_per_hour: pace.per_hour(),
                ends: ends(budget, pace, now),
            })
        };
        budgets.iter().filter_map(forecast).collect()
    }
}

#[cfg(test)]
#[path = "forecast_tests.rs"]
mod tests;
