//! A claim as data: what is asked, what is answered, what is given back.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::{
    limit::{Demand, LimitKey, Quantities, Tick},
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
    /// What counts there now.
    pub in_use: u64,
    /// What the claim needs of it.
    pub needed: u64,
}

/// What a claim took, as the store wants it told again. Plain data: dropping it gives nothing back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Grant {
    /// Which store it is from: to another it says nothing.
    pub(super) store: u64,
    pub(super) parts: SmallVec<[Part; 4]>,
}

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
    /// Under which date it is booked; `None` while it is held.
    pub(super) date: Option<Tick>,
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
