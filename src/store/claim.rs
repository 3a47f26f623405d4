//! A claim as data: what is asked, what is answered, what is given back.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::{
    limit::{Demand, Limit, LimitKey, Limits, Quantities, Quantity, Room, Rule, Tick},
    tags::Tags,
    usage::Usage,
};

/// What one attempt asks of the limits that its tags touch.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// Who makes the attempt and where it goes.
    pub tags: Arc<Tags>,
    /// How much it needs.
    pub demand: Demand,
    /// Which quantities are looked at; limits on others are left alone.
    pub quantities: Quantities,
    /// Whether this call was counted before: then limits on calls are left alone.
    pub repeat: bool,
    /// The counts of concurrency in which a call around this one holds a slot: they are left alone. Otherwise
    /// as many calls as there are slots, each waiting for a call inside it, would wait for ever.
    pub held: Vec<LimitKey>,
}

impl Claim {
    /// What it takes from a count that its tags touch and that holds `most`; `None`: it leaves it alone.
    #[inline(always)]
    pub(crate) fn amount(&self, place: u32, rule: &Rule, most: u64) -> Option<u64> {
        let amount = rule.need(most, &self.demand, self.quantities, self.repeat)?;
        (!self.leaves_alone(place, &rule.limit)).then_some(amount)
    }

    #[inline]
    fn leaves_alone(&self, place: u32, limit: &Limit) -> bool {
        limit.quantity == Quantity::Concurrency
            && !self.held.is_empty()
            && self.held.contains(&LimitKey::of(place, limit, &self.tags))
    }

    /// The counts that it takes something from: what it takes nothing from it does not wait for either, nor
    /// for limits that only watch.
    pub(crate) fn keys(&self, limits: &Limits) -> Vec<LimitKey> {
        let mut keys = limits.keys(&self.tags);
        keys.retain(|key| {
            let rule = &limits.rules()[key.limit()];
            let amount = self.amount(key.place(), rule, limits.amount_of(key));
            !rule.limit.shadow && amount > Some(0)
        });
        keys
    }

    /// Whether it needs more of a limit than that ever holds.
    pub(crate) fn never_fits(&self, limits: &Limits) -> bool {
        self.keys(limits).iter().any(|key| {
            let most = limits.amount_of(key);
            self.amount(key.place(), &limits.rules()[key.limit()], most) > Some(most)
        })
    }
}

/// What a store says to a claim.
#[derive(Debug)]
#[must_use]
pub enum Decision {
    /// All of it was taken.
    Granted(Grant),
    /// Nothing was taken; there may be room later.
    NotNow(NotNow),
    /// Nothing was taken, and there never will be room.
    Never(NotNow),
}

/// The count that refused, of several the one that has room last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotNow {
    /// The count.
    pub key: LimitKey,
    /// When it has room, if nothing else is charged and nothing given back. `None`: when something held
    /// is given back, or never.
    pub at: Option<Tick>,
    /// Before this there is no room for sure: the latest instant of all counts that refuse. `None`: no telling.
    pub not_before: Option<Tick>,
    /// What counts there now.
    pub in_use: u64,
    /// What the claim needs of it.
    pub needed: u64,
}

/// How one of the counts that a claim touches stands to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The count.
    pub key: LimitKey,
    /// What counts there now.
    pub in_use: u64,
    /// What the claim needs of it.
    pub needed: u64,
    /// Whether it has room, or when, if nothing else is charged and nothing given back.
    pub room: Room,
    /// Whether the limit only watches: then it refuses nothing, whatever its room.
    pub shadow: bool,
}

impl Standing {
    /// The refusal that a claim would hear: by the count that has room last, or by one of several.
    pub(crate) fn refusal(all: &[Standing]) -> Option<(Room, NotNow)> {
        let at = |standing: &Standing| {
            if let Room::At(at) = standing.room {
                Some(at)
            } else {
                None
            }
        };
        let acting = || all.iter().filter(|standing| !standing.shadow);
        let last = acting().max_by_key(|standing| standing.room)?;
        let refusal = NotNow {
            key: last.key.clone(),
            at: at(last),
            not_before: acting().filter_map(at).max(),
            in_use: last.in_use,
            needed: last.needed,
        };
        (last.room != Room::Now).then_some((last.room, refusal))
    }
}

/// What a claim took, as the store wants it told again. Plain data: dropping it gives nothing back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Grant {
    /// Which store it is from: to another it says nothing.
    pub(super) store: u64,
    pub(super) parts: Parts,
}

/// Few in place, because grants are handed from hand to hand. Where there are more, the memory of those that
/// ended is used again.
pub(super) type Parts = SmallVec<[Part; 1]>;

/// What a claim took from one count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// The limit's place.
    pub(super) limit: u32,
    /// The count's place in the store, and its generation there.
    pub(super) entry: u32,
    pub(super) generation: u32,
    /// Its place among the counts of its level.
    pub(super) window: u32,
    pub(super) amount: u64,
    /// Under which date it is booked.
    pub(super) date: Date,
}

/// The date that a part is booked under, or none while it is held: half as large as an option of a tick,
/// because grants are handed from hand to hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<Tick>", into = "Option<Tick>")]
pub(super) struct Date(u64);

impl Date {
    pub(super) const NONE: Date = Date(u64::MAX);

    #[inline]
    pub(super) fn get(self) -> Option<Tick> {
        (self != Self::NONE).then(|| Tick::from_micros(self.0))
    }
}

impl From<Tick> for Date {
    #[inline]
    fn from(tick: Tick) -> Self {
        // The last tick there is stands for none: it is half a million years away.
        Date(tick.as_micros().min(u64::MAX - 1))
    }
}

impl From<Option<Tick>> for Date {
    fn from(date: Option<Tick>) -> Self {
        date.map_or(Self::NONE, Date::from)
    }
}

impl From<Date> for Option<Tick> {
    fn from(date: Date) -> Self {
        date.get()
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settlement {
    /// It used this much.
    Usage(Usage),
    /// It left, and nobody knows what it used: what was reserved counts.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_its_tick_or_none_also_where_it_is_kept() {
        for tick in [0, 1, u64::MAX - 1].map(Tick::from_micros) {
            let date = Date::from(tick);
            assert_eq!(date.get(), Some(tick));
            let text = serde_json::to_string(&date).unwrap();
            assert_eq!(serde_json::from_str::<Date>(&text).unwrap(), date);
        }
        assert_eq!(Date::NONE.get(), None);
        assert_eq!(serde_json::to_string(&Date::NONE).unwrap(), "null");
        assert!(Date::from(Tick::from_micros(u64::MAX)).get().is_some());
    }
}
