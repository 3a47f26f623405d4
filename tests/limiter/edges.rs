//! Edges of the core, each of which was wrong once.

use crate::later;
use later::LaterStore;
use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};
use tokio::time::{Instant, advance, timeout};
use tower_quota::{
    Limiter, Rejection, Tag, Tags, Usage,
    limit::{Charge, Limit, Limits, Tick},
    limiter::{Call, Permit},
    store::{Answer, Claim, Decision, Grant, MemoryStore, Settlement, Standing, Store},
};
const MINUTE: Duration = Duration::from_secs(60);
fn limits(l: impl IntoIterator<Item = Limit>) -> Limits {
    Limits::new(l).unwrap()
}
fn model(name: &str) -> Call {
    Call::new().tags(Tags::new().with(Tag::Model, name))
}
fn rt() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn woken_on_time_though_the_one_before_is_still_in_flight() {
    let limiter = Limiter::new(limits([Limit::requests(1).every(MINUTE)]));
    let start = Instant::now();
    drop(limiter.acquire(Call::new()).await.unwrap());
    let l = limiter.clone();
    let _b = tokio::spawn(async move {
        let p = l.acquire(Call::new()).await.unwrap();
        tokio::time::sleep(MINUTE * 10).await;
        drop(p);
    });
    tokio::task::yield_now().await;
    drop(limiter.acquire(Call::new()).await.unwrap());
    assert!(
        start.elapsed() < Duration::from_secs(122),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn deadline_seen_though_concurrency_is_full_too() {
    let limiter = Limiter::new(limits([
        Limit::requests(1).every(MINUTE),
        Limit::concurrency(1),
    ]));
    let _held = limiter.acquire(Call::new()).await.unwrap();
    let start = Instant::now();
    let e = limiter
        .acquire(Call::new().max_wait(MINUTE / 2))
        .await
        .unwrap_err();
    assert!(matches!(e, Rejection::DeadlineExceeded(_)));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn deadline_seen_though_somebody_waits_before() {
    let limiter = Limiter::new(limits([Limit::requests(1).every(MINUTE)]));
    drop(limiter.acquire(Call::new()).await.unwrap());
    let l = limiter.clone();
    tokio::spawn(async move { l.acquire(Call::new()).await.map(drop) });
    tokio::task::yield_now().await;
    let start = Instant::now();
    let e = limiter
        .acquire(Call::new().max_wait(MINUTE / 2))
        .await
        .unwrap_err();
    assert!(matches!(e, Rejection::DeadlineExceeded(_)));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

type Hook = Box<dyn FnMut(&Answer<Decision>) + Send>;
struct HookStore {
    inner: MemoryStore,
    hook: Arc<Mutex<Option<Hook>>>,
    /// Panics at the next claim, before anything is taken.
    panics: Arc<AtomicBool>,
}
impl std::fmt::Debug for HookStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}
impl Store for HookStore {
    fn limits(&self) -> Limits {
        self.inner.limits()
    }
    fn now(&self) -> Tick {
        self.inner.now()
    }
    fn claim(&self, claim: &Claim) -> Answer<Decision> {
        assert!(
            !self.panics.swap(false, Ordering::SeqCst),
            "the store panics once"
        );
        let answer = self.inner.claim(claim);
        let hook = self
            .hook
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
        if let Some(mut hook) = hook {
            hook(&answer);
        }
        answer
    }
    fn date(&self, grant: &mut Grant) {
        self.inner.date(grant);
    }
    fn streamed(&self, grant: &mut Grant, output: u64) {
        self.inner.streamed(grant, output);
    }
    fn settle(&self, grant: Grant, s: Settlement) -> Answer<()> {
        self.inner.settle(grant, s)
    }
    fn release(&self, grant: Grant) -> Answer<()> {
        self.inner.release(grant)
    }
    fn peek(&self, claim: &Claim) -> Answer<Vec<Standing>> {
        self.inner.peek(claim)
    }
    fn record(&self, tags: &Tags, usage: Usage) -> Answer<()> {
        self.inner.record(tags, usage)
    }
}
fn hooked(l: Limits) -> (Limiter, Arc<Mutex<Option<Hook>>>, Arc<AtomicBool>) {
    let (hook, panics): (Arc<Mutex<Option<Hook>>>, Arc<AtomicBool>) = Default::default();
    let store = HookStore {
        inner: MemoryStore::new(l),
        hook: hook.clone(),
        panics: panics.clone(),
    };
    (Limiter::with_store(store), hook, panics)
}

#[tokio::test(start_paused = true)]
async fn given_back_between_the_drivers_refusal_and_its_parking() {
    let (limiter, hook, _) = hooked(limits([
        Limit::requests(1).every(MINUTE).when(Tag::Model, "m"),
        Limit::concurrency(1),
    ]));
    drop(limiter.acquire(model("m")).await.unwrap());
    let l = limiter.clone();
    let waiting = tokio::spawn(async move { l.acquire(model("m")).await.map(drop) });
    tokio::time::sleep(Duration::from_secs(10)).await;
    let held: Permit = limiter.acquire(model("other")).await.unwrap();
    let mut held = Some(held);
    *hook.lock().unwrap() = Some(Box::new(move |answer| {
        assert!(
            matches!(answer, Answer::Now(Ok(Decision::NotNow(n))) if n.key.limit() == 1),
            "{answer:?}"
        );
        drop(held.take()); // as another thread would
    }));
    timeout(MINUTE * 60, waiting)
        .await
        .expect("stalled")
        .unwrap()
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_once_does_not_stall_who_waits() {
    let (limiter, _, panics) = hooked(limits([Limit::concurrency(1)]));
    let held = limiter.acquire(Call::new()).await.unwrap();
    let l = limiter.clone();
    let waiting = tokio::spawn(async move { l.acquire(Call::new()).await.map(drop) });
    tokio::time::sleep(Duration::from_secs(1)).await;
    panics.store(true, Ordering::SeqCst);
    drop(held);
    timeout(MINUTE * 60, waiting)
        .await
        .expect("stalled")
        .unwrap()
        .unwrap();
}

/// The driver's runtime goes down between taking what is due and serving it.
#[test]
fn what_was_due_survives_the_driver() {
    let (limiter, _, panics) = hooked(limits([
        Limit::concurrency(1).when(Tag::Model, "a"),
        Limit::concurrency(1).when(Tag::Model, "b"),
    ]));
    let (one, two) = (rt(), rt());
    let (ha, hb) = one.block_on(async {
        (
            limiter.acquire(model("a")).await.unwrap(),
            limiter.acquire(model("b")).await.unwrap(),
        )
    });
    let l = limiter.clone();
    one.block_on(async {
        tokio::spawn(async move { l.acquire(model("a")).await.map(drop) });
        tokio::time::sleep(Duration::from_secs(1)).await;
    });
    let l = limiter;
    let w = two.spawn(async move { l.acquire(model("b")).await.map(drop) });
    two.block_on(async { tokio::time::sleep(Duration::from_secs(1)).await });
    // driver runs on `one`: have it die while it has taken `b` from the due
    panics.store(true, Ordering::SeqCst);
    drop(hb);
    one.block_on(async { tokio::time::sleep(Duration::from_secs(1)).await });
    drop(one);
    two.block_on(async { timeout(MINUTE, w).await.expect("stalled").unwrap().unwrap() });
    drop(ha);
}

#[tokio::test(start_paused = true)]
async fn a_permit_dropped_on_a_plain_thread_wakes_who_waits() {
    let limiter = Limiter::with_store(LaterStore::new(limits([Limit::concurrency(1)])));
    let held = limiter.acquire(Call::new()).await.unwrap();
    let l = limiter.clone();
    let waiting = tokio::spawn(async move { l.acquire(Call::new()).await.map(drop) });
    tokio::time::sleep(Duration::from_secs(1)).await;
    std::thread::spawn(move || drop(held)).join().unwrap();
    timeout(MINUTE, waiting)
        .await
        .expect("stalled")
        .unwrap()
        .unwrap();
}

#[test]
fn a_permit_dropped_with_its_runtime_is_given_back_to_a_slow_store() {
    let limiter = Limiter::with_store(LaterStore::new(limits([Limit::concurrency(1)])));
    let one = rt();
    let l = limiter.clone();
    one.block_on(async move {
        tokio::spawn(async move {
            let _p = l.acquire(Call::new()).await.unwrap();
            std::future::pending::<()>().await;
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
    });
    drop(one);
    rt().block_on(async {
        let next = timeout(MINUTE, limiter.acquire(Call::new())).await;
        drop(next.expect("leaked").unwrap());
    });
}

#[test]
fn a_driver_on_a_runtime_that_is_not_run_stalls_nobody() {
    let limiter = Limiter::new(limits([Limit::concurrency(1)]));
    let (one, two) = (rt(), rt());
    let held = one.block_on(limiter.acquire(Call::new())).unwrap();
    // A caller on `one` waits, starts the driver there, and goes away; meanwhile one on `two` queues.
    let l = limiter.clone();
    let mut other = Box::pin(async move { l.acquire(Call::new()).await.map(drop) });
    one.block_on(async {
        let mut first = pin!(limiter.acquire(Call::new()));
        let _ = first.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let _in = two.enter();
        let _ = other.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    });
    // `one` lives, but nobody runs it any more.
    drop(held);
    two.block_on(async { timeout(MINUTE, other).await.expect("stalled").unwrap() });
    drop(one);
}

#[tokio::test(start_paused = true)]
async fn usage_of_a_call_that_reserved_nothing_is_not_swept_away() {
    let limiter = Limiter::new(limits([Limit::tokens(100).every(MINUTE).per(Tag::Agent)]));
    let agent = |n: &str| Call::new().tags(Tags::new().with(Tag::Agent, n));
    let p = limiter.acquire(agent("x")).await.unwrap();
    for n in 0..2_000 {
        limiter
            .acquire(agent(&n.to_string()))
            .await
            .unwrap()
            .release();
    }
    p.settle(Usage::new(100, 0));
    let e = limiter.try_acquire(agent("x").tokens(1, 0)).await;
    assert!(e.is_err(), "100 of 100 were used");
}

#[tokio::test(start_paused = true)]
async fn usage_of_a_call_that_reserved_nothing_survives_a_release_in_its_slot() {
    let limiter = Limiter::new(limits([Limit::tokens(100)
        .every(MINUTE)
        .charge(Charge::openai())]));
    let b = limiter.acquire(Call::new()).await.unwrap();
    limiter
        .acquire(Call::new().tokens(5, 0))
        .await
        .unwrap()
        .release();
    b.settle(Usage::new(100, 0));
    assert!(limiter.try_acquire(Call::new().tokens(1, 0)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_absurd_report_does_not_hide_another() {
    let limiter = Limiter::new(limits([Limit::tokens(100).every(MINUTE)]));
    let a = limiter.acquire(Call::new().tokens(50, 0)).await.unwrap();
    let b = limiter.acquire(Call::new().tokens(50, 0)).await.unwrap();
    a.settle(Usage::new(u64::MAX, 0));
    advance(Duration::from_secs(30)).await;
    b.settle(Usage::new(50, 0));
    advance(Duration::from_secs(31)).await;
    assert!(
        limiter
            .try_acquire(Call::new().tokens(100, 0))
            .await
            .is_err(),
        "b's 50 count until 90 s"
    );
}

#[tokio::test(start_paused = true)]
async fn an_absurd_report_does_not_panic() {
    let limiter = Limiter::new(limits([Limit::tokens(100).every(MINUTE)]));
    let a = limiter.acquire(Call::new().tokens(50, 0)).await.unwrap();
    let b = limiter.acquire(Call::new().tokens(50, 0)).await.unwrap();
    a.settle(Usage::new(1, 0));
    advance(Duration::from_secs(30)).await;
    b.settle(Usage::new(u64::MAX, 0));
    assert!(limiter.try_acquire(Call::new().tokens(1, 0)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_needs_no_tokens_is_not_held_up_by_one_that_waits_for_tokens() {
    let limiter = Limiter::new(limits([
        Limit::tokens(100).every(MINUTE),
        Limit::requests(10).every(MINUTE),
    ]));
    limiter
        .acquire(Call::new().tokens(60, 0))
        .await
        .unwrap()
        .settle(Usage::new(60, 0));
    let mut large = pin!(limiter.acquire(Call::new().tokens(100, 0)));
    let _ = large.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    limiter
        .try_acquire(Call::new())
        .await
        .expect("it needs a request and no tokens")
        .release();
}

#[test]
fn races_on_threads_strand_nobody() {
    // Two counts, cancels, four threads: everybody is granted or gone within a generous real time.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    runtime.block_on(async {
        for round in 0..3000 {
            let limiter = Limiter::new(limits([
                Limit::concurrency(1).when(Tag::Model, "a"),
                Limit::concurrency(1).when(Tag::Agent, "x"),
            ]));
            let mut tasks = tokio::task::JoinSet::new();
            for i in 0..12u32 {
                let l = limiter.clone();
                tasks.spawn(async move {
                    let mut tags = Tags::new();
                    if i % 3 != 0 {
                        tags.set(Tag::Model, "a");
                    }
                    if i % 3 != 1 {
                        tags.set(Tag::Agent, "x");
                    }
                    let call = Call::new().tags(tags).priority((i % 4) as i32);
                    if i % 2 == 0 {
                        let mut f = Box::pin(l.acquire(call));
                        for _ in 0..(i % 5) {
                            if std::future::poll_fn(|cx| {
                                std::task::Poll::Ready(f.as_mut().poll(cx).is_ready())
                            })
                            .await
                            {
                                return;
                            }
                            tokio::task::yield_now().await;
                        }
                    } else {
                        let p = l.acquire(call).await.unwrap();
                        tokio::task::yield_now().await;
                        drop(p);
                    }
                });
            }
            let all = async { while tasks.join_next().await.is_some() {} };
            assert!(
                timeout(Duration::from_secs(120), all).await.is_ok(),
                "stranded in round {round}, {} wait",
                limiter.waiting()
            );
        }
    });
    stop.store(true, Ordering::Relaxed);
}

#[test]
fn what_a_dying_driver_marks_is_heard_of_by_the_others() {
    let limiter = Limiter::new(limits([
        Limit::concurrency(1).when(Tag::Model, "a"),
        Limit::concurrency(1).when(Tag::Model, "b"),
    ]));
    let (one, two) = (rt(), rt());
    let (ha, hb) = one.block_on(async {
        (
            limiter.acquire(model("a")).await.unwrap(),
            limiter.acquire(model("b")).await.unwrap(),
        )
    });
    // Starts the driver of `one`, and outlives it.
    let mut kept = Box::pin(limiter.acquire(model("a")));
    one.block_on(async {
        let _ = kept.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        tokio::task::yield_now().await;
    });
    let l = limiter.clone();
    let w = two.spawn(async move { l.acquire(model("b")).await.map(drop) });
    two.block_on(async { tokio::time::sleep(Duration::from_secs(1)).await });
    // The driver of `two` sleeps; that of `one` dies, and after that a place comes back.
    drop(one);
    two.block_on(tokio::task::yield_now());
    drop(hb);
    two.block_on(async { timeout(MINUTE, w).await.expect("stalled").unwrap().unwrap() });
    drop(ha);
}
