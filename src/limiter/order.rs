//! Who goes before whom, of those who wait.
//!
//! Calls of one priority are a **class**. A class goes before another when its oldest call, made older by the
//! priority's worth of aging, is the older one: what is urgent passes what came at the same time, and what
//! came long before is not passed for ever. Within a class the agents share: *start-time fair queueing*. Each
//! call begins, in the class's virtual time, where its agent's call before it ends, and takes as long as its
//! size over the agent's weight. So an agent that sends nine thousand calls has its share, and the others
//! have theirs. Calls of one agent keep their order. The class's time goes on with all that is served, and
//! newcomers begin there: they may come without end, and starve nobody.
//!
//! Plain data: no clock, lock or task.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// One unit of virtual time: a call that takes a whole limit, by an agent of weight 1.
pub(super) const WHOLE: u64 = 1 << 32;

/// A waiter's rank. Unique; which of two goes first, [`Order::before`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Rank {
    pub(super) priority: i32,
    /// When it came, in microseconds.
    pub(super) arrival: i64,
    pub(super) seat: Seat,
    /// How much virtual time it takes.
    pub(super) size: u64,
}

/// A waiter's place in its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Seat {
    /// Where it begins in the class's virtual time.
    pub(super) start: u64,
    /// Tells apart calls that came at the same instant.
    pub(super) order: u64,
    /// Tells apart two attempts of one call that wait at the same time.
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
}

#[derive(Debug, Default)]
pub(super) struct Order {
    /// How much older one step of priority makes a class, in microseconds.
    aging: i64,
    classes: BTreeMap<i32, Class>,
    places: u64,
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
    /// Where each of its calls begins, in the order they came.
    starts: BTreeMap<(u64, u64), u64>,
}

impl Order {
    pub(super) fn new(aging: i64) -> Self {
        Order {
            aging,
            ..Order::default()
        }
    }

    /// The rank that a comer would have.
    pub(super) fn rank(&self, comer: &Comer) -> Rank {
        let class = self.classes.get(&comer.priority);
        let start = comer.start.or_else(|| Some(class?.start(comer)));
        let seat = Seat {
            start: start.unwrap_or_default(),
            order: comer.order,
            place: self.places,
        };
        Rank {
            priority: comer.priority,
            arrival: comer.arrival,
            seat,
            size: comer.size,
        }
    }

    /// Takes a comer in.
    pub(super) fn join(&mut self, comer: &Comer) -> Rank {
        self.places += 1;
        let rank = self.rank(comer);
        let class = self.classes.entry(comer.priority).or_default();
        class.arrivals.insert((rank.arrival, rank.seat.place));
        let now = class.now;
        let party = class.parties.entry(comer.agent.clone()).or_default();
        class.busy += u64::from(party.starts.is_empty());
        party
            .starts
            .insert((comer.order, rank.seat.place), rank.seat.start);
        if comer.start.is_none() {
            party.end = now.max(party.end).saturating_add(comer.size);
        }
        class.forget_the_past();
        rank
    }

    /// Lets one go that was granted.
    pub(super) fn granted(&mut self, rank: Rank, agent: &str) {
        if let Some(class) = self.classes.get_mut(&rank.priority) {
            class.advance(rank);
        }
        self.leave(rank, agent);
    }

    /// Lets one go that was not: its agent has not had what it asked for.
    pub(super) fn gave_up(&mut self, rank: Rank, agent: &str, size: u64) {
        let class = self.classes.get_mut(&rank.priority);
        if let Some(party) = class.and_then(|class| class.parties.get_mut(agent)) {
            party.end = party.end.saturating_sub(size);
        }
        self.leave(rank, agent);
    }

    fn leave(&mut self, rank: Rank, agent: &str) {
        let Some(class) = self.classes.get_mut(&rank.priority) else {
            return;
        };
        class.arrivals.remove(&(rank.arrival, rank.seat.place));
        if let Some(party) = class.parties.get_mut(agent) {
            let key = (rank.seat.order, rank.seat.place);
            let left = party.starts.remove(&key).is_some();
            class.busy -= u64::from(left && party.starts.is_empty());
        }
        if class.arrivals.is_empty() {
            // Nobody waits: nobody is ahead of anybody.
            self.classes.remove(&rank.priority);
        }
    }

    /// Whether `a` goes before `b`.
    pub(super) fn before(&self, a: Rank, b: Rank) -> bool {
        (self.class(a), a.seat) < (self.class(b), b.seat)
    }

    /// A class's place among classes: its oldest arrival less its priority's worth of aging; of two at the
    /// same place the more urgent first. A comer that has not joined yet counts as one of its class.
    fn class(&self, rank: Rank) -> (i64, i64) {
        let oldest = self
            .classes
            .get(&rank.priority)
            .and_then(|class| class.arrivals.first());
        let oldest = oldest.map_or(rank.arrival, |(arrival, _)| rank.arrival.min(*arrival));
        let head_start = self.aging.saturating_mul(rank.priority.into());
        (oldest.saturating_sub(head_start), -i64::from(rank.priority))
    }
}

impl Class {
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
        let later = party.starts.range((comer.order, u64::MAX)..).next();
        later.map_or(self.now.max(party.end), |(_, start)| *start)
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
            .retain(|_, party| party.end > now || !party.starts.is_empty());
        if self.parties.len() > most {
            let gone = self.parties.values().filter(|p| p.starts.is_empty());
            let mut ends: Vec<u64> = gone.map(|party| party.end).collect();
            let half = ends.len() / 2;
            let (_, half, _) = ends.select_nth_unstable(half);
            self.parties
                .retain(|_, party| party.end > *half || !party.starts.is_empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const AGING: i64 = 10;

    fn comer(order: u64, agent: &str, size: u64) -> Comer {
        Comer {
            priority: 0,
            arrival: 0,
            order,
            start: None,
            agent: agent.into(),
            size,
        }
    }

    /// Takes everybody in, in this order, and says in which order they go.
    fn goes(comers: &[Comer]) -> Vec<u64> {
        let mut order = Order::new(AGING);
        let mut ranks: Vec<Rank> = comers.iter().map(|comer| order.join(comer)).collect();
        let mut went = Vec::new();
        while !ranks.is_empty() {
            let first = (1..ranks.len()).fold(0, |best, i| {
                if order.before(ranks[i], ranks[best]) {
                    i
                } else {
                    best
                }
            });
            let rank = ranks.remove(first);
            let agent = comers[usize::try_from(rank.seat.order).unwrap()]
                .agent
                .clone();
            order.granted(rank, &agent);
            went.push(rank.seat.order);
        }
        assert!(
            order.classes.is_empty(),
            "nothing is kept of those who went"
        );
        went
    }

    #[test]
    fn calls_of_one_agent_go_in_the_order_they_came() {
        assert_eq!(
            goes(&(0..5).map(|i| comer(i, "a", WHOLE)).collect::<Vec<_>>()),
            [0, 1, 2, 3, 4]
        );
    }

    #[test]
    fn an_agent_that_came_late_does_not_wait_behind_all_of_one_that_sent_much() {
        let mut comers: Vec<Comer> = (0..4).map(|i| comer(i, "much", WHOLE)).collect();
        comers.extend((4..6).map(|i| comer(i, "few", WHOLE)));
        assert_eq!(goes(&comers), [0, 4, 1, 5, 2, 3]);
    }

    #[test]
    fn twice_the_weight_is_twice_the_share() {
        let mut comers: Vec<Comer> = (0..6).map(|i| comer(i, "light", WHOLE)).collect();
        comers.extend((6..12).map(|i| comer(i, "heavy", WHOLE / 2)));
        let first: Vec<u64> = goes(&comers).into_iter().take(6).collect();
        assert_eq!(
            first.iter().filter(|order| **order >= 6).count(),
            4,
            "{first:?}"
        );
    }

    #[test]
    fn a_priority_goes_first_and_one_that_came_an_aging_span_before_goes_before_it() {
        let urgent = |order, arrival| Comer {
            priority: 1,
            arrival,
            ..comer(order, "b", WHOLE)
        };
        assert_eq!(goes(&[comer(0, "a", WHOLE), urgent(1, 0)]), [1, 0]);
        assert_eq!(goes(&[comer(0, "a", WHOLE), urgent(1, AGING)]), [1, 0]);
        assert_eq!(goes(&[comer(0, "a", WHOLE), urgent(1, AGING + 1)]), [0, 1]);
    }

    #[test]
    fn one_that_queues_again_keeps_its_place() {
        let mut order = Order::new(AGING);
        let first = order.join(&comer(0, "a", WHOLE));
        let others: Vec<Rank> = (1..4).map(|i| order.join(&comer(i, "a", WHOLE))).collect();
        order.granted(first, "a");
        let again = Comer {
            start: Some(first.seat.start),
            ..comer(0, "a", WHOLE)
        };
        let again = order.join(&again);
        assert!(others.iter().all(|other| order.before(again, *other)));
    }

    #[test]
    fn one_that_came_first_and_joins_last_goes_before_those_of_its_agent() {
        let mut order = Order::new(AGING);
        let others: Vec<Rank> = (1..4).map(|i| order.join(&comer(i, "a", WHOLE))).collect();
        let other_agent = order.join(&comer(4, "b", WHOLE));
        let first = order.join(&comer(0, "a", WHOLE));
        assert!(others.iter().all(|other| order.before(first, *other)));
        assert!(
            order.before(other_agent, others[1]),
            "and takes nothing from another agent"
        );
    }

    #[test]
    fn who_gives_up_leaves_its_agent_no_further_behind() {
        let mut order = Order::new(AGING);
        let stays = order.join(&comer(0, "a", WHOLE));
        let goes = order.join(&comer(1, "a", WHOLE * 100));
        order.gave_up(goes, "a", WHOLE * 100);
        let next = order.join(&comer(2, "a", WHOLE));
        assert_eq!(next.seat.start, stays.seat.start + WHOLE);
    }

    #[test]
    fn agents_that_are_gone_are_forgotten() {
        let mut order = Order::new(AGING);
        let stays = order.join(&comer(0, "stays", 0));
        for i in 1..10_000 {
            let rank = order.join(&comer(i, &format!("agent {i}"), 1));
            order.granted(rank, &format!("agent {i}"));
            let seat = Seat {
                start: i + 2,
                ..stays.seat
            };
            order.classes.get_mut(&0).unwrap().now = seat.start;
        }
        assert!(
            order.classes[&0].parties.len() < 100,
            "{}",
            order.classes[&0].parties.len()
        );
    }

    #[test]
    fn agents_that_come_once_are_forgotten_while_many_wait() {
        let mut order = Order::new(AGING);
        for i in 0..200 {
            order.join(&comer(i, &format!("stays {i}"), WHOLE));
        }
        for i in 200..20_000 {
            let rank = order.join(&comer(i, &format!("agent {i}"), WHOLE));
            order.granted(rank, &format!("agent {i}"));
            assert!(order.classes[&0].parties.len() <= 2 * 201 + 64);
        }
        let stay = |i| {
            order.classes[&0]
                .parties
                .contains_key(&*format!("stays {i}"))
        };
        assert!((0..200).all(stay));
    }

    #[test]
    fn newcomers_without_end_do_not_starve_a_call_that_waits_further_on() {
        let mut order = Order::new(AGING);
        let first = order.join(&comer(0, "a", WHOLE));
        let second = order.join(&comer(1, "a", WHOLE));
        order.granted(first, "a");
        let mut waiting: VecDeque<(u64, Rank)> = (2..12)
            .map(|i| (i, order.join(&comer(i, &format!("agent {i}"), WHOLE))))
            .collect();
        // One comes, the first of them goes, again and again; until the second of `a` goes before all of them.
        let passed = (12..).take_while(|i| {
            waiting.push_back((*i, order.join(&comer(*i, &format!("agent {i}"), WHOLE))));
            let (number, rank) = waiting.pop_front().unwrap();
            let passed = order.before(rank, second);
            order.granted(rank, &format!("agent {number}"));
            passed && *i < 1_000
        });
        let passed = passed.count();
        assert!(
            (10..=24).contains(&passed),
            "{passed}: twice as many as wait"
        );
    }
}
