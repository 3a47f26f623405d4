//! Who waits for what: parked waiters, their ranks and the instants to look again.
//!
//! Each waiter is parked on *one* count, the one that has room last. Each count has its waiters in rank
//! order and one instant at which its head is worth another try. Plain data: no clock, lock or task.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::waiter::Waiter;
use crate::limit::{LimitKey, Tick};

/// A waiter's rank; the smallest goes first. Unique.
///
/// The first part is the arrival less the priority's worth of aging: what is urgent counts as having come
/// earlier, so it passes what came at the same time, and never for ever what came long before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) arrival: i64,
    pub(super) order: u64,
    /// Tells apart two attempts of one call that wait at the same time.
    pub(super) place: u64,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    counts: HashMap<LimitKey, Parked>,
    /// Where each waiter is parked.
    places: HashMap<Rank, LimitKey>,
    /// When to look at a count again.
    timers: BTreeSet<(Tick, LimitKey)>,
    /// Counts to look at now.
    kicked: BTreeSet<LimitKey>,
    /// Whether a driver runs.
    pub(super) driven: bool,
    /// Places given out so far.
    given: u64,
}

#[derive(Debug, Default)]
struct Parked {
    waiters: BTreeMap<Rank, Arc<Waiter>>,
    timer: Option<Tick>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// `rank` with a place of its own.
    pub(super) fn place(&mut self, rank: Rank) -> Rank {
        self.given += 1;
        Rank {
            place: self.given,
            ..rank
        }
    }

    /// A count on which somebody better ranked than `rank` waits: whoever needs it waits behind.
    pub(super) fn blocker<'a>(&self, keys: &'a [LimitKey], rank: Rank) -> Option<&'a LimitKey> {
        keys.iter().find(|key| {
            self.counts
                .get(key)
                .is_some_and(|parked| parked.head() < Some(rank))
        })
    }

    /// Parks a waiter, new or parked elsewhere until now. `at`: when the count has room for it, where it
    /// was refused and that is known.
    pub(super) fn park(&mut self, waiter: Arc<Waiter>, key: LimitKey, at: Option<Tick>) {
        let rank = waiter.rank;
        self.unpark(rank);
        self.places.insert(rank, key.clone());
        let parked = self.counts.entry(key.clone()).or_default();
        parked.waiters.insert(rank, waiter);
        let (true, Some(at)) = (parked.head() == Some(rank), at) else {
            return;
        };
        if let Some(old) = parked.timer.replace(at) {
            self.timers.remove(&(old, key.clone()));
        }
        self.timers.insert((at, key));
    }

    /// Takes a waiter out. Returns whether it was parked.
    pub(super) fn remove(&mut self, rank: Rank) -> bool {
        match self.unpark(rank) {
            Some(key) => {
                // Whoever is next may need less.
                self.kick([key]);
                true
            }
            None => false,
        }
    }

    fn unpark(&mut self, rank: Rank) -> Option<LimitKey> {
        let key = self.places.remove(&rank)?;
        let parked = self.counts.get_mut(&key)?;
        parked.waiters.remove(&rank);
        if parked.waiters.is_empty() {
            if let Some(timer) = parked.timer {
                self.timers.remove(&(timer, key.clone()));
            }
            self.counts.remove(&key);
        }
        Some(key)
    }

    /// Marks counts to be looked at now: something was given back there. Returns whether anybody waits there.
    pub(super) fn kick(&mut self, keys: impl IntoIterator<Item = LimitKey>) -> bool {
        let before = self.kicked.len();
        self.kicked
            .extend(keys.into_iter().filter(|key| self.counts.contains_key(key)));
        self.kicked.len() > before
    }

    /// Marks every count that somebody waits on.
    pub(super) fn kick_all(&mut self) {
        self.kicked.extend(self.counts.keys().cloned());
    }

    /// The counts to look at by `now`.
    pub(super) fn due(&mut self, now: Tick) -> Vec<LimitKey> {
        while let Some((at, _)) = self.timers.first() {
            if *at > now {
                break;
            }
            let (_, key) = self.timers.pop_first().expect("looked at just above");
            if let Some(parked) = self.counts.get_mut(&key) {
                parked.timer = None;
            }
            self.kicked.insert(key);
        }
        std::mem::take(&mut self.kicked).into_iter().collect()
    }

    /// When the next count is worth looking at; `None` where nothing but a kick can help.
    pub(super) fn next(&self) -> Option<Tick> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// The best ranked waiter on a count.
    pub(super) fn head(&self, key: &LimitKey) -> Option<Arc<Waiter>> {
        self.counts
            .get(key)?
            .waiters
            .first_key_value()
            .map(|(_, waiter)| waiter.clone())
    }

    /// Everybody who waits.
    pub(super) fn waiters(&self) -> impl Iterator<Item = &Arc<Waiter>> {
        self.counts
            .values()
            .flat_map(|parked| parked.waiters.values())
    }
}

impl Parked {
    fn head(&self) -> Option<Rank> {
        self.waiters.keys().next().copied()
    }
}
