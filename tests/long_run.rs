//! Two days of virtual time with agents, users and runs that come and go, and a queue that is never empty: what is
//! kept follows what is in use, and not what was ever seen. Counted by the allocator.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{alloc::System, sync::Arc, time::Duration};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::time::{Instant, sleep};
use tower_quota::{
    Limiter, Tag, Tags, Usage,
    limit::{Limit, Limits},
    limiter::{Call, QueueOptions},
    store::{Answer, MemoryStore, Store as _},
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
/// How many counts there may be. There are 15 runs an hour.
const COUNTS: usize = 1_000;
/// What an empty queue may keep: tables that were as long as the queue was.
const QUEUE: usize = 64 * 1_024;

fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

fn limits() -> Limits {
    Limits::new([
        // Less than is asked for: somebody always waits.
        Limit::requests(15).every(MINUTE),
        Limit::requests(6).every(MINUTE).per(Tag::Agent),
        Limit::tokens(9_000).every(10 * MINUTE).per(Tag::User),
        Limit::tokens(100_000).every(MINUTE).when(Tag::Model, "m"),
        Limit::concurrency(3).per(Tag::Agent),
        Limit::requests(40).every_run(),
        Limit::concurrency(1).when(Tag::Model, "full"),
    ])
    .unwrap()
}

/// Who calls.
#[derive(Clone, Copy, Debug)]
enum Crowd {
    /// A few agents all the time, many for some minutes each, and many once.
    Mixed,
    /// Every call is by an agent that was never seen before and never will be again.
    Once,
}

fn call(random: &mut fastrand::Rng, crowd: Crowd, hour: f64) -> (Call, u64) {
    let minutes = (hour * 60.0).floor();
    let lately = |random: &mut fastrand::Rng, spread: f64| {
        format!("{}", (minutes / spread).floor() + f64::from(random.u8(..4)))
    };
    let agent = match (crowd, random.u8(..10)) {
        (Crowd::Mixed, 0..3) => format!("always {}", random.u8(..5)),
        (Crowd::Mixed, 3..6) => format!("lately {}", lately(random, 2.0)),
        _ => format!("once {}", random.u64(..)),
    };
    let tags = Tags::new()
        .with(Tag::Agent, agent)
        .with(Tag::User, lately(random, 6.0))
        .with(Tag::Run, lately(random, 4.0))
        .with(Tag::Model, ["m", "n"][random.usize(..2)]);
    let size = random.u64(100..2_000);
    let call = Call::new().tags(tags).tokens(size, size / 2);
    let call = call.priority(i32::from(random.u8(..8) == 0));
    (call.max_wait(5 * MINUTE), size)
}

async fn one(limiter: Limiter, call: Call, size: u64, latency: Duration, end: u8) {
    let Ok(permit) = limiter.acquire(call).await else {
        return;
    };
    sleep(latency).await;
    match end {
        0 => drop(permit),
        1 => permit.release(),
        2 => permit.settle(Usage::new(size, 2 * size)),
        _ => permit.settle(Usage::new(size, size / 4)),
    }
}

/// What is kept at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    counts: usize,
    bytes: usize,
    /// The least that was allocated in the hour before: calls in flight come and go.
    allocated: usize,
    /// The least that waited in it.
    waiting: usize,
}

/// So many hours of calls, more than there is room for, and what is kept after each hour.
async fn hours(hours: u32, crowd: Crowd, store: &MemoryStore, limiter: &Limiter) -> Vec<Kept> {
    let mut random = fastrand::Rng::with_seed(48);
    let (start, empty) = (Instant::now(), allocated());
    let mut all = Vec::new();
    for hour in 1..=hours {
        let (mut waiting, mut least) = (usize::MAX, usize::MAX);
        while start.elapsed() < hour * HOUR {
            let (call, size) = call(&mut random, crowd, start.elapsed().as_secs_f64() / 3_600.0);
            let latency = Duration::from_millis(random.u64(500..60_000));
            let end = random.u8(..8);
            tokio::spawn(one(limiter.clone(), call, size, latency, end));
            sleep(Duration::from_millis(random.u64(..4_600))).await;
            waiting = waiting.min(limiter.waiting());
            least = least.min(allocated() - empty);
        }
        let kept = Kept {
            counts: store.len(),
            bytes: store.bytes(),
            allocated: least,
            waiting,
        };
        if hour % (hours / 6) == 0 {
            println!("after {hour} hours {kept:?}");
        }
        all.push(kept);
    }
    all
}

fn judge(all: &[Kept]) {
    let (warm, last) = (&all[all.len() / 6..all.len() / 2], &all[all.len() / 2..]);
    let most = |hours: &[Kept], of: fn(&Kept) -> usize| hours.iter().map(of).max().unwrap();
    assert!(
        all[1..].iter().all(|kept| kept.waiting > 0),
        "nobody waited"
    );
    // The counts, and one that is shared for each set of tags.
    assert!(most(all, |kept| kept.counts) <= COUNTS + 6);
    for of in [|kept: &Kept| kept.bytes, |kept: &Kept| kept.allocated] {
        let (before, after) = (most(warm, of), most(last, of));
        assert!(after <= before * 3 / 2, "{before} bytes, and later {after}");
    }
}

async fn come_and_go(length: u32, crowd: Crowd) {
    let store = Arc::new(MemoryStore::new(limits()).max_counts(COUNTS));
    let limiter = Limiter::build(store.clone(), QueueOptions::new());
    println!("{crowd:?}");
    // One waits all the time, so that the queue is never empty and cannot forget everything at once.
    let full = || Call::new().tags(Tags::new().with(Tag::Model, "full"));
    let held = limiter.acquire(full()).await.unwrap();
    let stays = tokio::spawn({
        let (limiter, call) = (limiter.clone(), full());
        async move { limiter.acquire(call).await.map(drop) }
    });
    sleep(MINUTE).await;
    let all = hours(length, crowd, &store, &limiter).await;
    judge(&all);
    held.release();
    stays.await.unwrap().unwrap();
    // Everybody ends. Of the queue nothing is left but the room that it had at its longest.
    sleep(HOUR).await;
    assert_eq!(limiter.waiting(), 0);
    let with = allocated();
    drop(limiter);
    let queue = with - allocated();
    println!("the queue's own at the end: {queue} bytes");
    assert!(queue < QUEUE, "{queue} bytes are left of the queue");
    // All counts but those of runs are idle, and make room as soon as others need it.
    for number in 0..COUNTS {
        let tags = Tags::new().with(Tag::Agent, format!("new {number}"));
        let Answer::Now(Ok(())) = store.record(&tags, Usage::new(1, 1)) else {
            panic!("the memory answers at once");
        };
        sleep(HOUR).await;
    }
    assert!(store.len() <= COUNTS, "{} counts", store.len());
}

/// A12: state is bounded.
#[test]
fn two_days_of_keys_that_come_and_go_leave_nothing_behind() {
    for (hours, crowd) in [(48, Crowd::Mixed), (12, Crowd::Once)] {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(come_and_go(hours, crowd));
    }
}
