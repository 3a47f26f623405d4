//! A hundred thousand waiters: bytes each, and what a step costs among them.

use std::{
    pin::Pin,
    task::{Context, Waker},
    time::Duration,
};

use tokio::{runtime::Runtime, task::JoinSet, time::sleep};
use tower_quota::{
    Limiter,
    limit::{Limit, Limits},
    limiter::{Call, Permit},
};

use crate::measure::{Verdicts, kept, now};

const MANY: u32 = 100_000;
const FEW: u32 = 1_000;
/// Steps that are timed together; it divides the half of either.
const ROUND: usize = 500;
/// Where two limits take turns.
const MANY_TURNS: u32 = 16_000;

type Waiting = Pin<Box<dyn Future<Output = ()>>>;

/// So many calls that wait behind one that holds the only place, that one, and what each takes in memory.
async fn waiting(limiter: &Limiter, count: u32) -> (Vec<Waiting>, Permit, f64) {
    let held = limiter.acquire(Call::new()).await;
    let held = held.expect("the place is free");
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

/// Lets so many go, one after the other: nanoseconds a step while at least half of them wait, and bytes a waiter.
async fn steps(count: u32) -> (f64, f64) {
    let limiter = Limiter::new(Limits::new([Limit::concurrency(1)]).expect("a limit"));
    let (mut futures, held, bytes) = waiting(&limiter, count).await;
    held.release();
    let mut least = f64::INFINITY;
    let half = futures.split_off(futures.len() / 2);
    let mut futures = futures.into_iter();
    // In short rounds, as everywhere: over the whole a busy machine sets this aside more than once.
    while futures.len() > 0 {
        let start = now();
        for future in futures.by_ref().take(ROUND) {
            future.await;
        }
        least = least.min(start.elapsed().as_secs_f64());
    }
    for future in half {
        future.await;
    }
    assert_eq!(limiter.waiting(), 0);
    (least * 1e9 / ROUND as f64, bytes)
}

/// Lets so many go where two limits take turns in being the one that lacks room: nanoseconds a call.
async fn turns(count: u32) -> f64 {
    let limits = [
        Limit::concurrency(1),
        Limit::requests(1).every(Duration::from_millis(100)),
    ];
    let limiter = Limiter::new(Limits::new(limits).expect("limits"));
    let start = now();
    let mut calls = JoinSet::new();
    for _ in 0..count {
        let limiter = limiter.clone();
        calls.spawn(async move {
            let permit = limiter.acquire(Call::new()).await;
            sleep(Duration::from_millis(50)).await;
            drop(permit);
        });
    }
    calls.join_all().await;
    start.elapsed().as_secs_f64() * 1e9 / f64::from(count)
}

pub(crate) fn run(verdicts: &mut Verdicts, paused: &Runtime) {
    let (mut bytes, mut many, mut few) = (0.0, f64::INFINITY, f64::INFINITY);
    for _ in 0..3 {
        few = few.min(paused.block_on(steps(FEW)).0);
        let (step, each) = paused.block_on(steps(MANY));
        (many, bytes) = (many.min(step), each);
    }
    verdicts.most(
        "bytes a waiter beside its request, of 100 000",
        bytes,
        512.0,
    );
    verdicts.ratio("a step, 100 000 waiters; 1 000", many, few, 3.0);

    let (mut many, mut few) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..3 {
        few = few.min(paused.block_on(turns(FEW)));
        many = many.min(paused.block_on(turns(MANY_TURNS)));
    }
    verdicts.ratio(
        "a step where two limits take turns, 16 000; 1 000",
        many,
        few,
        3.0,
    );
}
