//! Who goes before whom, of those who wait.
//!
//! Calls of one priority are a **class**. A class goes before another when its oldest call, made older by the
//! priority's worth of aging, is the older one: what is urgent passes what came at the same time, and what
//! came long before is not passed for ever. Within a class the agents share: *start-time fair queueing*. Each
//! call begins, in the class's virtual time, where its agent's call before it ends, and takes as long as its
//! size over the agent's weight. So an agent that sends nine thousand calls has its share, and the others
//! have theirs. Calls of one agent keep their order. The class's time goes on with all that is served, and
//! newcomers begin there: they may come without end, and starve nobody. It does not begin again when nobody waits: a
//! call that comes back after that still goes before all that came later.
//!
//! Before all of that go those who are below a guaranteed share, but not before one that was passed by them for
//! too long.
//!
//! Plain data: no clock, lock or task.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::owners::{NOBODY, Owners, Shares};

/// One unit of virtual time: a call that takes a whole limit, by an agent of weight 1.
pub(super) const WHOLE: u64 = 1 << 32;

/// A waiter's rank. Unique; which of two goes first, [`Order::before`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Rank {
    pub(super) line: Line,
    /// When it came, in microseconds.
    pub(super) arrival: i64,
    pub(super) seat: Seat,
    /// How much virtual time it takes.
    pub(super) size: u64,
}

/// Those of whom the one with the better seat always goes first: all else that ranks them is the same for all of
/// a line, or the first of it would not be its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Line {
    pub(super) priority: i32,
    /// Those whom owners passed for too long stand apart: they go before better seats.
    pub(super) lifted: bool,
    /// The number of the [owner](Owners) of the shares it has.
    pub(super) owner: u32,
}

/// A waiter's place in its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Seat {
    /// Where it begins in the class's virtual time.
    pub(super) start: u64,
    /// Tells apart calls that came at the same instant.
    pub(super) order: u64,
    /// Tells apart two attempts of one call that wait at the same time: nobody else who waits in this process has it.
    pub(super) place: u64,
}

/// Who asks for a rank.
#[derive(Clone, Debug)]
pub(super) struct Comer {
    pub(super) priority: i32,
    pub(super) arrival: i64,
    pub(super) order: u64,
    /// Where it began when it queued before: it keeps that.
    pub(super) start: Option<u64>,
    pub(super) agent: Arc<str>,
    /// How much virtual time it takes.
    pub(super) size: u64,
    /// What it needs of each of its counts.
    pub(super) needs: Box<[u64]>,
    /// The guaranteed shares it has, and whether it is below all of them.
    pub(super) shares: Option<Shares>,
    pub(super) below: bool,
    /// The [version](crate::limit::Limits::version) of the limits by which it needs this.
    pub(super) version: u32,
}

/// Who of a line goes before a rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surely {
    All,
    ByTheirSeats,
    Nobody,
}

#[derive(Debug, Default)]
pub(super) struct Order {
    /// How much older one step of priority makes a class, in microseconds.
    aging: i64,
    classes: BTreeMap<i32, Class>,
    /// The places of the classes, each by its oldest call: in this order they go.
    turns: BTreeSet<(i64, i64)>,
    turned: bool,
    pub(super) owners: Owners,
    places: u64,
    /// Where the furthest of those began that were granted, of all classes: there a class begins that nobody waits in.
    /// Whoever comes back has begun no later.
    reached: u64,
}

#[derive(Debug, Default)]
struct Class {
    /// When each came, with its place.
    arrivals: BTreeSet<(i64, u64)>,
    /// Where the call that was granted last began, or where all who wait would be by now, whichever is later.
    now: u64,
    /// How far everybody would be, were all who wait served at the same time.
    fluid: u64,
    parties: HashMap<Arc<str>, Party>,
    /// How many of them wait.
    busy: u64,
}

#[derive(Debug, Default)]
struct Party {
    /// Where its last call ends.
    end: u64,
    /// Its calls, in the order they came.
    calls: BTreeMap<(u64, u64), Begun>,
}

/// A call of an agent.
#[derive(Clone, Copy, Debug)]
struct Begun {
    /// Where it begins.
    start: u64,
    /// By how much its agent's last call ends later because of it: by nothing, where it keeps an earlier place.
    added: u64,
}

impl Party {
    /// Where the last of its calls begins that wait, by the order in which they came.
    fn last_start(&self) -> u64 {
        let last = self.calls.values().next_back();
        last.map_or(0, |call| call.start)
    }
}

impl Order {
    pub(super) fn new(aging: i64) -> Self {
        static QUEUES: AtomicU64 = AtomicU64::new(0);
        // A million million who wait in each queue.
        let places = QUEUES.fetch_add(1, Ordering::Relaxed) << 40;
        Order {
            aging,
            places,
            ..Order::default()
        }
    }

    /// How much older one step of priority makes a class, in microseconds.
    pub(super) fn aging(&self) -> u64 {
        self.aging.unsigned_abs()
    }

    /// The rank that a comer would have.
    pub(super) fn rank(&self, comer: &Comer) -> Rank {
        let class = self.classes.get(&comer.priority);
        let start = comer.start.or_else(|| Some(class?.start(comer)));
        let seat = Seat {
            start: start.unwrap_or(self.reached),
            order: comer.order,
            place: self.places + 1,
        };
        let line = Line {
            priority: comer.priority,
            lifted: false,
            owner: self.owners.number(comer.shares.as_ref(), comer.below),
        };
        Rank {
            line,
            arrival: comer.arrival,
            seat,
            size: comer.size,
        }
    }

    /// Takes a comer in.
    pub(super) fn join(&mut self, comer: &Comer) -> Rank {
        let owner = self.owners.join(comer.shares.as_ref(), comer.below);
        let rank = self.rank(comer);
        debug_assert_eq!(rank.line.owner, owner);
        self.places += 1;
        let class = self.classes.entry(comer.priority);
        let class = class.or_insert_with(|| Class::beginning_at(self.reached));
        let before = class.oldest();
        class.arrivals.insert((rank.arrival, rank.seat.place));
        let now = class.now;
        let party = class.parties.entry(comer.agent.clone()).or_default();
        class.busy += u64::from(party.calls.is_empty());
        let begun = Begun {
            start: rank.seat.start,
            added: if comer.start.is_none() { comer.size } else { 0 },
        };
        party.calls.insert((comer.order, rank.seat.place), begun);
        if comer.start.is_none() {
            let end = now.max(party.end).max(party.last_start());
            party.end = end.saturating_add(begun.added);
        }
        class.forget_the_past();
        self.take_turn(comer.priority, before);
        rank
    }

    /// Lets one go that was granted.
    pub(super) fn granted(&mut self, rank: Rank, agent: &str) {
        // What is guaranteed goes out of turn, and says nothing of how far the others are.
        let in_turn = !self.owners.is_below(rank.line.owner);
        let class = self.classes.get_mut(&rank.line.priority);
        if let Some(class) = class.filter(|_| in_turn) {
            class.advance(rank);
        }
        self.reached = self.reached.max(rank.seat.start);
        self.leave(rank, agent);
    }

    /// Lets one go that was not: its agent has not had what it asked for.
    pub(super) fn gave_up(&mut self, rank: Rank, agent: &str) {
        let class = self.classes.get_mut(&rank.line.priority);
        if let Some(party) = class.and_then(|class| class.parties.get_mut(agent)) {
            let call = party.calls.get(&(rank.seat.order, rank.seat.place));
            let added = call.map_or(0, |call| call.added);
            party.end = party.end.saturating_sub(added);
        }
        self.leave(rank, agent);
    }

    fn leave(&mut self, rank: Rank, agent: &str) {
        self.owners.leave(rank.line.owner);
        let Some(class) = self.classes.get_mut(&rank.line.priority) else {
            return;
        };
        let before = class.oldest();
        class.arrivals.remove(&(rank.arrival, rank.seat.place));
        if let Some(party) = class.parties.get_mut(agent) {
            let key = (rank.seat.order, rank.seat.place);
            let left = party.calls.remove(&key).is_some();
            class.busy -= u64::from(left && party.calls.is_empty());
        }
        if class.arrivals.is_empty() {
            // Nobody waits: of those who come now nobody is ahead of anybody.
            self.classes.remove(&rank.line.priority);
        }
        self.take_turn(rank.line.priority, before);
    }

    /// Notes where a class goes from now on, whose oldest call came at this instant before, and whether it has passed
    /// another by that. However many classes there are, no other is looked at.
    fn take_turn(&mut self, priority: i32, before: Option<i64>) {
        let now = self.classes.get(&priority).and_then(Class::oldest);
        let place = |arrival| self.aged(arrival, priority);
        let (from, to) = (before.map(place), now.map(place));
        if from == to {
            return;
        }
        if let Some(from) = from {
            self.turns.remove(&from);
        }
        if let (Some(from), Some(to)) = (from, to) {
            let mut passed = self.turns.range(from.min(to)..=from.max(to));
            self.turned |= passed.next().is_some();
        }
        self.turns.extend(to);
    }

    /// Whether any class has passed another since this was asked last.
    pub(super) fn turned(&mut self) -> bool {
        std::mem::take(&mut self.turned)
    }

    /// Whether `a` goes before `b`.
    pub(super) fn before(&self, a: Rank, b: Rank) -> bool {
        match (self.is_first(a), self.is_first(b)) {
            (true, false) => true,
            (false, true) => false,
            _ => self.in_turn(a, b),
        }
    }

    /// Whether `a` goes before `b` where nothing is guaranteed.
    pub(super) fn in_turn(&self, a: Rank, b: Rank) -> bool {
        (self.class(a), a.seat) < (self.class(b), b.seat)
    }

    /// Who of a line goes before one with this rank for sure, as long as nobody comes back who is older.
    pub(super) fn surely_before(&self, line: Line, rank: Rank) -> Surely {
        let of = rank.line;
        if line == of {
            return Surely::ByTheirSeats;
        }
        if of.owner != NOBODY {
            // It may come to be below its share, and pass them.
            return Surely::Nobody;
        }
        if line.priority == of.priority {
            return Surely::ByTheirSeats;
        }
        // A class falls back as its oldest go: it stays before as long as even its newest would.
        let newest = self
            .classes
            .get(&line.priority)
            .and_then(|class| class.arrivals.last());
        let newest = newest.map(|(arrival, _)| self.aged(*arrival, line.priority));
        match newest {
            Some(newest) if newest < self.class(rank) => Surely::All,
            _ => Surely::Nobody,
        }
    }

    /// A rank's place as if some had gone, where nothing is guaranteed: of two the lesser goes first.
    pub(super) fn when_gone(&self, rank: Rank, gone: impl Fn(u64) -> bool) -> ((i64, i64), Seat) {
        let priority = rank.line.priority;
        let class = self.classes.get(&priority).into_iter();
        let mut left = class.flat_map(|class| &class.arrivals);
        let oldest = left.find(|(_, place)| !gone(*place));
        let oldest = oldest.map_or(rank.arrival, |(arrival, _)| *arrival);
        (self.aged(oldest, priority), rank.seat)
    }

    /// Whether it goes before those who have nothing guaranteed.
    pub(super) fn is_first(&self, rank: Rank) -> bool {
        rank.line.lifted || self.owners.is_below(rank.line.owner)
    }

    /// A class's place among classes: its oldest arrival less its priority's worth of aging; of two at the
    /// same place the more urgent first. A comer that has not joined yet counts as one of its class.
    fn class(&self, rank: Rank) -> (i64, i64) {
        let oldest = self
            .classes
            .get(&rank.line.priority)
            .and_then(|class| class.arrivals.first());
        let oldest = oldest.map_or(rank.arrival, |(arrival, _)| rank.arrival.min(*arrival));
        self.aged(oldest, rank.line.priority)
    }

    fn aged(&self, arrival: i64, priority: i32) -> (i64, i64) {
        let head_start = self.aging.saturating_mul(priority.into());
        (arrival.saturating_sub(head_start), -i64::from(priority))
    }
}

impl Class {
    /// One whose time begins there.
    fn beginning_at(now: u64) -> Self {
        Class {
            now,
            fluid: now,
            ..Class::default()
        }
    }

    /// When the call came that has waited longest.
    fn oldest(&self) -> Option<i64> {
        self.arrivals.first().map(|(arrival, _)| *arrival)
    }

    /// One that was granted moves the class's time. Each newcomer begins at that time, so it must not stand still
    /// while newcomers come and are served: calls that wait further on would wait for ever. Up to one call
    /// behind the fluid schedule it stays where the last call began.
    fn advance(&mut self, Rank { seat, size, .. }: Rank) {
        let step = size.div_ceil(self.busy.max(1));
        self.fluid = self.fluid.max(seat.start).saturating_add(step);
        let behind = self.fluid.saturating_sub(size);
        self.now = self.now.max(seat.start).max(behind);
    }

    /// Where a comer begins: where its agent's last call ends, or before a call that waits and came later.
    fn start(&self, comer: &Comer) -> u64 {
        let Some(party) = self.parties.get(&comer.agent) else {
            return self.now;
        };
        let later = party.calls.range((comer.order, u64::MAX)..).next();
        // One that gave up leaves the end before those of its agent that came after it, and wait.
        let end = self.now.max(party.end).max(party.last_start());
        later.map_or(end, |(_, call)| call.start)
    }

    /// An agent whose calls have all begun begins anew: where its last one ends says nothing any more. So does
    /// one after which more others had their turn than twice as many as wait: otherwise all that ever came would
    /// be looked at for each that comes.
    fn forget_the_past(&mut self) {
        let most = 2 * self.arrivals.len() + 64;
        if self.parties.len() <= most {
            return;
        }
        let now = self.now;
        self.parties
            .retain(|_, party| party.end > now || !party.calls.is_empty());
        if self.parties.len() > most {
            let gone = self.parties.values().filter(|p| p.calls.is_empty());
            let mut ends: Vec<u64> = gone.map(|party| party.end).collect();
            let half = ends.len() / 2;
            let (_, half, _) = ends.select_nth_unstable(half);
            self.parties
                .retain(|_, party| party.end > *half || !party.calls.is_empty());
        }
    }
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
