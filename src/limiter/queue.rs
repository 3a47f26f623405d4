//! Who waits for what: parked waiters and the instants to look again.
//!
//! Waiters that need the same counts are a **group**: among them nobody passes anybody. A group is parked on
//! *one* count, the one that its head was refused by, and moves as a whole, so that a step costs the same
//! however many wait. Each count knows the heads of the groups parked there and one instant at which the first
//! of them is worth another try. Plain data: no clock, lock or task.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::Bound,
    sync::Arc,
};

use tokio::runtime::Id;

use super::{
    order::{Comer, Order, Rank, Seat},
    waiter::Waiter,
};
use crate::limit::{LimitKey, Tick};

/// The counts that a group's waiters need.
pub(super) type Keys = Arc<[LimitKey]>;

#[derive(Debug, Default)]
pub(super) struct Queue {
    order: Order,
    groups: HashMap<Keys, Group>,
    counts: HashMap<LimitKey, Parked>,
    len: usize,
    /// When to look at a count again.
    timers: BTreeSet<(Tick, LimitKey)>,
    /// Counts to look at now.
    kicked: BTreeSet<LimitKey>,
    /// The runtimes on which a driver runs.
    pub(super) driven: HashSet<Id>,
}

/// What to do with the head of a count.
#[derive(Debug)]
pub(super) enum Next {
    /// Nobody waits there.
    Nobody,
    /// The head waits for something else first, and its group is parked there now. Look again.
    Moved,
    /// Try this one.
    Try(Arc<Waiter>),
}

#[derive(Debug)]
struct Group {
    /// By priority, in the order of their seats.
    classes: BTreeMap<i32, BTreeMap<Seat, Arc<Waiter>>>,
    on: LimitKey,
}

/// A count and the groups parked on it.
#[derive(Debug, Default)]
struct Parked {
    /// By priority the first of each group.
    heads: BTreeMap<i32, BTreeMap<Seat, Arc<Waiter>>>,
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

    /// Takes a comer in. It is to be [entered](Self::enter).
    pub(super) fn join(&mut self, comer: &Comer) -> Rank {
        self.order.join(comer)
    }

    /// The same counts as one value with those who need them already.
    pub(super) fn keys(&self, keys: Vec<LimitKey>) -> Keys {
        let known = self.groups.get_key_value(keys.as_slice());
        known.map_or_else(|| keys.into(), |(known, _)| known.clone())
    }

    /// Has one that joined wait with its group, or on the count that refused it. `at`: when there is room for it,
    /// where that is known.
    pub(super) fn enter(&mut self, waiter: &Arc<Waiter>, refused_by: &LimitKey, at: Option<Tick>) {
        let rank = waiter.rank;
        let fresh = !self.groups.contains_key(&waiter.keys);
        let group = self
            .groups
            .entry(waiter.keys.clone())
            .or_insert_with(|| Group {
                classes: BTreeMap::new(),
                on: refused_by.clone(),
            });
        let on = group.on.clone();
        let class = group.classes.entry(rank.priority).or_default();
        let old_head = class.keys().next().copied();
        class.insert(rank.seat, waiter.clone());
        self.len += 1;
        if old_head.is_none_or(|old| rank.seat < old) {
            let heads = self
                .counts
                .entry(on.clone())
                .or_default()
                .heads
                .entry(rank.priority)
                .or_default();
            old_head.and_then(|old| heads.remove(&old));
            heads.insert(rank.seat, waiter.clone());
        }
        if fresh {
            self.set_timer(&on, rank, at);
        }
        // Room may have come back between its refusal and this; or it goes before the others of its group.
        self.kick([on]);
    }

    /// Parks the group of one that was tried and refused. Nothing where it has gone away meanwhile.
    pub(super) fn refused(&mut self, waiter: &Waiter, by: &LimitKey, at: Option<Tick>) {
        if self.holds(waiter) {
            let moved = self.park(&waiter.keys, by);
            self.set_timer(by, waiter.rank, at);
            if moved {
                // It may have been given back since, when nobody was parked there to be told.
                self.kick([by.clone()]);
            }
        }
    }

    /// Parks a group on a count. Returns whether it was elsewhere.
    fn park(&mut self, keys: &Keys, on: &LimitKey) -> bool {
        let Some(group) = self.groups.get_mut(keys).filter(|group| group.on != *on) else {
            return false;
        };
        let from = std::mem::replace(&mut group.on, on.clone());
        let firsts = group.classes.iter().filter_map(|(priority, class)| {
            let (seat, first) = class.first_key_value()?;
            Some((*priority, *seat, first.clone()))
        });
        let firsts: Vec<(i32, Seat, Arc<Waiter>)> = firsts.collect();
        for (priority, seat, first) in firsts {
            self.unhead(&from, priority, seat);
            let heads = &mut self.counts.entry(on.clone()).or_default().heads;
            heads.entry(priority).or_default().insert(seat, first);
        }
        true
    }

    /// Takes a head off a count, and forgets the count where it was the last.
    fn unhead(&mut self, on: &LimitKey, priority: i32, seat: Seat) {
        let Some(parked) = self.counts.get_mut(on) else {
            return;
        };
        if let Some(heads) = parked.heads.get_mut(&priority) {
            heads.remove(&seat);
            if heads.is_empty() {
                parked.heads.remove(&priority);
            }
        }
        if parked.heads.is_empty() {
            if let Some(timer) = parked.timer {
                self.timers.remove(&(timer, on.clone()));
            }
            self.counts.remove(on);
        }
    }

    fn set_timer(&mut self, on: &LimitKey, rank: Rank, at: Option<Tick>) {
        let (Some(parked), Some(at)) = (self.counts.get_mut(on), at) else {
            return;
        };
        if parked
            .head(&self.order)
            .is_some_and(|head| head.rank == rank)
        {
            if let Some(old) = parked.timer.replace(at) {
                self.timers.remove(&(old, on.clone()));
            }
            self.timers.insert((at, on.clone()));
        }
    }

    fn holds(&self, waiter: &Waiter) -> bool {
        let class = self
            .groups
            .get(&waiter.keys)
            .and_then(|group| group.classes.get(&waiter.rank.priority));
        class.is_some_and(|class| class.contains_key(&waiter.rank.seat))
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
        let Rank { priority, seat, .. } = waiter.rank;
        let Some(group) = self.groups.get_mut(&waiter.keys) else {
            return false;
        };
        let Some(class) = group.classes.get_mut(&priority) else {
            return false;
        };
        let headed = class.keys().next() == Some(&seat);
        if class.remove(&seat).is_none() {
            return false;
        }
        let next = class.values().next().cloned();
        if next.is_none() {
            group.classes.remove(&priority);
        }
        let on = group.on.clone();
        if group.classes.is_empty() {
            self.groups.remove(&waiter.keys);
        }
        self.len -= 1;
        if headed {
            if let Some(next) = next {
                // Before the old one is taken off, so that the count is not forgotten in between.
                let heads = &mut self.counts.entry(on.clone()).or_default().heads;
                heads
                    .entry(priority)
                    .or_default()
                    .insert(next.rank.seat, next);
            }
            self.unhead(&on, priority, seat);
            // Whoever is next may need less, and whoever waited behind it elsewhere need not any more.
            self.kick([on]);
        }
        true
    }

    /// Marks counts to be looked at now: something was given back there. Returns whether anybody waits there.
    ///
    /// The drivers are to be told then, also where it was marked already: whoever marked it may be a driver
    /// that died or is not run any more.
    pub(super) fn kick(&mut self, keys: impl IntoIterator<Item = LimitKey>) -> bool {
        let mut any = false;
        for key in keys {
            if self.counts.contains_key(&key) {
                any = true;
                self.kicked.insert(key);
            }
        }
        any
    }

    /// Marks every count to be looked at.
    pub(super) fn kick_all(&mut self) {
        self.kicked.extend(self.counts.keys().cloned());
    }

    /// A count to look at by `now`: the next one after `last`, and round again, so that none is starved. The
    /// others stay marked, for whichever driver comes to them first.
    pub(super) fn due(&mut self, now: Tick, last: Option<&LimitKey>) -> Option<LimitKey> {
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
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.kicked.range((after, Bound::Unbounded)).next();
        let next = next.or_else(|| self.kicked.first()).cloned()?;
        self.kicked.take(&next)
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
                self.park(&head.keys, &other);
                Next::Moved
            }
            None => Next::Try(head),
        }
    }

    /// Everybody who waits.
    pub(super) fn waiters(&self) -> impl Iterator<Item = &Arc<Waiter>> {
        let classes = self
            .groups
            .values()
            .flat_map(|group| group.classes.values());
        classes.flat_map(BTreeMap::values)
    }

    /// How many wait on a count who go before this comer.
    pub(super) fn ahead(&self, key: &LimitKey, comer: &Comer) -> usize {
        let rank = self.order.rank(comer);
        let groups = self.groups.values().filter(|group| group.on == *key);
        let classes = groups.flat_map(|group| group.classes.values());
        let waiters = classes.flat_map(BTreeMap::values);
        waiters
            .filter(|waiter| self.order.before(waiter.rank, rank))
            .count()
    }
}

impl Parked {
    /// Whoever goes first of those who wait here.
    fn head(&self, order: &Order) -> Option<&Arc<Waiter>> {
        let heads = self
            .heads
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
