//! What the engine keeps in memory, counted by the allocator: bytes a key, bytes a waiter, and what a step costs
//! when there are many of either beside when there are few.
//!
//! `cargo bench --bench memory` prints a line for each: name, figure, promised, OK or MISS, and fails on a MISS.

use std::{
    alloc::System,
    pin::Pin,
    process::ExitCode,
    sync::Arc,
    task::{Context, Waker},
    time::{Duration, Instant},
};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower_quota::{
    Limiter, Tag, Tags,
    limit::{Demand, Limit, Limits, Quantities},
    limiter::{Call, Permit},
    store::{Answer, Claim, Decision, MemoryStore, Settlement, Store},
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MINUTE: Duration = Duration::from_secs(60);

/// Bytes that are still allocated of what `work` allocated.
fn kept<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let region = Region::new(ALLOCATOR);
    let result = work();
    let change = region.change();
    (
        result,
        change
            .bytes_allocated
            .saturating_sub(change.bytes_deallocated),
    )
}

fn line(name: &str, figure: f64, promised: f64, unit: &str) -> bool {
    let fine = figure <= promised;
    let word = if fine { "OK" } else { "MISS" };
    println!("{name:<46} {figure:>9.1} {unit:<6} of {promised:>6.1}   {word}");
    fine
}

/// The least of several runs, in nanoseconds a round.
#[expect(clippy::disallowed_methods, reason = "a bench asks the real clock")]
fn nanos(rounds: u32, mut round: impl FnMut(u32)) -> f64 {
    let run = |_| {
        let start = Instant::now();
        for i in 0..rounds {
            round(i);
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(rounds)
    };
    (0..5).map(run).fold(f64::INFINITY, f64::min)
}

fn claim(key: u64) -> Claim {
    Claim {
        tags: Arc::new(Tags::new().with(Tag::User, format!("user-{key:012}"))),
        demand: Demand::default(),
        quantities: Quantities::ADMISSION,
        repeat: false,
        held: Vec::new(),
    }
}

fn spend(store: &MemoryStore, claim: &Claim) {
    let Answer::Now(Ok(Decision::Granted(mut grant))) = store.claim(claim) else {
        panic!("there is room for all of this");
    };
    store.date(&mut grant);
    drop(store.settle(grant, Settlement::Unknown));
}

/// A store with so many keys, each with five live slices. Time is paused, so that slices are where they are put.
fn store_of(keys: u64, runtime: &tokio::runtime::Runtime) -> MemoryStore {
    let limits =
        Limits::new([Limit::requests(1_000_000).every(MINUTE).per(Tag::User)]).expect("a limit");
    let store = MemoryStore::new(limits);
    for _ in 0..5 {
        for key in 0..keys {
            spend(&store, &claim(key));
        }
        runtime.block_on(tokio::time::advance(Duration::from_secs(5)));
    }
    store
}

type Waiting = Pin<Box<dyn Future<Output = ()>>>;

/// Lets so many go where two limits take turns in being the one that lacks room: nanoseconds a call.
async fn turns(count: u32) -> f64 {
    let limits = [
        Limit::concurrency(1),
        Limit::requests(1).every(Duration::from_millis(100)),
    ];
    let limiter = Limiter::new(Limits::new(limits).expect("limits"));
    #[expect(clippy::disallowed_methods, reason = "a bench asks the real clock")]
    let start = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..count {
        let limiter = limiter.clone();
        calls.spawn(async move {
            let permit = limiter.acquire(Call::new()).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            drop(permit);
        });
    }
    calls.join_all().await;
    start.elapsed().as_secs_f64() * 1e9 / f64::from(count)
}

/// So many calls that wait behind one that holds the only place, that one, and what each takes in memory.
async fn waiting(limiter: &Limiter, count: u32) -> (Vec<Waiting>, Permit, f64) {
    let held = limiter
        .acquire(Call::new())
        .await
        .expect("the place is free");
    // Each gives the place on as soon as it has it.
    let wait = |limiter: Limiter, call: Call| async move {
        if let Ok(permit) = limiter.acquire(call).await {
            permit.release();
        }
    };
    let mut futures: Vec<Waiting> = Vec::with_capacity(count as usize);
    for _ in 0..count {
        futures.push(Box::pin(wait(limiter.clone(), Call::new())));
    }
    let ((), bytes) = kept(|| {
        let mut cx = Context::from_waker(Waker::noop());
        for future in &mut futures {
            assert!(future.as_mut().poll(&mut cx).is_pending());
        }
    });
    (futures, held, bytes as f64 / f64::from(count))
}

/// Lets so many go, one after the other: nanoseconds a step, and bytes a waiter.
async fn steps(count: u32) -> (f64, f64) {
    let limiter = Limiter::new(Limits::new([Limit::concurrency(1)]).expect("a limit"));
    let (futures, held, bytes) = waiting(&limiter, count).await;
    #[expect(clippy::disallowed_methods, reason = "a bench asks the real clock")]
    let start = Instant::now();
    held.release();
    for future in futures {
        future.await;
    }
    assert_eq!(limiter.waiting(), 0);
    (
        start.elapsed().as_secs_f64() * 1e9 / f64::from(count),
        bytes,
    )
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let inside = runtime.enter();
    let mut fine = true;

    let (store, bytes) = kept(|| store_of(1_000_000, &runtime));
    fine &= line(
        "a key with five live slices, of 1 000 000",
        bytes as f64 / 1e6,
        256.0,
        "B",
    );
    let few = store_of(1_000, &runtime);
    let claims: Vec<Claim> = (0..1_000_000).step_by(997).map(claim).collect();
    let few_claims: Vec<Claim> = (0..1_000).map(claim).collect();
    let many = nanos(100_000, |i| {
        spend(&store, &claims[i as usize % claims.len()]);
    });
    let little = nanos(100_000, |i| {
        spend(&few, &few_claims[i as usize % few_claims.len()]);
    });
    fine &= line(
        "a claim among 1 000 000 keys, beside 1 000",
        many / little,
        2.0,
        "times",
    );
    drop((store, few, inside));

    let (few, _) = (0..5)
        .map(|_| runtime.block_on(steps(1_000)))
        .fold((f64::INFINITY, 0.0), least);
    let (many, bytes) = (0..3)
        .map(|_| runtime.block_on(steps(100_000)))
        .fold((f64::INFINITY, 0.0), least);
    fine &= line("a waiter, of 100 000", bytes, 512.0, "B");
    fine &= line(
        "a step with 100 000 waiters, beside 1 000",
        many / few,
        3.0,
        "times",
    );
    let few = (0..3)
        .map(|_| runtime.block_on(turns(1_000)))
        .fold(f64::INFINITY, f64::min);
    let many = (0..2)
        .map(|_| runtime.block_on(turns(16_000)))
        .fold(f64::INFINITY, f64::min);
    fine &= line(
        "a step where two limits take turns, 16 000",
        many / few,
        3.0,
        "times",
    );
    if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn least(best: (f64, f64), run: (f64, f64)) -> (f64, f64) {
    (best.0.min(run.0), run.1)
}
