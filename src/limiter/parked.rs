//! The counts on which groups are parked, and when to look at which.
//!
//! Each count knows the heads of the groups parked there and the instant at which the first of them is worth
//! another try. Plain data: no clock, lock or task.

mod opening;
mod registered;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
};

use super::{
    heads::Heads,
    order::{Order, Rank},
    owners::NOBODY,
    pins::Pins,
    waiter::Waiter,
};
use crate::limit::{LimitKey, Tick};

#[derive(Debug, Default)]
pub(super) struct Counts {
    parked: HashMap<LimitKey, Parked>,
    /// When to look at a count again.
    timers: BTreeSet<(Tick, LimitKey, Why)>,
    /// Counts to look at now.
    kicked: BTreeSet<LimitKey>,
    /// By owner of shares, the counts on which its calls are parked, and how many are first there.
    owned: HashMap<u32, BTreeMap<LimitKey, usize>>,
    /// Counts with several lines or with pins: who is first there, or has to leave room to whom, changes when
    /// one class passes another.
    mixed: BTreeSet<LimitKey>,
    /// How many of those are to be looked at because of that, and after which of them.
    turned: (usize, Option<LimitKey>),
    /// Who is registered with the store no more, by place. The store is to hear of it.
    forgone: Vec<u64>,
}

/// A count and the groups parked on it.
#[derive(Debug, Default)]
struct Parked {
    /// The first of each line of each group.
    heads: Heads,
    timer: Option<Tick>,
    wake: Option<Tick>,
    /// The one for whom the store keeps room: it was the head when it was refused.
    registered: Option<Arc<Waiter>>,
    /// How those go on who waited for this cooldown; `None`: nobody has yet.
    opening: Option<opening::Opening>,
}

/// Why to look at a count again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// There is room for its head.
    Room,
    /// An owner falls below its share.
    Share,
}

impl Counts {
    /// The heads of the groups that are parked on a count.
    pub(super) fn heads(&self, key: &LimitKey) -> Option<&Heads> {
        self.parked.get(key).map(|parked| &parked.heads)
    }

    /// Whoever goes first of those who wait on a count.
    pub(super) fn head(&self, key: &LimitKey, order: &Order) -> Option<&Arc<Waiter>> {
        self.heads(key)?.first(|a, b| order.before(a, b))
    }

    /// As [`head`](Self::head). Nobody else is registered there from now on.
    pub(super) fn next_head(&mut self, key: &LimitKey, order: &Order) -> Option<Arc<Waiter>> {
        let parked = self.parked.get_mut(key)?;
        let head = parked.heads.first(|a, b| order.before(a, b))?.clone();
        let other = |registered: &mut Arc<Waiter>| registered.place() != head.place();
        if let Some(other) = parked.registered.take_if(other) {
            self.forgone.push(other.place());
        }
        Some(head)
    }

    pub(super) fn park(&mut self, on: &LimitKey, head: Arc<Waiter>, pins: &Pins) {
        let owner = head.rank().line.owner;
        if owner != NOBODY {
            *self
                .owned
                .entry(owner)
                .or_default()
                .entry(on.clone())
                .or_default() += 1;
        }
        let heads = &mut self.parked.entry(on.clone()).or_default().heads;
        heads.insert(head);
        if heads.lines().nth(1).is_some() || pins.hold(on) {
            self.mix(on.clone());
        }
    }

    fn mix(&mut self, key: LimitKey) {
        let new = self.mixed.insert(key);
        if new && self.turned.0 > 0 {
            // So that the round gets as far as it would have without this one.
            self.turned.0 += 1;
        }
    }

    /// Takes a head off a count, and forgets the count where it was the last.
    pub(super) fn unpark(&mut self, on: &LimitKey, rank: Rank) {
        let Some(parked) = self.parked.get_mut(on) else {
            return;
        };
        let there = parked.heads.remove(rank);
        let leaves = |registered: &mut Arc<Waiter>| registered.place() == rank.seat.place;
        if let Some(registered) = parked.registered.take_if(leaves) {
            self.forgone.push(registered.place());
        }
        if there && rank.line.owner != NOBODY {
            self.owner_leaves(on, rank.line.owner);
        }
        let Some(parked) = self.parked.get(on) else {
            return;
        };
        if parked.heads.is_empty() {
            let timer = parked.timer.map(|at| (at, on.clone(), Why::Room));
            let wake = parked.wake.map(|at| (at, on.clone(), Why::Share));
            for timer in timer.into_iter().chain(wake) {
                self.timers.remove(&timer);
            }
            self.mixed.remove(on);
            self.parked.remove(on);
        }
    }

    fn owner_leaves(&mut self, on: &LimitKey, owner: u32) {
        let Some(counts) = self.owned.get_mut(&owner) else {
            return;
        };
        if let Some(heads) = counts.get_mut(on).filter(|heads| **heads > 1) {
            *heads -= 1;
            return;
        }
        let watched = counts.keys().next() == Some(on);
        counts.remove(on);
        match counts.keys().next() {
            None => drop(self.owned.remove(&owner)),
            // Nobody looks there any more when it falls below its shares: from now on at this one.
            Some(next) if watched => drop(self.kicked.insert(next.clone())),
            Some(_) => (),
        }
    }

    /// Marks a count on which calls of an owner are parked to be looked at, always the same. Returns whether there is
    /// one.
    pub(super) fn kick_one_of(&mut self, owner: u32) -> bool {
        let counts = self.owned.get(&owner);
        let first = counts.and_then(|counts| counts.keys().next());
        first.is_some_and(|first| {
            self.kicked.insert(first.clone());
            true
        })
    }

    /// Has a count looked at when there is room for this one, if it is the head.
    pub(super) fn set_timer(&mut self, on: &LimitKey, rank: Rank, at: Tick, order: &Order) {
        if self.head(on, order).is_some_and(|head| head.rank() == rank) {
            self.set(on, Why::Room, at);
        }
    }

    /// Has a count looked at when an owner whose calls wait there falls below its shares. An earlier instant stays:
    /// whoever asks may know less than who asked before. Returns whether this one is the earlier.
    pub(super) fn set_wake(&mut self, on: &LimitKey, at: Tick) -> bool {
        let parked = self.parked.get(on);
        let earlier = parked.is_some_and(|parked| parked.wake.is_none_or(|old| at < old));
        if earlier {
            self.set(on, Why::Share, at);
        }
        earlier
    }

    fn set(&mut self, on: &LimitKey, why: Why, at: Tick) {
        let Some(parked) = self.parked.get_mut(on) else {
            return;
        };
        let timer = match why {
            Why::Room => &mut parked.timer,
            Why::Share => &mut parked.wake,
        };
        if let Some(old) = timer.replace(at) {
            self.timers.remove(&(old, on.clone(), why));
        }
        self.timers.insert((at, on.clone(), why));
    }

    /// Marks counts to be looked at now: something was given back there. Returns whether anybody waits there.
    pub(super) fn kick(&mut self, keys: impl IntoIterator<Item = LimitKey>) -> bool {
        let mut any = false;
        for key in keys {
            if self.parked.contains_key(&key) {
                any = true;
                self.kicked.insert(key);
            }
        }
        any
    }

    /// Marks every count to be looked at.
    pub(super) fn kick_all(&mut self) {
        self.kick_those(|_| true);
    }

    /// Marks all of these counts to be looked at.
    pub(super) fn kick_those(&mut self, these: impl Fn(&LimitKey) -> bool) {
        let keys = self.parked.keys().filter(|key| these(key));
        self.kicked.extend(keys.cloned());
    }

    /// These counts are pinned now.
    pub(super) fn pinned(&mut self, keys: impl IntoIterator<Item = LimitKey>) {
        for key in keys {
            if self.parked.contains_key(&key) {
                self.mix(key);
            }
        }
    }

    /// One class has passed another. There may be very many counts where that changes who is first: they are
    /// looked at one by one, between the others.
    pub(super) fn turn(&mut self) {
        self.turned.0 = self.mixed.len();
    }

    /// A count to look at by `now`: the next one after `last`, and round again, so that none is starved. The
    /// others stay marked, for whichever driver comes to them first.
    pub(super) fn due(
        &mut self,
        now: Tick,
        last: Option<&LimitKey>,
        pins: &Pins,
    ) -> Option<LimitKey> {
        while let Some((at, _, _)) = self.timers.first() {
            if *at > now {
                break;
            }
            let (_, key, why) = self.timers.pop_first().expect("looked at just above");
            if let Some(parked) = self.parked.get_mut(&key) {
                match why {
                    Why::Room => parked.timer = None,
                    Why::Share => parked.wake = None,
                }
            }
            self.kicked.insert(key);
        }
        self.look_at_one_that_turned(pins);
        let next = next(&self.kicked, last)?;
        self.kicked.take(&next)
    }

    fn look_at_one_that_turned(&mut self, pins: &Pins) {
        let (left, last) = &self.turned;
        let (Some(left), Some(key)) = (left.checked_sub(1), next(&self.mixed, last.as_ref()))
        else {
            self.turned.0 = 0;
            return;
        };
        let lines = self.heads(&key).into_iter().flat_map(Heads::lines);
        if lines.count() < 2 && !pins.hold(&key) {
            self.mixed.remove(&key);
        }
        self.kicked.insert(key.clone());
        self.turned = (left, Some(key));
    }

    /// When the next count is worth looking at; `None` where nothing but a kick can help.
    pub(super) fn next_timer(&self) -> Option<Tick> {
        self.timers.first().map(|(at, _, _)| *at)
    }
}

/// The next one after `last`, and round again.
fn next(keys: &BTreeSet<LimitKey>, last: Option<&LimitKey>) -> Option<LimitKey> {
    let after = last.map_or(Bound::Unbounded, Bound::Excluded);
    let next = keys.range((after, Bound::Unbounded)).next();
    next.or_else(|| keys.first()).cloned()
}
