//! The queue on four threads, with everything it knows at once: priorities, shares, pins, slots, windows, slow stores,
//! callers that go away. Nobody is forgotten and nothing stays taken.

use crate::later;

use std::{sync::Arc, time::Duration};

use later::LaterStore;
use tokio::{task::JoinSet, time::timeout};
use tower_quota::{
    Limiter, Tag, Tags, Usage,
    limit::{Charge, Limit, Limits},
    limiter::{Call, QueueOptions},
    store::{MemoryStore, Store},
};

const SLOTS: u64 = 3;
/// Nothing in here takes that long: whoever is not through by then stands still.
const STANDSTILL: Duration = Duration::from_secs(120);

fn limits() -> Limits {
    let short = Duration::from_millis(4);
    let tokens = |tag: &str, every| {
        let limit = Limit::tokens(100).every(every).charge(Charge::azure());
        limit.when(Tag::from(tag), "yes")
    };
    let slots = Limit::concurrency(SLOTS).share(Tag::Team, "a", 0.34);
    Limits::new([
        slots,
        tokens("g", short).share(Tag::Team, "a", 0.3),
        tokens("k", short * 2).share(Tag::Team, "b", 0.5),
    ])
    .unwrap()
}

async fn call(limiter: Limiter, mut random: fastrand::Rng) {
    let team = ["a", "b", "c"][random.usize(..3)];
    let mut tags = Tags::new().with(Tag::Team, team);
    for tag in ["g", "k"] {
        if random.bool() {
            tags = tags.with(Tag::from(tag), "yes");
        }
    }
    let size = if random.u8(..10) == 0 {
        90
    } else {
        random.u64(1..20)
    };
    let call = Call::new().tags(tags).tokens(size, 0);
    let permit = limiter.acquire(call.priority(random.i32(-1..2)));
    if random.u8(..8) == 0 {
        // It goes away, wherever it is by then.
        let _ = timeout(Duration::from_millis(random.u64(..5)), permit).await;
        return;
    }
    let permit = permit.await.unwrap();
    tokio::task::yield_now().await;
    match random.u8(..3) {
        0 => permit.release(),
        1 => permit.settle(Usage::new(size, 0)),
        _ => drop(permit),
    }
}

fn everybody_is_through(store: impl Fn() -> Arc<dyn Store>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    for seed in 0..5 {
        let options = QueueOptions::new().aging(Duration::from_millis(3));
        let limiter = Limiter::build(store(), options.share_by(Tag::Team));
        let mut random = fastrand::Rng::with_seed(seed);
        runtime.block_on(async {
            let mut calls = JoinSet::new();
            for _ in 0..400 {
                calls.spawn(call(limiter.clone(), random.fork()));
            }
            let ended = timeout(STANDSTILL, calls.join_all()).await;
            assert!(
                ended.is_ok(),
                "{} stand still, seed {seed}",
                limiter.waiting()
            );
            assert_eq!(limiter.waiting(), 0);
            let mut held = Vec::new();
            for _ in 0..SLOTS {
                let slot = timeout(STANDSTILL, limiter.acquire(Call::new())).await;
                held.push(slot.expect("a slot leaked").unwrap());
            }
        });
    }
}

#[test]
fn nobody_is_forgotten_on_four_threads() {
    everybody_is_through(|| Arc::new(MemoryStore::new(limits())));
}

#[test]
fn nobody_is_forgotten_on_four_threads_by_a_store_that_answers_later() {
    everybody_is_through(|| Arc::new(LaterStore::new(limits())));
}
