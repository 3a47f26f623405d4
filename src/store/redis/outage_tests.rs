use proptest::prelude::*;

use super::*;
use crate::{
    Tag, Tags, Usage,
    limit::{Charge, Demand, Limit, Limits, Tick},
    store::redis::entry::{Entry, Op, Place},
};

const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);

/// One thing that happens: who does it, what, and how much passes before.
type Step = (usize, u8, u64, u64);

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0usize..4, 0u8..8, 1u64..60, 0u64..8_000), 0..most)
}

fn limits() -> Limits {
    Limits::new([
        Limit::requests(40).every(MINUTE),
        Limit::tokens(900).every(MINUTE).per(Tag::Agent),
        Limit::input_tokens(1_500)
            .every(MINUTE)
            .charge(Charge::openai()),
        Limit::concurrency(17),
        Limit::cost(crate::Money::from_nanos(2_000)).every(MINUTE * 60),
    ])
    .unwrap()
}

fn claim(size: u64) -> Claim {
    Claim::new(
        Tags::new().with(Tag::Agent, ["a", "b"][usize::from(size.is_multiple_of(2))]),
        Demand {
            input: size,
            output: size / 2,
            cost: size,
            ..Demand::default()
        },
    )
}

fn at_random(size: u64, count: usize) -> usize {
    usize::try_from(size).unwrap() % count
}

/// No more than was claimed: what is used above that is debt, of which the others know nothing.
fn settled(size: u64) -> Settlement {
    let mut usage = Usage::new(size / 2, size / 4);
    usage.cost = Some(crate::Money::from_nanos(size / 3));
    Settlement::Usage(usage)
}

/// All that is known when the server goes away: done by processes in turn.
struct Before {
    replica: Replica,
    at: At,
    numbers: Vec<u64>,
    open: Vec<(usize, u64, u64)>,
}

impl Before {
    fn new() -> Self {
        let at = At::default();
        Before {
            replica: Replica::new(limits(), None, "one", at),
            at,
            numbers: Vec::new(),
            open: Vec::new(),
        }
    }

    fn does(&mut self, processes: &[Process], who: usize, op: Op) -> u64 {
        self.numbers.resize(processes.len(), 0);
        self.numbers[who] += 1;
        let place = Place {
            pos: self.replica.last().pos + 1,
            tag: 1,
        };
        let entry = Entry {
            place,
            at: self.at,
            process: processes[who],
            number: self.numbers[who],
            op,
        };
        let applied = self.replica.apply(&entry);
        if matches!(applied.outcome, Outcome::Granted) {
            self.open.push((who, entry.number, 0));
        }
        entry.number
    }

    fn passes(&mut self, millis: u64) {
        self.at.tick = self.at.tick.after_micros(millis * 1_000);
        self.at.wall += i64::try_from(millis * 1_000).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// All are cut off at one instant. What each grants by itself has room where all of it is counted.
    #[test]
    fn processes_that_are_cut_off_together_pass_no_limit(
        processes in 1usize..5,
        before in steps(60),
        alone in steps(150),
    ) {
        let processes: Vec<Process> = (0..processes).map(|_| Process::new()).collect();
        let mut known = Before::new();
        for who in 0..processes.len() {
            known.does(&processes, who, Op::Nothing);
        }
        for (who, kind, size, millis) in before {
            let who = who % processes.len();
            known.passes(millis);
            if kind < 5 {
                let asked = crate::store::asked::Asked::of(&claim(size), &limits());
                let number = known.does(&processes, who, Op::Claim(asked));
                known.does(&processes, who, Op::Date(number, 0));
                for open in &mut known.open {
                    if (open.0, open.1) == (who, number) {
                        open.2 = size;
                    }
                }
            } else if !known.open.is_empty() {
                let (who, number, size) = known.open.swap_remove(at_random(size, known.open.len()));
                known.does(&processes, who, Op::Settle(number, settled(size)));
            }
        }
        let text = known.replica.text(Vec::new()).unwrap();
        let (mut all, _) = Replica::of_text(&text).unwrap();
        let mut outages: Vec<Outage> = processes
            .iter()
            .map(|_| Outage::new(&known.replica).unwrap())
            .collect();
        let mut open: Vec<(usize, u64, u64, Grant)> = Vec::new();
        for (who, number, size) in known.open.drain(..) {
            let grant = all.take(processes[who], number).unwrap();
            open.push((who, number, size, grant));
        }
        let mut at = known.at;
        let mut next = 1_000;
        for (who, kind, size, millis) in alone {
            let who = who % processes.len();
            at.tick = Tick::from_micros(at.tick.as_micros() + millis * 1_000);
            all.tell(at);
            if kind < 5 {
                next += 1;
                if matches!(outages[who].claim(&claim(size), next, at), Outcome::Granted) {
                    let decision = all.store().claim(&claim(size)).at_once().unwrap();
                    let Decision::Granted(mut grant) = decision else {
                        return Err(TestCaseError::fail(format!("{decision:?}")));
                    };
                    all.store().date(&mut grant);
                    outages[who].date(next, at);
                    open.push((who, next, size, grant));
                }
            } else if !open.is_empty() {
                let (who, number, used, grant) = open.swap_remove(at_random(size, open.len()));
                let settlement = match kind {
                    5 => None,
                    6 => Some(Settlement::Unknown),
                    _ => Some(settled(used)),
                };
                outages[who].end((processes[who], number), settlement, at);
                drop(match settlement {
                    Some(settlement) => all.store().settle(grant, settlement),
                    None => all.store().release(grant),
                });
            }
        }
    }
}

/// What is left is used: alone a process has all of it, of three each a third.
#[test]
fn each_has_an_equal_part_of_what_is_left() {
    for (processes, each) in [(1, 10), (3, 3), (4, 2), (11, 0)] {
        let limits = Limits::new([Limit::requests(10).every(MINUTE)]).unwrap();
        let mut known = Before::new();
        known.replica = Replica::new(limits, None, "one", At::default());
        let processes: Vec<Process> = (0..processes).map(|_| Process::new()).collect();
        for who in 0..processes.len() {
            known.does(&processes, who, Op::Nothing);
        }
        for _ in &processes {
            let mut outage = Outage::new(&known.replica).unwrap();
            let granted = (1..=20).filter(|number| {
                let outcome = outage.claim(&claim(1), *number, At::default());
                matches!(outcome, Outcome::Granted)
            });
            assert_eq!(granted.count(), each);
        }
    }
}
