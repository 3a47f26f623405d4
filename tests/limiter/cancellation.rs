//! Futures dropped at every await point, and futures that are kept and never polled again: nothing leaks, and
//! nobody else stalls. Over stores that answer at once and stores that answer later.

use crate::later;

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use later::LaterStore;
use tokio::{
    task::yield_now,
    time::{advance, timeout},
};
use tower_quota::{
    Limiter, Tags, Usage,
    limit::{Limit, Limits},
    limiter::{Call, Permit},
};

const MINUTE: Duration = Duration::from_secs(60);
const PLACES: u64 = 2;
const REQUESTS: u64 = 10;
/// More polls than any of these futures needs.
const ENOUGH: usize = 24;

fn limits(requests: u64) -> Limits {
    Limits::new([
        Limit::requests(requests).every(MINUTE),
        Limit::tokens(1_000).every(MINUTE),
        Limit::concurrency(PLACES),
    ])
    .unwrap()
}

fn limiters(requests: u64) -> [Limiter; 2] {
    let limits = || limits(requests);
    [
        Limiter::new(limits()),
        Limiter::with_store(LaterStore::new(limits())),
    ]
}

/// What stands in the way of the call, until it is cleared away between two polls.
#[derive(Clone, Copy, Debug)]
enum Scene {
    Nothing,
    /// Its place, which is given back.
    Place,
    /// The window, which opens.
    Window,
    /// Somebody who waits before it for a place, and has it.
    Somebody,
}

/// When it is dropped, or polled for the last time.
#[derive(Clone, Copy, Debug)]
struct At {
    polls: usize,
    /// Before which poll the scene is cleared.
    cleared: usize,
}

/// Every scene, every op, over both stores, dropped at every await point.
fn all(from: usize) -> impl Iterator<Item = (Scene, Op, usize, At)> {
    let ops = SCENES
        .into_iter()
        .flat_map(|scene| OPS.map(|op| (scene, op)));
    let with_stores = ops.flat_map(|(scene, op)| [0, 1].map(|store| (scene, op, store)));
    let polls = move || (from..ENOUGH).flat_map(|n| [0, 1, n / 2, n].map(|c| (n, c)));
    with_stores.flat_map(move |(scene, op, store)| {
        polls().map(move |(polls, cleared)| (scene, op, store, At { polls, cleared }))
    })
}

/// What is done.
#[derive(Clone, Copy, Debug)]
enum Op {
    Acquire,
    AcquireInTime,
    Try,
    Run,
    Record,
    Peek,
    Explain,
    Reconfigure,
}

const SCENES: [Scene; 4] = [Scene::Nothing, Scene::Place, Scene::Window, Scene::Somebody];
const OPS: [Op; 8] = [
    Op::Acquire,
    Op::AcquireInTime,
    Op::Try,
    Op::Run,
    Op::Record,
    Op::Peek,
    Op::Explain,
    Op::Reconfigure,
];

type Work = Pin<Box<dyn Future<Output = Option<Permit>>>>;

fn work(limiter: &Limiter, op: Op) -> Work {
    let limiter = limiter.clone();
    let call = Call::new().tokens(10, 0);
    Box::pin(async move {
        match op {
            Op::Acquire => return limiter.acquire(call).await.ok(),
            Op::AcquireInTime => return limiter.acquire(call.max_wait(2 * MINUTE)).await.ok(),
            Op::Try => return limiter.try_acquire(call).await.ok(),
            Op::Run => limiter.run(call, yield_now()).await.unwrap(),
            Op::Record => limiter
                .record(&Tags::new(), Usage::new(1, 1))
                .await
                .unwrap(),
            Op::Peek => drop(limiter.peek(&call).await.unwrap()),
            Op::Explain => drop(limiter.explain(&call).await.unwrap()),
            Op::Reconfigure => {
                let same = limiter.limits();
                // A store may refuse to; it must not leak.
                let _ = limiter.reconfigure(&same).await;
            }
        }
        None
    })
}

/// A scene with what it takes to end it.
struct Set {
    limiter: Limiter,
    scene: Scene,
    held: Vec<Permit>,
    before: Option<tokio::task::JoinHandle<()>>,
}

async fn set(limiter: &Limiter, scene: Scene) -> Set {
    let mut held = Vec::new();
    if !matches!(scene, Scene::Nothing) {
        for _ in 0..PLACES {
            held.push(limiter.acquire(Call::new()).await.unwrap());
        }
    }
    if matches!(scene, Scene::Window) {
        // The places are free, the requests are not.
        held.clear();
        yields().await;
    }
    let mut before = None;
    if matches!(scene, Scene::Somebody) {
        let limiter = limiter.clone();
        before = Some(tokio::spawn(async move {
            limiter.acquire(Call::new()).await.unwrap().release();
        }));
        yields().await;
    }
    Set {
        limiter: limiter.clone(),
        scene,
        held,
        before,
    }
}

impl Set {
    /// What stood in the way goes away.
    async fn clear(&mut self) {
        for permit in self.held.drain(..) {
            permit.release();
        }
        if matches!(self.scene, Scene::Window) {
            advance(2 * MINUTE).await;
        }
    }

    async fn over(mut self, what: &str) {
        self.clear().await;
        if let Some(before) = self.before.take() {
            let went = timeout(MINUTE, before).await;
            went.unwrap_or_else(|_| panic!("{what}: who came before stalls"))
                .unwrap();
        }
        yields().await;
        assert_eq!(self.limiter.waiting(), 0, "{what}: a waiter leaked");
    }
}

/// Time for a slow store and for the driver, without a clock.
async fn yields() {
    for _ in 0..50 {
        yield_now().await;
    }
}

/// Polls so often, and clears the scene before one of the polls. `Ready`: what came of it.
async fn polled(work: &mut Work, at: At, set: &mut Set) -> Poll<Option<Permit>> {
    for turn in 0..at.polls {
        if turn == at.cleared {
            set.clear().await;
        }
        if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Poll::Ready(done);
        }
        yield_now().await;
    }
    Poll::Pending
}

/// What counts now: requests, tokens, calls in flight.
async fn in_use(limiter: &Limiter) -> [u64; 3] {
    yields().await;
    let all = limiter.explain(&Call::new().tokens(1, 0)).await.unwrap();
    [0, 1, 2].map(|limit| all.limits[limit].in_use)
}

/// The limits of a scene: in `Window` no request is left.
fn requests(scene: Scene) -> u64 {
    if matches!(scene, Scene::Window) {
        PLACES
    } else {
        REQUESTS
    }
}

/// One future, dropped. Returns whether it was done by then.
async fn one_dropped(limiter: &Limiter, (scene, op): (Scene, Op), at: At, what: &str) -> bool {
    let mut set = set(limiter, scene).await;
    let mut work = work(limiter, op);
    let end = polled(&mut work, at, &mut set).await;
    drop(work);
    let others = usize::from(matches!(scene, Scene::Somebody));
    assert!(limiter.waiting() <= others, "{what}: it waits, and is gone");
    let done = end.is_ready();
    if let Poll::Ready(Some(permit)) = end {
        permit.release();
    }
    set.over(what).await;
    let [requests, tokens, flying] = in_use(limiter).await;
    assert_eq!(flying, 0, "{what}: a place leaked");
    // Work that has begun counts; what was not handed over does not.
    let most = match op {
        Op::Record | Op::Run => (1, 10),
        _ => (0, 0),
    };
    let scenes = if matches!(scene, Scene::Window) {
        PLACES
    } else {
        0
    };
    assert!(requests <= scenes + most.0, "{what}: {requests} count");
    assert!(tokens <= most.1, "{what}: {tokens} count");
    let next = timeout(3 * MINUTE, limiter.acquire(Call::new())).await;
    drop(next.unwrap_or_else(|_| panic!("{what}: the next one stalls")));
    done
}

#[tokio::test(start_paused = true)]
async fn a_future_dropped_at_any_await_leaks_nothing() {
    let (mut dropped, mut done) = (0, 0);
    for (scene, op, store, at) in all(0) {
        let what = format!("{op:?} with {scene:?}, {at:?}, store {store}");
        let limiter = &limiters(requests(scene))[store];
        if one_dropped(limiter, (scene, op), at, &what).await {
            done += 1;
        } else {
            dropped += 1;
        }
    }
    println!("{dropped} dropped, {done} done");
    assert!(dropped > 1_000 && done > 1_000, "the harness has no grip");
}

/// One future, kept unpolled while others call. Returns whether it was not done.
async fn one_kept(limiter: &Limiter, (scene, op): (Scene, Op), at: At, what: &str) -> bool {
    let mut set = set(limiter, scene).await;
    let mut kept = work(limiter, op);
    if polled(&mut kept, at, &mut set).await.is_ready() {
        return false;
    }
    set.clear().await;
    // It may be granted without being polled, and holds one place. There is another.
    for _ in 0..5 {
        let other = timeout(5 * MINUTE, limiter.acquire(Call::new())).await;
        drop(other.unwrap_or_else(|_| panic!("{what}: another one stalls")));
        yields().await;
    }
    assert!(
        in_use(limiter).await[2] <= 1,
        "{what}: more than its own place"
    );
    drop(kept);
    set.over(what).await;
    assert_eq!(in_use(limiter).await[2], 0, "{what}: a place leaked");
    true
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_kept_and_never_polled_again_stalls_nobody() {
    let mut kept = 0;
    for (scene, op, store, at) in all(1) {
        let what = format!("{op:?} with {scene:?}, kept at {at:?}, store {store}");
        let limiter = &limiters(requests(scene))[store];
        kept += u32::from(one_kept(limiter, (scene, op), at, &what).await);
    }
    println!("{kept} kept");
    assert!(kept > 500, "the harness has no grip");
}
