//! A claim as data: what is asked, what is answered, what is given back.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::grants::Name;
use crate::{
    limit::{
        Asked, Demand, Limit, LimitKey, Limits, Measure, NewTarget, Quantities, Quantity, Room,
        Rule, Terms, Tick,
    },
    tags::Tags,
    usage::Usage,
};

/// What one attempt asks of the limits that its tags touch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// Who makes the attempt, and where it goes.
    pub tags: Arc<Tags>,
    /// How much it needs.
    pub demand: Demand,
    /// Which quantities are looked at. Limits on others are left alone.
    pub quantities: Quantities,
    /// Whether this call was counted before; then limits that count calls are left alone, but for those that look at
    /// where it goes and have not seen it: see [`new_target`](Self::new_target).
    #[serde(default)]
    pub repeat: bool,
    /// Of a call that was counted before: by what this is another target than those it went to before.
    #[serde(default, skip_serializing_if = "NewTarget::is_none")]
    pub new_target: NewTarget,
    /// The concurrency counts of which a call around this one holds a slot: they are left alone. Otherwise as many
    /// calls as there are slots, each waiting for a call made inside it, would wait forever.
    #[serde(default)]
    pub held: Vec<LimitKey>,
    /// The number of the attempt that the claim is for, if several claims are for one attempt. Claims of one attempt
    /// have the same number, which no other open attempt of the process has. With 0 the claim is an attempt of its own.
    #[serde(default)]
    pub attempt: u32,
}

impl Claim {
    /// Returns the claim of an attempt of its own, by a call that was not counted before and is made inside no other. It looks
    /// at limits on any quantity.
    ///
    /// ```
    /// use tower_quota::{limit::{Demand, Quantities}, store::Claim, Tag, Tags};
    ///
    /// let tags = Tags::new().with(Tag::Agent, "scout");
    /// let claim = Claim {
    ///     quantities: Quantities::BUDGET,
    ///     ..Claim::new(tags, Demand::default())
    /// };
    /// assert!(!claim.repeat && claim.held.is_empty() && claim.attempt == 0);
    /// ```
    #[must_use]
    pub fn new(tags: impl Into<Arc<Tags>>, demand: Demand) -> Self {
        Claim {
            tags: tags.into(),
            demand,
            quantities: Quantities::ALL,
            repeat: false,
            new_target: NewTarget::default(),
            held: Vec::new(),
            attempt: 0,
        }
    }

    /// What it takes from a count of this name that holds `most`; `None`: it leaves it alone. The name is the count's own,
    /// also where it is counted with others.
    pub(crate) fn amount(
        &self,
        own: impl FnOnce() -> LimitKey,
        rule: &Rule,
        most: u64,
    ) -> Option<u64> {
        let amount = self.asked().amount(rule.terms, most)?;
        (!self.holds_already(&rule.limit, own)).then_some(amount)
    }

    /// What it asks of any limit.
    #[inline]
    pub(crate) fn asked(&self) -> Asked<'_> {
        Asked::of(
            &self.demand,
            self.quantities,
            (self.repeat, self.new_target),
        )
    }

    /// Whether it is of an attempt to be sent, so that it waits where its target was told to.
    pub(crate) fn is_held_back(&self) -> bool {
        self.quantities.contain(Quantity::Requests)
    }

    /// Whether it takes nothing of a limit, because a call around it holds a slot there.
    #[inline]
    pub(super) fn leaves_alone(&self, place: u32, terms: Terms, limits: &Limits) -> bool {
        terms.take(Measure::Concurrency) && !self.held.is_empty() && {
            let limit = &limits.rules()[place as usize].limit;
            self.holds_already(limit, || LimitKey::of(place, limit, &self.tags))
        }
    }

    fn holds_already(&self, limit: &Limit, own: impl FnOnce() -> LimitKey) -> bool {
        limit.quantity == Quantity::Concurrency
            && !self.held.is_empty()
            && self.held.contains(&own())
    }

    /// The counts that it takes something from: what it takes nothing from it does not wait for either, nor
    /// for limits that only watch.
    pub(crate) fn keys(&self, limits: &Limits) -> Vec<LimitKey> {
        let mut keys = limits.keys(&self.tags);
        keys.retain(|key| {
            let acts = limits.rule_of(key).filter(|rule| !rule.limit.shadow);
            acts.is_some_and(|rule| {
                self.amount(|| key.clone(), rule, limits.amount_of(key)) > Some(0)
            })
        });
        keys
    }

    /// Whether it needs more of a limit than that ever holds.
    pub(crate) fn never_fits(&self, limits: &Limits) -> bool {
        self.keys(limits).iter().any(|key| {
            let most = limits.amount_of(key);
            let amount = |rule| self.amount(|| key.clone(), rule, most);
            limits.rule_of(key).and_then(amount) > Some(most)
        })
    }
}

/// Which call waits, for a store that keeps room for whoever is first in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Waiting {
    /// A number that no other waiting call of this process has.
    pub number: u64,
    /// How urgent the call is, as it was told.
    pub priority: i32,
}

/// A store's decision on a claim.
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

/// The count that refused a claim; if several did, the one that has room last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotNow {
    /// The count, or the cooldown of the target, of which nothing is in use and nothing is needed.
    pub key: LimitKey,
    /// When it has room, if nothing else is charged and nothing is given back. `None` if that is when something held is
    /// given back, or never.
    pub at: Option<Tick>,
    /// The instant before which there is certainly no room: the latest of all counts that refuse. `None` if that cannot
    /// be told.
    pub not_before: Option<Tick>,
    /// What counts there now.
    pub in_use: u64,
    /// The part of `in_use` that is reserved for attempts that have not ended.
    pub reserved: u64,
    /// What the claim needs of it.
    pub needed: u64,
}

#[cfg(feature = "redis")]
impl NotNow {
    /// Nothing passes there until somebody takes that back.
    pub(crate) fn paused(key: LimitKey) -> Self {
        NotNow {
            key,
            at: None,
            not_before: None,
            in_use: 0,
            reserved: 0,
            needed: 1,
        }
    }
}

/// How one of the counts that a claim touches stands with respect to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The count.
    pub key: LimitKey,
    /// What counts there now.
    pub in_use: u64,
    /// The part of `in_use` that is reserved for attempts that have not ended.
    pub reserved: u64,
    /// What the claim needs of it.
    pub needed: u64,
    /// Whether it has room, or when it will, if nothing else is charged and nothing is given back.
    pub room: Room,
    /// The instant before which there is certainly no room. If room is kept for others, this may be earlier than what
    /// `room` says.
    pub not_before: Option<Tick>,
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
            not_before: acting().filter_map(|standing| standing.not_before).max(),
            in_use: last.in_use,
            reserved: last.reserved,
            needed: last.needed,
        };
        (last.room != Room::Now).then_some((last.room, refusal))
    }
}

/// The name of what a claim took, to be handed back to the store. It is plain data: dropping it gives nothing back.
///
/// It means something only to the very store that gave it, and only while that store lives. To a store that was
/// restored from a snapshot it means nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Grant {
    /// Which store it is from: to another it says nothing.
    pub(super) store: u64,
    /// Which one of that store.
    pub(super) name: Name,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Settlement {
    /// It used this much.
    Usage(Usage),
    /// It left, and nobody knows what it used: what was reserved counts.
    Unknown,
}
