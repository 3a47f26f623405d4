//! Who waits for what: parked waiters and the instants to look again.
//!
//! Waiters that need the same counts are a **group**: among them nobody passes anybody. A group is parked on
//! *one* count, the one that its head was refused by, and moves as a whole, so that a step costs the same
//! however many wait. Plain data: no clock, lock or task.

mod anew;
mod before;
mod behind;
mod next;
mod registered;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use tokio::runtime::Id;

pub(super) use next::Next;

use super::{
    demand::Demand,
    heads::Heads,
    order::{Comer, Order, Rank},
    owners::Shares,
    parked::Counts,
    pins::{Kept, Pins},
    waiter::Waiter,
};
use crate::{
    limit::{LimitKey, Limits, Quantity, Tick, micros},
    store::NotNow,
};

/// The counts that a group's waiters need.
pub(super) type Keys = Arc<[LimitKey]>;

/// After so many moves a waiter pins its counts.
const MOVES: u32 = 2;

#[derive(Debug)]
pub(super) struct Queue {
    order: Order,
    /// For how long a charge stays in a count: the limits that those who come stand for.
    limits: Limits,
    pins: Pins,
    groups: HashMap<Keys, Group>,
    counts: Counts,
    len: usize,
    /// The runtimes on which a driver runs.
    pub(super) driven: HashSet<Id>,
}

/// Who stands before a comer.
#[derive(Debug)]
pub(super) enum Ahead {
    /// Somebody who waits on this count: the comer waits behind.
    On(LimitKey),
    /// Nobody, or those for whom so much room has to be left.
    Kept(Vec<Kept>),
}

#[derive(Debug)]
struct Group {
    waiters: Heads,
    demand: Demand,
    on: LimitKey,
}

impl Queue {
    pub(super) fn new(aging: i64, limits: Limits) -> Self {
        Queue {
            order: Order::new(aging),
            limits,
            pins: Pins::default(),
            groups: HashMap::new(),
            counts: Counts::default(),
            len: 0,
            driven: HashSet::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// One that goes first is about to take from these counts, and so to pass those who wait there.
    pub(super) fn comes(&mut self, keys: &[LimitKey], comer: &Comer, now: Tick) {
        let rank = self.order.rank(comer);
        keys.iter().for_each(|key| self.passes(key, rank, now));
    }

    /// Who stands before a comer.
    pub(super) fn ahead_of(&mut self, keys: &[LimitKey], comer: &Comer, now: Tick) -> Ahead {
        let rank = self.order.rank(comer);
        match self.blocker(keys, rank) {
            Some((key, _)) => Ahead::On(key.clone()),
            None => Ahead::Kept(self.kept((keys, &comer.needs), rank, now)),
        }
    }

    /// One that waits on one of these counts and goes before this rank, and the count.
    fn blocker<'a>(
        &self,
        keys: &'a [LimitKey],
        rank: Rank,
    ) -> Option<(&'a LimitKey, &Arc<Waiter>)> {
        keys.iter().find_map(|key| {
            let head = self.counts.head(key, &self.order)?;
            let before = self.order.before(head.rank(), rank);
            before.then_some((key, head))
        })
    }

    /// The room that is kept for those who stand before this rank.
    fn kept(&mut self, of: (&[LimitKey], &[u64]), rank: Rank, now: Tick) -> Vec<Kept> {
        let order = &self.order;
        self.pins
            .before(of, rank, now, &self.limits, |a, b| order.before(a, b))
    }

    /// Takes a comer in. It is to be [entered](Self::enter).
    pub(super) fn join(&mut self, comer: &Comer) -> Rank {
        let rank = self.order.join(comer);
        self.turn();
        rank
    }

    /// Has those looked at who go first now, because their class has passed another.
    fn turn(&mut self) {
        if self.order.turned() {
            self.counts.turn();
        }
    }

    /// The same counts as one value with those who need them already.
    pub(super) fn keys(&self, keys: Vec<LimitKey>) -> Keys {
        let known = self.groups.get_key_value(keys.as_slice());
        known.map_or_else(|| keys.into(), |(known, _)| known.clone())
    }

    /// Has one that joined wait with its group, or on the count that refused it. `at`: when there is room for it,
    /// where that is known.
    pub(super) fn enter(&mut self, waiter: &Arc<Waiter>, refused_by: &LimitKey, at: Option<Tick>) {
        let rank = waiter.rank();
        let keys = waiter.stand().keys.clone();
        let fresh = !self.groups.contains_key(&keys);
        let group = self.groups.entry(keys).or_insert_with(|| Group {
            waiters: Heads::default(),
            demand: Demand::default(),
            on: refused_by.clone(),
        });
        let on = group.on.clone();
        let old = group.waiters.first_of(rank.line).map(|old| old.rank());
        group.waiters.insert(waiter.clone());
        group.demand.add(waiter, &group.waiters);
        self.len += 1;
        if old.is_none_or(|old| rank.seat < old.seat) {
            self.counts.park(&on, waiter.clone(), &self.pins);
            if let Some(old) = old {
                self.counts.unpark(&on, old);
            }
        }
        if let Some(at) = at.filter(|_| fresh) {
            self.counts.set_timer(&on, rank, at, &self.order);
        }
        // Room may have come back between its refusal and this; or it goes before the others of its group.
        self.kick([on]);
    }

    /// Parks the group of one that was tried and refused. Nothing where it has gone away meanwhile. `kept`: whether the
    /// store keeps room for it now.
    pub(super) fn refused(&mut self, waiter: &Arc<Waiter>, by: &NotNow, now: Tick, kept: bool) {
        if !self.holds(waiter) {
            if kept {
                self.counts.tell(waiter.place());
            }
            return;
        }
        let keys = waiter.stand().keys.clone();
        let moved = self.park(&keys, &by.key);
        if kept {
            self.counts.register(&by.key, waiter, &self.order);
        } else {
            self.counts.forgo(&by.key, waiter);
        }
        if let Some(at) = by.at {
            self.counts
                .set_timer(&by.key, waiter.rank(), at, &self.order);
        }
        if moved {
            waiter.moved();
            // It may have been given back since, when nobody was parked there to be told.
            self.kick([by.key.clone()]);
        }
        let due = self.due_after(waiter, by, now, moved);
        self.pin(waiter, &by.key, due);
    }

    /// When one is due that was refused, as far as anybody can say.
    fn due_after(&self, waiter: &Waiter, by: &NotNow, now: Tick, moved: bool) -> Tick {
        let least = by.not_before.unwrap_or_default();
        // Where nobody can say it stays as before, so that it does not pin for ever what it cannot use.
        let before = self.pins.due(waiter).filter(|_| !moved);
        let before = before.map(|(due, _)| *due);
        match (by.at, by.not_before) {
            // Calls in flight may give enough back before that: it is due when the rest leaves by itself.
            (Some(at), _) if self.is_corrected(&by.key) => {
                before.map_or(at, |before| before.min(at)).max(least)
            }
            (Some(_), Some(sure)) => sure,
            _ => before.unwrap_or(now).max(least),
        }
    }

    /// Whether tokens count there as so many as were used in the end.
    fn is_corrected(&self, key: &LimitKey) -> bool {
        let rule = self.limits.rule_of(key);
        rule.is_some_and(|rule| rule.may_shrink() && rule.limit.quantity != Quantity::Cost)
    }

    /// Pins the counts of one that has moved too often.
    fn pin(&mut self, waiter: &Arc<Waiter>, on: &LimitKey, due: Tick) {
        if waiter.moves() >= MOVES && self.pins.set(waiter, on, due, &self.limits) {
            let keys = &waiter.stand().keys;
            self.counts.pinned(keys.iter().cloned());
            // Whoever had to leave it room may have to leave less now. And whoever waited behind it, where another
            // driver had sent it meanwhile, waits there alone.
            let others = keys.iter().filter(|key| *key != on);
            self.kick(others.cloned());
        }
    }

    /// Parks a group on a count. Returns whether it was elsewhere.
    fn park(&mut self, keys: &Keys, on: &LimitKey) -> bool {
        let Some(group) = self.groups.get_mut(keys).filter(|group| group.on != *on) else {
            return false;
        };
        let from = std::mem::replace(&mut group.on, on.clone());
        let firsts: Vec<Arc<Waiter>> = group.waiters.firsts().cloned().collect();
        for first in firsts {
            self.counts.unpark(&from, first.rank());
            self.counts.park(on, first, &self.pins);
        }
        true
    }

    /// Those with guaranteed shares who are first on a count, each with one of its calls.
    pub(super) fn owners_on(&self, key: &LimitKey) -> Vec<(u32, Shares, Arc<Waiter>)> {
        let heads = self.counts.heads(key).into_iter();
        let firsts = heads.flat_map(Heads::firsts);
        let owner = |first: &Arc<Waiter>| {
            let number = first.rank().line.owner;
            let shares = self.order.owners.shares(number)?;
            Some((number, shares.clone(), first.clone()))
        };
        firsts.filter_map(owner).collect()
    }

    /// Notes whether an owner is below its shares. Returns whether that is new.
    pub(super) fn note_below(&mut self, shares: &Shares, below: bool) -> bool {
        let changed = self.order.owners.note_below(shares, below);
        if changed {
            // It was first on its counts and is not, or the other way round, wherever its calls wait.
            self.counts.turn();
        }
        changed
    }

    /// Has a count looked at when an owner whose calls wait there falls below its shares. Returns whether that
    /// is earlier than was known.
    pub(super) fn set_wake(&mut self, on: &LimitKey, at: Tick) -> bool {
        self.counts.set_wake(on, at)
    }

    /// Whoever goes next on a count. One that owners have passed there for too long goes before them.
    fn next_head(&mut self, key: &LimitKey, now: Tick) -> Option<Arc<Waiter>> {
        let head = self.counts.head(key, &self.order)?.rank();
        self.passes(key, head, now);
        self.counts.next_head(key, &self.order)
    }

    /// One that goes first may pass another here that goes before it in turn: not for ever.
    fn passes(&mut self, key: &LimitKey, rank: Rank, now: Tick) {
        // While a cooldown lasts nobody passes anybody, and after it everybody goes on.
        if !self.order.is_first(rank) || key.is_cooldown() {
            return;
        }
        let heads = self.counts.heads(key);
        let in_turn = heads.and_then(|heads| heads.first(|a, b| self.order.in_turn(a, b)));
        let Some(in_turn) = in_turn.cloned() else {
            return;
        };
        if self.order.is_first(in_turn.rank()) || !self.order.in_turn(in_turn.rank(), rank) {
            return;
        }
        let stay = self.limits.stay(key).unwrap_or(self.order.aging());
        let passed = now.since(in_turn.passed_since(now));
        if micros(passed) >= stay {
            self.lift(&in_turn);
        }
    }

    /// Has one go before owners, out of its line: better seats wait on there.
    fn lift(&mut self, waiter: &Arc<Waiter>) {
        let Some(group) = self.groups.get_mut(&waiter.stand().keys) else {
            return;
        };
        let from = waiter.rank();
        group.waiters.remove(from);
        group.demand.remove(waiter);
        waiter.lift();
        let to = waiter.rank();
        let known = group.waiters.first_of(to.line).map(|known| known.rank());
        group.waiters.insert(waiter.clone());
        group.demand.add(waiter, &group.waiters);
        let next = group.waiters.first_of(from.line).cloned();
        let on = group.on.clone();
        if known.is_none_or(|known| to.seat < known.seat) {
            self.counts.park(&on, waiter.clone(), &self.pins);
            if let Some(known) = known {
                self.counts.unpark(&on, known);
            }
        }
        if let Some(next) = next {
            self.counts.park(&on, next, &self.pins);
        }
        self.counts.unpark(&on, from);
        self.pins.lifted(waiter, from);
    }

    /// One was granted that had been tried on this count.
    pub(super) fn went(&mut self, key: &LimitKey) {
        if key.is_cooldown() {
            self.counts.went(key);
        }
    }

    /// One was not granted because of this count.
    pub(super) fn lasts(&mut self, key: &LimitKey) {
        if key.is_cooldown() {
            self.counts.lasts(key);
        }
    }

    fn holds(&self, waiter: &Waiter) -> bool {
        let group = self.groups.get(&waiter.stand().keys);
        group.is_some_and(|group| group.waiters.holds(waiter.rank()))
    }

    /// Takes out one that was granted. `first`: whether it had been asked for as the first in turn.
    pub(super) fn granted(&mut self, waiter: &Waiter, first: bool) {
        if self.remove(waiter) {
            self.order.granted(waiter.rank(), &waiter.agent);
            self.turn();
            if first && self.driven.len() < 2 {
                // The store keeps nothing for it any more, unless another driver has asked for it after that.
                self.counts.keep(waiter.place());
            }
        }
    }

    /// Takes out one that was not granted: refused, or gone away. Returns whether it was there.
    pub(super) fn gave_up(&mut self, waiter: &Waiter) -> bool {
        let there = self.remove(waiter);
        if there {
            self.order.gave_up(waiter.rank(), &waiter.agent);
            self.turn();
        }
        there
    }

    fn remove(&mut self, waiter: &Waiter) -> bool {
        let (rank, stand) = (waiter.rank(), waiter.stand());
        let Some(group) = self.groups.get_mut(&stand.keys) else {
            return false;
        };
        let headed = group.waiters.first_of(rank.line).map(|head| head.rank()) == Some(rank);
        if !group.waiters.remove(rank) {
            return false;
        }
        group.demand.remove(waiter);
        let next = group.waiters.first_of(rank.line).cloned();
        let on = group.on.clone();
        if group.waiters.is_empty() {
            self.groups.remove(&stand.keys);
        }
        self.len -= 1;
        if headed {
            if let Some(next) = next {
                // Before the old one is taken off, so that the count is not forgotten in between.
                self.counts.park(&on, next, &self.pins);
            }
            self.counts.unpark(&on, rank);
            // Whoever is next may need less, and whoever waited behind it elsewhere need not any more.
            self.kick([on]);
        }
        if self.pins.remove(waiter) {
            self.kick(stand.keys.iter().cloned());
        }
        true
    }

    /// Marks counts to be looked at now: something was given back there. Returns whether anybody waits there.
    ///
    /// The drivers are to be told then, also where it was marked already: whoever marked it may be a driver
    /// that died or is not run any more.
    pub(super) fn kick(&mut self, keys: impl IntoIterator<Item = LimitKey>) -> bool {
        self.counts.kick(keys)
    }

    /// As [`kick`](Self::kick), where something was given back. Owners that have it in their shares may be below
    /// them by now, and go first wherever their calls wait: one of those counts is looked at for all.
    pub(super) fn given_back(&mut self, keys: Vec<LimitKey>) -> bool {
        let mut any = false;
        for owner in self.order.owners.not_below(&keys) {
            any |= self.counts.kick_one_of(owner);
        }
        self.kick(keys) || any
    }

    /// Marks every count to be looked at.
    pub(super) fn kick_all(&mut self) {
        self.counts.kick_all();
    }

    /// Marks the counts to be looked at that go by a calendar.
    pub(super) fn kick_calendars(&mut self) {
        let limits = &self.limits;
        self.counts.kick_those(|key| limits.is_by_calendar(key));
    }

    /// A count to look at by `now`, the next one after `last`.
    pub(super) fn due(&mut self, now: Tick, last: Option<&LimitKey>) -> Option<LimitKey> {
        self.counts.due(now, last, &self.pins)
    }

    /// When the next count is worth looking at; `None` where nothing but a kick can help.
    pub(super) fn next_timer(&self) -> Option<Tick> {
        self.counts.next_timer()
    }

    /// Everybody who waits.
    pub(super) fn waiters(&self) -> impl Iterator<Item = &Arc<Waiter>> {
        self.groups.values().flat_map(|group| group.waiters.all())
    }
}

#[cfg(test)]
#[path = "queue/tests.rs"]
mod tests;
