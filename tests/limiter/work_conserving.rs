//! A8. Nobody waits without a reason, on random loads against a plain log: whoever waits, and shares no limit with anybody
//! who waits and goes before it, has no room. Pins are of those who go before, so they are no other reason.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use proptest::prelude::*;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};
use tower_quota::{
    Limiter, Tag, Tags, Usage,
    limit::{Charge, Limit, Limits},
    limiter::{Call, QueueOptions},
    store::MemoryStore,
};

/// Tokens each, per so many milliseconds; the last is one of slots.
const AMOUNT: u64 = 1_000;
const PERIODS: [u64; 3] = [10_000, 30_000, 7_000];
const SLOTS: u64 = 2;
const NAMES: [&str; 4] = ["t0", "t1", "t2", "slots"];
const AGING: u64 = 5_000;
/// A slot of a window is a 240th of its period, and leaves with its last charge; a timer has a grain.
const LATE: u64 = 30_000 / 240 + 2;

#[derive(Clone, Debug)]
struct Planned {
    comes: u64,
    /// Which of the limits it touches, by bit.
    touches: u8,
    size: u64,
    priority: i32,
    runs: u64,
    /// After so many milliseconds it goes away, if it waits still.
    patience: u64,
}

/// What became of it, in milliseconds.
#[derive(Clone, Debug)]
struct Seen {
    planned: Planned,
    granted: Option<u64>,
    /// When it was done or gone.
    end: u64,
}

fn load(priorities: std::ops::Range<i32>) -> impl Strategy<Value = Vec<Planned>> {
    let size = prop_oneof![4 => 1u64..200, 1 => 500u64..=AMOUNT];
    let patience = prop_oneof![3 => Just(10_000_000u64), 1 => 0u64..40_000];
    let call = (
        0u64..60_000,
        1u8..16,
        size,
        priorities,
        0u64..10_000,
        patience,
    );
    let call = call.prop_map(|(comes, touches, size, priority, runs, patience)| Planned {
        comes,
        touches,
        size,
        priority,
        runs,
        patience,
    });
    prop::collection::vec(call, 1..80).prop_map(|mut calls: Vec<Planned>| {
        calls.sort_by_key(|call| call.comes);
        // Whoever came first is told by the millisecond.
        for i in 1..calls.len() {
            calls[i].comes = calls[i].comes.max(calls[i - 1].comes + 1);
        }
        calls
    })
}

fn limiter() -> Limiter {
    let yes = |limit: Limit, name: &str| limit.when(Tag::from(name), "yes");
    let windows = NAMES.iter().zip(PERIODS).map(|(name, period)| {
        let limit = Limit::tokens(AMOUNT).every(Duration::from_millis(period));
        yes(limit.margin(Duration::ZERO).charge(Charge::azure()), name)
    });
    let slots = yes(Limit::concurrency(SLOTS), NAMES[3]);
    let limits = Limits::new(windows.chain([slots])).unwrap();
    let options = QueueOptions::new().aging(Duration::from_millis(AGING));
    Limiter::build(Arc::new(MemoryStore::new(limits)), options)
}

async fn run(plan: &[Planned]) -> Vec<Seen> {
    let (limiter, start) = (limiter(), Instant::now());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for planned in plan.iter().cloned() {
        let (limiter, seen) = (limiter.clone(), seen.clone());
        tasks.spawn(async move {
            sleep_until(start + Duration::from_millis(planned.comes)).await;
            let now = || u64::try_from(start.elapsed().as_millis()).unwrap();
            let mut tags = Tags::new();
            for (bit, name) in NAMES.iter().enumerate() {
                if planned.touches & (1 << bit) != 0 {
                    tags = tags.with(Tag::from(*name), "yes");
                }
            }
            let call = Call::new().tags(tags).tokens(planned.size, 0);
            let call = limiter.acquire(call.priority(planned.priority));
            let permit = timeout(Duration::from_millis(planned.patience), call).await;
            let granted = permit.is_ok().then(&now);
            if let Ok(permit) = permit {
                let permit = permit.unwrap();
                sleep(Duration::from_millis(planned.runs)).await;
                permit.settle(Usage::new(planned.size, 0));
            }
            let end = now();
            seen.lock().unwrap().push(Seen {
                planned,
                granted,
                end,
            });
        });
    }
    tasks.join_all().await;
    assert_eq!(limiter.waiting(), 0);
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    seen.sort_by_key(|seen| seen.planned.comes);
    seen
}

impl Seen {
    fn waits(&self, at: u64) -> bool {
        (self.planned.comes..self.granted.unwrap_or(self.end)).contains(&at)
    }

    fn touches(&self, limit: usize) -> bool {
        self.planned.touches & (1 << limit) != 0
    }

    /// What it takes of a limit at an instant.
    fn takes(&self, limit: usize, at: u64) -> u64 {
        match self.granted {
            Some(granted) if self.touches(limit) && granted <= at => match PERIODS.get(limit) {
                Some(period) if at < granted + period => self.planned.size,
                None if at < self.end => 1,
                _ => 0,
            },
            _ => 0,
        }
    }

    fn fits(&self, all: &[Seen], at: u64) -> bool {
        (0..NAMES.len())
            .filter(|limit| self.touches(*limit))
            .all(|limit| {
                let used: u64 = all.iter().map(|other| other.takes(limit, at)).sum();
                match PERIODS.get(limit) {
                    Some(_) => used + self.planned.size <= AMOUNT,
                    None => used < SLOTS,
                }
            })
    }

    /// Where it stands: its class by the oldest that waits and the aging of its priority, then who came first.
    fn rank(&self, all: &[Seen], at: u64) -> (i64, i32, u64) {
        let priority = self.planned.priority;
        let class = all
            .iter()
            .filter(|other| other.waits(at) && other.planned.priority == priority);
        let oldest = class.map(|other| other.planned.comes).min().unwrap();
        let aged = i64::try_from(oldest).unwrap() - i64::from(priority) * AGING as i64;
        (aged, -priority, self.planned.comes)
    }

    /// Whether it shares a limit with somebody who waits and goes before it.
    fn stands_behind(&self, all: &[Seen], at: u64) -> bool {
        let rank = self.rank(all, at);
        let mut waiting = all.iter().filter(|other| other.waits(at));
        waiting.any(|other| {
            other.planned.touches & self.planned.touches != 0 && other.rank(all, at) < rank
        })
    }
}

/// The longest that anybody waited without a reason.
fn idle(all: &[Seen]) -> u64 {
    let mut instants = BTreeSet::new();
    for seen in all {
        let granted = seen.granted.unwrap_or(seen.end);
        instants.extend([seen.planned.comes, granted, seen.end]);
        instants.extend(PERIODS.iter().map(|period| granted + period));
    }
    let instants: Vec<u64> = instants.into_iter().collect();
    let mut most = 0;
    for waiter in all {
        let mut since = None;
        for at in instants.iter().copied() {
            let free = waiter.waits(at) && waiter.fits(all, at) && !waiter.stands_behind(all, at);
            // It may wait no more: then it waited until now.
            most = most.max(since.map_or(0, |since| at - since));
            since = free.then(|| since.unwrap_or(at));
        }
    }
    most
}

fn conserves(plan: &[Planned]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let idle = idle(&runtime.block_on(run(plan)));
    assert!(idle <= LATE, "somebody waited {idle} ms without a reason");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whoever_has_room_and_stands_behind_nobody_does_not_wait(plan in load(0..1)) {
        conserves(&plan);
    }

    #[test]
    fn nor_does_whoever_has_priorities_before_and_behind(plan in load(-1..2)) {
        conserves(&plan);
    }
}
