use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    Money, Usage,
    limit::{Demand, Limit, Limits},
    store::{
        Settlement,
        asked::Asked,
        clock::told::At,
        redis::{
            entry::{Op, Place},
            replica::Outcome,
        },
    },
    tags::Tags,
};

const PERIOD: u64 = 6_000_000;
const LEASE: u64 = 1_000_000;
const HOUR: Duration = Duration::from_secs(3_600);

fn limits() -> Limits {
    let window = |limit: Limit| {
        limit
            .every(Duration::from_micros(PERIOD))
            .margin(Duration::ZERO)
    };
    Limits::new([
        window(Limit::requests(12)),
        window(Limit::tokens(300)),
        Limit::cost(Money::from_nanos(2_500))
            .every(HOUR)
            .margin(Duration::ZERO),
    ])
    .unwrap()
}

fn used(size: u64) -> Settlement {
    let mut usage = Usage::new(size, 0);
    usage.cost = Some(Money::from_nanos(size));
    Settlement::Usage(usage)
}

fn asked(size: u64) -> Asked {
    let claim = Claim::new(
        Tags::new(),
        Demand {
            input: size,
            cost: size,
            ..Demand::default()
        },
    );
    Asked::of(&claim, &limits())
}

/// Processes that all do the same log, so that one replica shows what each has.
struct Fleet {
    replica: Replica,
    at: At,
    processes: Vec<Process>,
    numbers: Vec<u64>,
}

impl Fleet {
    fn of(processes: usize) -> Self {
        Fleet {
            replica: Replica::new(limits(), None, "one", At::default()),
            at: At::default(),
            processes: (0..processes).map(|_| Process::new()).collect(),
            numbers: vec![0; processes],
        }
    }

    fn does(&mut self, who: usize, op: Op) -> (u64, Outcome) {
        self.numbers[who] += 1;
        let entry = Entry {
            place: Place {
                pos: self.replica.last().pos + 1,
                tag: 1,
            },
            at: self.at,
            process: self.processes[who],
            number: self.numbers[who],
            op,
        };
        (entry.number, self.replica.apply(&entry).outcome)
    }

    /// Asks ahead. From when on it may leave, where it was granted.
    fn asks(&mut self, who: usize, size: u64, first: bool) -> Option<(u64, Tick)> {
        let op = match first {
            true => Op::Wait {
                asked: asked(size),
                number: who as u64,
                priority: 0,
                lease: LEASE,
            },
            false => Op::Lease {
                asked: asked(size),
                lease: LEASE,
            },
        };
        let (number, outcome) = self.does(who, op);
        let granted = matches!(outcome, Outcome::Granted);
        let starts = self.replica.starts(self.processes[who], number);
        granted.then(|| (number, starts.unwrap_or(self.at.tick)))
    }

    fn passes(&mut self, micros: u64) {
        self.at.tick = self.at.tick.after_micros(micros);
        self.at.wall += i64::try_from(micros).unwrap();
    }

    fn in_use(&mut self, limit: usize) -> u64 {
        self.replica.tell(self.at);
        let claim = asked(1).to(&limits());
        let standings = self.replica.store().peek(&claim).at_once().unwrap();
        standings[limit].in_use
    }
}

/// One that was granted and has not left as far as the others know.
struct Open {
    who: usize,
    number: u64,
    size: u64,
    leaves: Tick,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// However late what has left is told: what leaves within any period is no more than the limits allow.
    #[test]
    fn no_limit_is_passed_by_what_is_granted_ahead(
        steps in prop::collection::vec((0usize..4, 0u8..6, 1u64..80, 0u64..400_000), 1..200),
    ) {
        let mut fleet = Fleet::of(4);
        let mut open: Vec<Open> = Vec::new();
        let mut left: Vec<(Tick, u64)> = Vec::new();
        let mut ahead = 0;
        for (who, what, size, micros) in steps {
            fleet.passes(micros);
            match what {
                0..4 => if let Some((number, starts)) = fleet.asks(who, size, what == 0) {
                    ahead += usize::from(starts > fleet.at.tick);
                    let leaves = starts.after_micros(size * 1_000);
                    open.push(Open { who, number, size, leaves });
                },
                // A process tells what has left meanwhile.
                4 => {
                    let now = fleet.at.tick;
                    for gone in open.extract_if(.., |open| open.who == who && open.leaves <= now) {
                        let age = micros_between(now, gone.leaves);
                        fleet.does(who, Op::Date(gone.number, age));
                        fleet.does(who, Op::Settle(gone.number, used(gone.size)));
                        left.push((gone.leaves, gone.size));
                    }
                }
                // Or gives one back that has not.
                _ => {
                    let now = fleet.at.tick;
                    let place = open.iter().position(|open| open.who == who && open.leaves > now);
                    if let Some(place) = place {
                        let gone = open.swap_remove(place);
                        fleet.does(who, Op::Release(gone.number));
                    }
                }
            }
        }
        left.extend(open.iter().map(|open| (open.leaves, open.size)));
        left.sort_unstable();
        for (place, (begin, _)) in left.iter().enumerate() {
            let within = left[place..].iter().take_while(|(at, _)| micros_between(*at, *begin) < PERIOD);
            let (calls, tokens) = within.fold((0, 0), |(calls, tokens), (_, size)| (calls + 1, tokens + size));
            prop_assert!(calls <= 12 && tokens <= 300, "{calls} calls with {tokens} tokens from {begin:?} on, {ahead} ahead");
        }
        let cost: u64 = left.iter().map(|(_, size)| size).sum();
        prop_assert!(cost <= 2_500, "{cost} spent");
    }
}

fn micros_between(later: Tick, earlier: Tick) -> u64 {
    micros(later.since(earlier))
}

/// Sends what was granted, at once.
fn spend(fleet: &mut Fleet, who: usize, size: u64) {
    let (number, starts) = fleet.asks(who, size, false).unwrap();
    assert_eq!(starts, fleet.at.tick, "there is room");
    fleet.does(who, Op::Date(number, 0));
    fleet.does(who, Op::Settle(number, used(size)));
}

#[test]
fn it_is_granted_for_the_instant_at_which_there_is_room_and_no_earlier_one_than_a_lease_away() {
    let mut fleet = Fleet::of(2);
    spend(&mut fleet, 0, 200);
    fleet.passes(500_000);
    spend(&mut fleet, 1, 100);
    fleet.passes(PERIOD - 500_000 - LEASE - 1);
    assert_eq!(
        fleet.asks(0, 50, false),
        None,
        "it is too far ahead by a tick"
    );
    fleet.passes(1);
    let room = fleet.at.tick.after_micros(LEASE);
    assert_eq!(fleet.asks(0, 150, false).map(|(_, at)| at), Some(room));
    // Of what comes free then there is so much left.
    assert_eq!(fleet.asks(1, 50, false).map(|(_, at)| at), Some(room));
    assert_eq!(fleet.asks(1, 10, false), None);
}

#[test]
fn money_is_not_granted_ahead_nor_what_waits_for_it() {
    let mut fleet = Fleet::of(1);
    for _ in 0..10 {
        spend(&mut fleet, 0, 250);
        fleet.passes(10 * PERIOD);
    }
    // Half a second before the first of it comes back.
    fleet.passes(micros(HOUR) - 100 * PERIOD - 500_000);
    assert_eq!(fleet.asks(0, 100, true), None);
    fleet.passes(500_000);
    assert!(fleet.asks(0, 100, true).is_some());
}

#[test]
fn of_a_process_that_dies_what_was_granted_ahead_counts_as_used_and_what_is_given_back_does_not() {
    let mut fleet = Fleet::of(3);
    spend(&mut fleet, 0, 300);
    fleet.passes(PERIOD - LEASE);
    assert!(fleet.asks(1, 100, true).is_some());
    let (given_back, _) = fleet.asks(2, 100, true).unwrap();
    fleet.does(2, Op::Release(given_back));
    fleet.passes(LEASE);
    assert_eq!(fleet.in_use(1), 100);
    let dead = fleet.processes[1];
    fleet.does(0, Op::Bury(dead));
    fleet.passes(PERIOD - 1);
    assert_eq!(fleet.in_use(1), 100, "it may have been used until the last");
    fleet.passes(1);
    assert_eq!(fleet.in_use(1), 0);
    assert_eq!(fleet.replica.starts(dead, 1), None);
}

#[test]
fn an_image_knows_from_when_on_they_may_leave() {
    let mut fleet = Fleet::of(2);
    spend(&mut fleet, 0, 300);
    fleet.passes(PERIOD - LEASE);
    let (number, at) = fleet.asks(1, 100, true).unwrap();
    let (read, _) = Replica::of_text(&fleet.replica.text(Vec::new()).unwrap()).unwrap();
    assert_eq!(read.starts(fleet.processes[1], number), Some(at));
    assert_eq!(read.starts(fleet.processes[0], number), None);
}

#[test]
fn what_goes_along_is_claimed_where_the_other_was_granted() {
    let mut fleet = Fleet::of(1);
    let (first, _) = fleet.asks(0, 300, true).unwrap();
    let along = |with| Op::Along {
        asked: asked(0),
        with,
    };
    let (number, outcome) = fleet.does(0, along(first));
    assert!(matches!(outcome, Outcome::Granted));
    fleet.does(0, Op::Release(number));
    let (_, outcome) = fleet.does(0, along(first + 1));
    assert!(matches!(outcome, Outcome::Done), "{outcome:?}");
}
