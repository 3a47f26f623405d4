//! Random traces with random changes. Beside the store stands, for each limit that holds, a store that has had it alone
//! since it came: whatever comes, goes and stays around it, it counts and decides the same.

use std::{sync::Arc, time::Duration};

use tokio::time::advance;
use tower_quota::{
    Tag, Tags, Usage,
    limit::{Demand, Limit, Limits, Quantities, Room, Tick},
    store::{Answer, Claim, Decision, Grant, MemoryStore, Reason, Settlement, Standing, Store},
};

use crate::{
    kinds::{KINDS, kind},
    limits,
};

const TRACES: u64 = 250;
const STEPS: usize = 120;
/// The longest that anything counts, and more.
const LONG: Duration = Duration::from_secs(100);

struct World {
    random: fastrand::Rng,
    store: MemoryStore,
    /// It has no limits, and tells what time it is to those that are to begin now.
    clock: MemoryStore,
    alone: Vec<Option<Alone>>,
    came: usize,
    open: Vec<Open>,
    seen: Seen,
}

/// A store that has one limit.
struct Alone {
    store: MemoryStore,
    limit: Limit,
    /// Which it is, of all that came.
    number: usize,
}

struct Open {
    grant: Grant,
    /// Of those that hold since it was claimed.
    alone: Vec<(usize, Grant)>,
    reserved: Demand,
    streamed: u64,
}

#[derive(Debug, Default)]
struct Seen {
    granted: usize,
    refused: usize,
    changed: usize,
    stayed: usize,
    /// Grants that ended where a limit had come or gone since.
    ended_elsewhere: usize,
}

fn now<T>(answer: Answer<T>) -> T {
    match answer {
        Answer::Now(answer) => answer.unwrap(),
        Answer::Later(_) => panic!("the memory answers at once"),
    }
}

/// All that a count says of itself but its place.
fn figures(standing: &Standing) -> (Vec<Arc<str>>, u64, u64, u64, Room, Option<Tick>, bool) {
    let Standing {
        key,
        in_use,
        reserved,
        needed,
        room,
        not_before,
        shadow,
    } = standing;
    (
        key.values().to_vec(),
        *in_use,
        *reserved,
        *needed,
        *room,
        *not_before,
        *shadow,
    )
}

impl World {
    fn new(seed: u64) -> Self {
        let none = || MemoryStore::new(limits([]));
        World {
            random: fastrand::Rng::with_seed(seed),
            store: none(),
            clock: none(),
            alone: (0..KINDS).map(|_| None).collect(),
            came: 0,
            open: Vec::new(),
            seen: Seen::default(),
        }
    }

    fn limits_of(&self) -> Limits {
        limits(self.alone.iter().flatten().map(|alone| alone.limit.clone()))
    }

    async fn step(&mut self) {
        match self.random.u8(..100) {
            0..45 => self.claim(),
            45..65 => self.end_one(),
            65..72 => self.stream_one(),
            72..76 => self.record(),
            76..86 => self.change(),
            _ => {
                let most = 1 << self.random.u32(10..24);
                advance(Duration::from_micros(self.random.u64(..most))).await;
            }
        }
        let claim = self.any_claim();
        self.compare(&claim);
    }

    fn any_claim(&mut self) -> Claim {
        let random = &mut self.random;
        let mut tags = Tags::new();
        for (tag, values) in [
            (Tag::Agent, ["a", "b", "c"]),
            (Tag::Run, ["r", "s", ""]),
            (Tag::Team, ["x", "y", ""]),
        ] {
            let value = values[random.usize(..3)];
            if !value.is_empty() {
                tags.set(tag, value);
            }
        }
        let demand = Demand {
            input: random.u64(..200),
            output: random.u64(..200),
            input_declared: random.bool(),
            output_declared: random.bool(),
            ..Demand::default()
        };
        Claim {
            quantities: Quantities::ADMISSION,
            repeat: random.u8(..8) == 0,
            ..Claim::new(tags, demand)
        }
    }

    /// Every count stands as it does where its limit is alone.
    fn compare(&self, claim: &Claim) {
        let sorted = |standings: &mut dyn Iterator<Item = Standing>| {
            let mut figures: Vec<_> = standings.map(|standing| figures(&standing)).collect();
            figures.sort();
            figures
        };
        let together = sorted(&mut now(self.store.peek(claim)).into_iter());
        let alone = self.alone.iter().flatten();
        let alone = sorted(&mut alone.flat_map(|alone| now(alone.store.peek(claim))));
        assert_eq!(together, alone, "{claim:?}");
    }

    fn claim(&mut self) {
        let claim = self.any_claim();
        self.compare(&claim);
        let standings = now(self.store.peek(&claim));
        let room = standings
            .iter()
            .all(|count| count.shadow || count.room == Room::Now);
        let Decision::Granted(mut grant) = now(self.store.claim(&claim)) else {
            assert!(!room, "refused though each has room: {standings:?}");
            self.seen.refused += 1;
            return;
        };
        assert!(room, "granted though one has none: {standings:?}");
        self.seen.granted += 1;
        let sent = self.random.u8(..8) > 0;
        if sent {
            self.store.date(&mut grant);
        }
        let mut all = Vec::new();
        for alone in self.alone.iter().flatten() {
            let Decision::Granted(mut grant) = now(alone.store.claim(&claim)) else {
                panic!("{} refuses what it grants among others", alone.limit)
            };
            if sent {
                alone.store.date(&mut grant);
            }
            all.push((alone.number, grant));
        }
        self.open.push(Open {
            grant,
            alone: all,
            reserved: claim.demand,
            streamed: 0,
        });
    }

    fn stream_one(&mut self) {
        let Some(place) = self.any_open() else { return };
        let open = &mut self.open[place];
        open.streamed += self.random.u64(..120);
        self.store.streamed(&mut open.grant, open.streamed);
        for (number, grant) in &mut open.alone {
            if let Some(alone) = self
                .alone
                .iter()
                .flatten()
                .find(|alone| alone.number == *number)
            {
                alone.store.streamed(grant, open.streamed);
            }
        }
    }

    fn any_open(&mut self) -> Option<usize> {
        (!self.open.is_empty()).then(|| self.random.usize(..self.open.len()))
    }

    fn end_one(&mut self) {
        let Some(place) = self.any_open() else { return };
        let Open {
            grant,
            alone: all,
            reserved,
            ..
        } = self.open.swap_remove(place);
        let settlement = match self.random.u8(..4) {
            0 => None,
            1 => Some(Settlement::Unknown),
            _ => {
                let part = |most: u64, random: &mut fastrand::Rng| random.u64(..=most + most / 4);
                let usage = Usage::new(
                    part(reserved.input, &mut self.random),
                    part(reserved.output, &mut self.random),
                );
                Some(Settlement::Usage(usage))
            }
        };
        let end = |store: &MemoryStore, grant| match settlement {
            Some(settlement) => now(store.settle(grant, settlement)),
            None => now(store.release(grant)),
        };
        end(&self.store, grant);
        let (mut ended, before) = (0, all.len());
        for (number, grant) in all {
            if let Some(alone) = self
                .alone
                .iter()
                .flatten()
                .find(|alone| alone.number == number)
            {
                end(&alone.store, grant);
                ended += 1;
            }
        }
        self.seen.ended_elsewhere += usize::from(ended < before);
    }

    fn record(&mut self) {
        let tags = self.any_claim().tags;
        let usage = Usage::new(self.random.u64(..100), self.random.u64(..100));
        now(self.store.record(&tags, usage));
        for alone in self.alone.iter().flatten() {
            now(alone.store.record(&tags, usage));
        }
    }

    /// Some come, some go, some stay, of those some otherwise.
    fn change(&mut self) {
        for place in 0..KINDS {
            let here = self.alone[place].take();
            self.alone[place] = match (here, self.random.u8(..4)) {
                (Some(alone), 0..2) => Some(alone),
                (Some(alone), 2) => {
                    let limit = kind(place, &mut self.random);
                    let other = limits([limit.clone()]);
                    now(alone.store.reconfigure(&other, &Reason::default()));
                    Some(Alone { limit, ..alone })
                }
                (None, 0..2) => {
                    let limit = kind(place, &mut self.random);
                    let since = self.clock.snapshot();
                    let alone =
                        MemoryStore::restore(limits([limit.clone()]), &since, Duration::ZERO);
                    self.came += 1;
                    Some(Alone {
                        store: alone.unwrap(),
                        limit,
                        number: self.came,
                    })
                }
                _ => None,
            };
            self.seen.stayed += usize::from(self.alone[place].is_some());
        }
        self.seen.changed += 1;
        now(self
            .store
            .reconfigure(&self.limits_of(), &Reason::default()));
    }

    /// All ends: nothing is in flight, and in the end nothing counts but runs.
    async fn finish(&mut self) {
        while !self.open.is_empty() {
            self.end_one();
        }
        for _ in 0..20 {
            let claim = self.any_claim();
            self.compare(&claim);
            let standings = now(self.store.peek(&claim));
            assert!(
                standings.iter().all(|count| count.reserved == 0),
                "{standings:?}"
            );
        }
        advance(LONG).await;
        self.alone[4] = None;
        now(self
            .store
            .reconfigure(&self.limits_of(), &Reason::default()));
        for _ in 0..20 {
            let claim = self.any_claim();
            let standings = now(self.store.peek(&claim));
            assert!(
                standings.iter().all(|count| count.in_use == 0),
                "{standings:?}"
            );
        }
        now(self.store.reconfigure(&limits([]), &Reason::default()));
        assert!(self.store.is_empty());
    }
}

#[test]
fn limits_that_stay_count_and_decide_as_if_they_were_alone_from_the_beginning() {
    let mut all = Seen::default();
    for seed in 0..TRACES {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(async {
                let mut world = World::new(seed);
                world.change();
                for _ in 0..STEPS {
                    world.step().await;
                }
                world.finish().await;
                world.seen
            })
        }));
        let Ok(seen) = told else {
            panic!("the trace of seed {seed} fails");
        };
        all.granted += seen.granted;
        all.refused += seen.refused;
        all.changed += seen.changed;
        all.stayed += seen.stayed;
        all.ended_elsewhere += seen.ended_elsewhere;
    }
    println!("{all:?}");
    assert!(all.granted > 4_000 && all.refused > 1_000, "{all:?}");
    assert!(
        all.changed > 2_000 && all.stayed > 8_000 && all.ended_elsewhere > 300,
        "{all:?}"
    );
}
