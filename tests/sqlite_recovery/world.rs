//! Random things done to two stores at once, and what they say.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::{Instant, advance};
use tower_quota::{
    Money, Tag, Tags, Usage,
    limit::{CalendarUnit, Charge, Demand, Limit, LimitKey, Limits, Quantity},
    store::{
        Claim, Correction, Decision, Grant, MemoryStore, Observation, Reason, Settlement,
        SqliteStore, Store, sqlite::SqliteOptions,
    },
    wire::{Observed, ObservedQuantity},
};

use crate::come_and_go::{Kinds, SLOTS};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// The clock on the wall goes with the one that is paused.
pub(crate) fn wall() -> impl Fn() -> SystemTime + Clone + Send + Sync + 'static {
    let (start, noon) = (
        Instant::now(),
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000),
    );
    move || noon + start.elapsed()
}

/// Of every kind one.
pub(crate) fn limits(amount: u64) -> Limits {
    Limits::new(kinds(amount)).unwrap()
}

pub(crate) fn kinds(amount: u64) -> [Limit; KINDS] {
    let dollars = Money::from_dollars;
    [
        Limit::requests(amount)
            .every(MINUTE)
            .slice(MINUTE / 10)
            .adaptive(0.2),
        Limit::tokens(amount * 150).every(MINUTE).per(Tag::Agent),
        Limit::input_tokens(2_500)
            .every(MINUTE * 3)
            .charge(Charge::openai()),
        Limit::output_tokens(6_000).every(MINUTE * 2),
        Limit::requests(400).every_run(),
        Limit::concurrency(6),
        Limit::cost(dollars(amount))
            .every(MINUTE * 10)
            .thresholds([0.3, 0.6, 0.9]),
        Limit::cost(dollars(4))
            .every(MINUTE * 5)
            .per(Tag::Agent)
            .circuit(),
        Limit::cost(dollars(9)).every_calendar(CalendarUnit::Hour, "UTC"),
        Limit::requests(30).every(MINUTE / 2).count_refused(),
    ]
}

pub(crate) const KINDS: usize = 10;

pub(crate) fn claim(agent: &str, input: u64) -> Claim {
    let demand = Demand {
        input,
        output: input / 2,
        cost: input * 4_000_000,
        ..Demand::default()
    };
    let tags = Tags::new()
        .with(Tag::Agent, agent)
        .with(Tag::Model, "m")
        .with(Tag::Run, "r");
    Claim::new(tags, demand)
}

/// A store, and its grants that have not ended: of two stores in the same order.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) open: Vec<(Grant, u64)>,
    pub(crate) said: Vec<String>,
}

impl World {
    pub(crate) fn of(store: impl Store) -> Self {
        World::sharing(Arc::new(store))
    }

    pub(crate) fn sharing(store: Arc<dyn Store>) -> Self {
        World {
            store,
            open: Vec::new(),
            said: Vec::new(),
        }
    }

    pub(crate) fn memory(
        limits: Limits,
        wall: impl Fn() -> SystemTime + Send + Sync + 'static,
    ) -> Self {
        World::of(MemoryStore::new(limits).wall_clock(wall))
    }

    pub(crate) async fn claim(&mut self, claim: &Claim, dated: bool) {
        let said = match self.store.claim(claim).get().await.unwrap() {
            Decision::Granted(mut grant) => {
                if dated {
                    self.store.date(&mut grant);
                }
                self.open.push((grant, claim.demand.input));
                "granted".to_owned()
            }
            Decision::NotNow(refused) => {
                self.store.refuse(claim).get().await.unwrap();
                let wait = refused.at.map(|at| at.since(self.store.now()));
                format!("not now: {} {} {wait:?}", refused.key, refused.in_use)
            }
            Decision::Never(refused) => format!("never: {} {}", refused.key, refused.in_use),
        };
        self.said.push(said);
    }

    /// The slot that a call holds for those inside of it, where there are any.
    fn slots(&self, call: &Claim) -> Vec<LimitKey> {
        let quantities = [Quantity::Concurrency].into_iter().collect();
        self.store.keys(&Claim {
            quantities,
            held: Vec::new(),
            ..call.clone()
        })
    }

    pub(crate) fn date(&mut self, place: usize) {
        self.store.date(&mut self.open[place].0);
    }

    pub(crate) async fn settle(&mut self, place: usize, settlement: Option<Settlement>) {
        let (grant, _) = self.open.remove(place);
        let answer = match settlement {
            Some(settlement) => self.store.settle(grant, settlement),
            None => self.store.release(grant),
        };
        answer.get().await.unwrap();
    }

    /// What was in flight is unknown.
    pub(crate) async fn lose_all(&mut self) {
        for (grant, _) in self.open.drain(..) {
            self.store
                .settle(grant, Settlement::Unknown)
                .get()
                .await
                .unwrap();
        }
    }

    /// What is in use of each count, and what has happened to budgets.
    pub(crate) async fn look(&mut self) {
        for agent in ["a", "b", "c"] {
            let standings = self.store.peek(&claim(agent, 10)).get().await.unwrap();
            let now = self.store.now();
            let standings = standings.iter().map(|standing| {
                let before = standing.not_before.map(|at| at.since(now));
                format!(
                    "{} {} {} {before:?}",
                    standing.key, standing.in_use, standing.reserved
                )
            });
            self.said.push(standings.collect::<Vec<_>>().join("; "));
        }
        self.said
            .extend(self.store.events().iter().map(ToString::to_string));
    }
}

pub(crate) struct Both {
    pub(crate) memory: World,
    pub(crate) file: World,
    pub(crate) random: fastrand::Rng,
    /// Whether more may stream than was reserved.
    pub(crate) overflows: bool,
    /// Those that hold, where they come and go.
    pub(crate) kinds: Option<Kinds>,
}

impl Both {
    /// One thing, done to both.
    pub(crate) async fn step(&mut self) {
        let Both {
            memory,
            file,
            random,
            overflows,
            kinds,
        } = self;
        let open = memory.open.len();
        match random.u8(..32) {
            0..12 => {
                let mut call = claim(["a", "b", "c"][random.usize(..3)], random.u64(1..400));
                let dated = random.u8(..4) > 0;
                // Made inside of another, which holds the slot.
                let inside = random.u8(..5) == 0;
                let slots = usize::from(kinds.as_ref().is_none_or(|kinds| kinds.hold(SLOTS)));
                for world in [memory, file] {
                    if inside {
                        call.held = world.slots(&call);
                        assert_eq!(call.held.len(), slots);
                    }
                    world.claim(&call, dated).await;
                }
            }
            12..19 if open > 0 => {
                let place = random.usize(..open);
                let size = memory.open[place].1;
                let settlement = match random.u8(..4) {
                    0 => Some(Settlement::Unknown),
                    1 => None,
                    _ => {
                        let mut usage = Usage::new(size, random.u64(..size * 2));
                        usage.cost = Some(Money::from_nanos(random.u64(..size * 5_000_000)));
                        Some(Settlement::Usage(usage))
                    }
                };
                memory.settle(place, settlement).await;
                file.settle(place, settlement).await;
            }
            19 if open > 0 => {
                let place = random.usize(..open);
                memory.date(place);
                file.date(place);
            }
            20..22 if open > 0 => {
                // What streams is written down once a second.
                advance(Duration::from_secs(1)).await;
                let (place, mut output) = (random.usize(..open), random.u64(..600));
                if !*overflows {
                    output = output.min(memory.open[place].1 / 2);
                }
                memory.store.streamed(&mut memory.open[place].0, output);
                file.store.streamed(&mut file.open[place].0, output);
            }
            22 if open > 0 => {
                let place = random.usize(..open);
                let (until, seen) = (memory.store.now().after(MINUTE / 20), random.u8(..4));
                for world in [memory, file] {
                    let seen = match seen {
                        0 => Observation::Closed { until },
                        1 => Observation::Limited {
                            quantity: None,
                            period: None,
                        },
                        2 => Observation::Succeeded,
                        _ => counters(7),
                    };
                    let (grant, _) = &world.open[place];
                    let tags = claim("a", 1).tags;
                    let _ = world
                        .store
                        .observe(&tags, grant, &seen)
                        .get()
                        .await
                        .unwrap();
                }
            }
            23 => {
                let mut usage = Usage::new(random.u64(..200), random.u64(..200));
                usage.cost = Some(Money::from_nanos(random.u64(..300_000_000)));
                let tags = claim("b", 1).tags;
                for world in [memory, file] {
                    world.store.record(&tags, usage).get().await.unwrap();
                }
            }
            24 => {
                let money = Money::from_nanos(random.u64(..900_000_000));
                let correction = match random.bool() {
                    true => Correction::More(money),
                    false => Correction::Less(money),
                };
                let tags = claim("a", 1).tags;
                for world in [memory, file] {
                    world
                        .store
                        .correct(&tags, correction, &"the bill".into())
                        .get()
                        .await
                        .unwrap();
                }
            }
            25 => {
                let tags = claim(["a", "b", "c"][random.usize(..3)], 1).tags;
                let counts = [
                    memory.store.reset(&tags, &"seen to".into()),
                    file.store.reset(&tags, &"seen to".into()),
                ];
                let [one, other] = counts.map(|count| count);
                assert_eq!(one.get().await.unwrap(), other.get().await.unwrap());
            }
            number @ 26..29 if number == 26 || kinds.is_some() => {
                let limits = match kinds {
                    Some(kinds) => kinds.change(random),
                    None => limits(random.u64(8..16)),
                };
                for world in [memory, file] {
                    world
                        .store
                        .reconfigure(&limits, &Reason::default())
                        .get()
                        .await
                        .unwrap();
                }
            }
            _ => advance(Duration::from_micros(random.u64(1..9_000_000))).await,
        }
    }

    pub(crate) async fn look(&mut self) {
        self.memory.look().await;
        self.file.look().await;
    }

    pub(crate) fn compare(&self, of: &str) {
        let lines = self.memory.said.iter().zip(&self.file.said).enumerate();
        for (number, (memory, file)) in lines {
            assert_eq!(memory, file, "{of}, line {number}");
        }
        assert_eq!(self.memory.said.len(), self.file.said.len(), "{of}");
    }
}

fn counters(remaining: u64) -> Observation {
    let mut seen: Observed = serde_json::from_str(r#"{"quantity": "requests"}"#).unwrap();
    (seen.quantity, seen.window) = (ObservedQuantity::Requests, Some(MINUTE));
    (seen.limit, seen.remaining) = (Some(30), Some(remaining));
    Observation::Counters {
        shown: vec![seen],
        refused: false,
    }
}

pub(crate) fn open(
    path: &std::path::Path,
    limits: Limits,
    wall: impl Fn() -> SystemTime + Send + Sync + 'static,
) -> SqliteStore {
    let options = SqliteOptions::new(path, limits).wall_clock(wall);
    // Often, so that there are calls in flight then.
    options.image_after(30).open().unwrap()
}

pub(crate) fn paused<F: Future>(work: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(work)
}
