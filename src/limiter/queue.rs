//! Who waits for what: parked waiters and the instants to look again.
//!
//! Each waiter is parked on *one* count, the one that has room last. Each count has its waiters by class and
//! seat, and one instant at which its head is worth another try. Plain data: no clock, lock or task.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    order::{Comer, Order, Rank, Seat},
    waiter::Waiter,
};
use crate::limit::{LimitKey, Tick};

#[derive(Debug, Default)]
pub(super) struct Queue {
    order: Order,
    counts: HashMap<LimitKey, Parked>,
    /// How many wait.
    len: usize,
    /// When to look at a count again.
    timers: BTreeSet<(Tick, LimitKey)>,
    /// Counts to look at now.
    kicked: BTreeSet<LimitKey>,
    /// Whether a driver runs.
    pub(super) driven: bool,
}

/// What to do with the head of a count.
#[derive(Debug)]
pub(super) enum Next {
    /// Nobody waits there.
    Nobody,
    /// The head waited for something else first, and is parked there now. Look again.
    Moved,
    /// Try this one.
    Try(Arc<Waiter>),
}

#[derive(Debug, Default)]
struct Parked {
    waiters: BTreeMap<i32, BTreeMap<Seat, Arc<Waiter>>>,
    timer: Option<Tick>,
}

impl Queue {
    pub(super) fn new(aging: i64) -> Self {
        Queue {
            order: Order::new(aging),
            ..Queue::default()
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// A count on which somebody waits who goes before this comer: then the comer waits behind.
    pub(super) fn blocks<'a>(&self, keys: &'a [LimitKey], comer: &Comer) -> Option<&'a LimitKey> {
        self.blocker(keys, self.order.rank(comer))
    }

    fn blocker<'a>(&self, keys: &'a [LimitKey], rank: Rank) -> Option<&'a LimitKey> {
        keys.iter().find(|key| {
            let head = self
                .counts
                .get(key)
                .and_then(|parked| parked.head(&self.order));
            head.is_some_and(|head| self.order.before(head.rank, rank))
        })
    }

    /// Takes a comer in. It is to be [parked](Self::park).
    pub(super) fn join(&mut self, comer: &Comer) -> Rank {
        self.order.join(comer)
    }

    /// Parks a waiter that has joined, new or parked elsewhere until now. `at`: when the count has room for
    /// it, where it was refused and that is known.
    pub(super) fn park(&mut self, waiter: Arc<Waiter>, key: LimitKey, at: Option<Tick>) {
        let rank = waiter.rank;
        self.unpark(&waiter);
        waiter.set_parked(Some(key.clone()));
        self.len += 1;
        let parked = self.counts.entry(key.clone()).or_default();
        parked
            .waiters
            .entry(rank.priority)
            .or_default()
            .insert(rank.seat, waiter);
        let heads = parked
            .head(&self.order)
            .is_some_and(|head| head.rank == rank);
        let (true, Some(at)) = (heads, at) else {
            return;
        };
        if let Some(old) = parked.timer.replace(at) {
            self.timers.remove(&(old, key.clone()));
        }
        self.timers.insert((at, key));
    }

    /// As [`park`](Self::park), for one that was tried: not where it has gone away meanwhile. Returns whether
    /// it is parked.
    pub(super) fn park_again(
        &mut self,
        waiter: Arc<Waiter>,
        key: LimitKey,
        at: Option<Tick>,
    ) -> bool {
        let waits = waiter.is_parked();
        if waits {
            self.park(waiter, key, at);
        }
        waits
    }

    /// Takes out one that was granted.
    pub(super) fn granted(&mut self, waiter: &Waiter) {
        if self.remove(waiter) {
            self.order.granted(waiter.rank, &waiter.agent);
        }
    }

    /// Takes out one that was not granted: refused, or gone away. Returns whether it was there.
    pub(super) fn gave_up(&mut self, waiter: &Waiter) -> bool {
        let there = self.remove(waiter);
        if there {
            self.order.gave_up(waiter.rank, &waiter.agent, waiter.size);
        }
        there
    }

    fn remove(&mut self, waiter: &Waiter) -> bool {
        match self.unpark(waiter) {
            Some(key) => {
                // Whoever is next may need less.
                self.kick([key]);
                true
            }
            None => false,
        }
    }

    fn unpark(&mut self, waiter: &Waiter) -> Option<LimitKey> {
        let key = waiter.set_parked(None)?;
        self.len -= 1;
        let rank = waiter.rank;
        let parked = self.counts.get_mut(&key)?;
        if let Some(class) = parked.waiters.get_mut(&rank.priority) {
            class.remove(&rank.seat);
            if class.is_empty() {
                parked.waiters.remove(&rank.priority);
            }
        }
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
    pub(super) fn next_timer(&self) -> Option<Tick> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// The head of a count, unless it has to wait behind another one elsewhere.
    pub(super) fn next_on(&mut self, key: &LimitKey) -> Next {
        let Some(head) = self
            .counts
            .get(key)
            .and_then(|parked| parked.head(&self.order))
        else {
            return Next::Nobody;
        };
        let head = head.clone();
        match self.blocker(&head.keys, head.rank).cloned() {
            Some(other) => {
                self.park(head, other, None);
                Next::Moved
            }
            None => Next::Try(head),
        }
    }

    /// Everybody who waits.
    pub(super) fn waiters(&self) -> impl Iterator<Item = &Arc<Waiter>> {
        self.counts
            .values()
            .flat_map(|parked| parked.waiters.values().flat_map(BTreeMap::values))
    }

    /// How many wait on a count who go before this comer.
    pub(super) fn ahead(&self, key: &LimitKey, comer: &Comer) -> usize {
        let rank = self.order.rank(comer);
        let parked = self.counts.get(key).into_iter();
        let waiters = parked.flat_map(|parked| parked.waiters.values().flat_map(BTreeMap::values));
        waiters
            .filter(|waiter| self.order.before(waiter.rank, rank))
            .count()
    }
}

impl Parked {
    /// Whoever goes first of those who wait here.
    fn head(&self, order: &Order) -> Option<&Arc<Waiter>> {
        let heads = self
            .waiters
            .values()
            .filter_map(|class| class.values().next());
        heads.reduce(|best, head| {
            if order.before(head.rank, best.rank) {
                head
            } else {
                best
            }
        })
    }
}
