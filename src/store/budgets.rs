//! How every budget stands.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{MemoryStore, Store as _, entry::Entry};
use crate::{
    limit::{Life, LimitKey, Limits, Period, Quantity, Tick, Window},
    money::Money,
    tags::Tag,
};

/// How one budget stands. A budget is a limit on cost; if it is split by tags, this is for one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetStanding {
    /// The budget in words, such as `cost $10.00/hour for agent=scout`.
    pub budget: String,
    /// Which calls it is for: those that have, for each of these tags, one of the values. An empty value stands for
    /// calls without the tag. `None` for values that have no count of their own.
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

/// When the money of a budget comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ComesBack {
    /// All of it at this moment of the wall clock.
    At(SystemTime),
    /// Each part this long after it was spent.
    After(Duration),
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
                let spent = count.spent(rule, now);
                let until = spent.first().and_then(|spent| spent.until);
                let until = until.unwrap_or_else(|| calendar.end(now));
                ComesBack::At(SystemTime::UNIX_EPOCH + Duration::from_micros(until))
            }
            (_, Some(Period::Sliding(length))) => ComesBack::After(length),
            _ => ComesBack::Never,
        },
    }
}
