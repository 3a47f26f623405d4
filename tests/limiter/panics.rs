//! What panics while a store answers later, the store's own future or whoever listens, has come to its end: it is not polled
//! again, and nobody stands still because of it.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{task::yield_now, time::timeout};
use tower_quota::{
    Limiter, Money, StoreError, Tags, Usage,
    limit::{Limit, Limits, Tick},
    limiter::{Call, Permit},
    store::{
        Answer, BudgetEvent, Claim, Decision, Grant, MemoryStore, Settlement, Standing, Store,
    },
};

const MINUTE: Duration = Duration::from_secs(60);

/// Counts its polls, and panics at each but the first.
struct Panics(Arc<AtomicUsize>);

impl Future for Panics {
    type Output = Result<(), StoreError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        assert!(before == 0, "the store panics");
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The memory store, which is told of usage at once and answers later.
#[derive(Debug)]
struct Late {
    inner: Arc<MemoryStore>,
    /// Whether it panics instead.
    panics: bool,
    /// How often what panics was polled.
    polls: Arc<AtomicUsize>,
    /// How often the time was asked for: by a driver whenever it has a look.
    looks: Arc<AtomicUsize>,
}

impl Late {
    fn new(panics: bool) -> Self {
        let hour = 60 * MINUTE;
        let budget = Limit::cost(Money::from_dollars(10)).every(hour);
        let limits = Limits::new([Limit::concurrency(1), budget.thresholds([0.8])]);
        Late {
            inner: Arc::new(MemoryStore::new(limits.unwrap())),
            panics,
            polls: Arc::default(),
            looks: Arc::default(),
        }
    }

    fn later(&self, answer: Answer<()>) -> Answer<()> {
        Answer::Later(match self.panics {
            true => Box::pin(Panics(self.polls.clone())),
            false => Box::pin(async move {
                yield_now().await;
                answer.get().await
            }),
        })
    }
}

impl Store for Late {
    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn now(&self) -> Tick {
        self.looks.fetch_add(1, Ordering::Relaxed);
        self.inner.now()
    }

    fn claim(&self, claim: &Claim) -> Answer<Decision> {
        self.inner.claim(claim)
    }

    fn date(&self, grant: &mut Grant) {
        self.inner.date(grant);
    }

    fn streamed(&self, grant: &mut Grant, output: u64) {
        self.inner.streamed(grant, output);
    }

    fn settle(&self, grant: Grant, settlement: Settlement) -> Answer<()> {
        self.later(self.inner.settle(grant, settlement))
    }

    fn release(&self, grant: Grant) -> Answer<()> {
        self.inner.release(grant)
    }

    fn peek(&self, claim: &Claim) -> Answer<Vec<Standing>> {
        self.inner.peek(claim)
    }

    fn record(&self, tags: &Tags, usage: Usage) -> Answer<()> {
        self.later(self.inner.record(tags, usage))
    }

    fn events(&self) -> Vec<BudgetEvent> {
        self.inner.events()
    }
}

async fn yields() {
    for _ in 0..100 {
        yield_now().await;
    }
}

/// Somebody who waits for the slot, and keeps it.
fn waits(limiter: &Limiter) -> tokio::task::JoinHandle<Permit> {
    let limiter = limiter.clone();
    tokio::spawn(async move { limiter.acquire(Call::new()).await.unwrap() })
}

#[tokio::test(start_paused = true)]
async fn a_settlement_that_panics_is_not_polled_again_and_who_waits_looks_again() {
    let store = Late::new(true);
    let (polls, limiter) = (store.polls.clone(), Limiter::with_store(store));
    let held = limiter.acquire(Call::new()).await.unwrap();
    let waiting = waits(&limiter);
    yields().await;
    held.settle(Usage::new(1, 1));
    yields().await;
    assert_eq!(polls.load(Ordering::Relaxed), 2);
    // It was settled before it panicked.
    let next = timeout(MINUTE, waiting).await.expect("stalled").unwrap();
    next.release();
    assert_eq!(polls.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_panics_is_told_once_and_keeps_no_driver_busy() {
    let store = Late::new(false);
    let (looks, limiter) = (store.looks.clone(), Limiter::with_store(store));
    let told = Arc::new(AtomicUsize::new(0));
    let listener = told.clone();
    limiter.on_event(move |event| {
        listener.fetch_add(1, Ordering::Relaxed);
        panic!("whoever listens panics: {event:?}");
    });
    let held = limiter.acquire(Call::new()).await.unwrap();
    let (first, second) = (waits(&limiter), waits(&limiter));
    yields().await;
    let mut usage = Usage::new(1, 1);
    usage.cost = Some(Money::from_dollars(9));
    held.settle(usage);
    let first = timeout(MINUTE, first).await.expect("stalled").unwrap();
    yields().await;
    // The second one waits still, and nothing happens meanwhile.
    let before = looks.load(Ordering::Relaxed);
    yields().await;
    assert_eq!(looks.load(Ordering::Relaxed), before);
    assert_eq!((told.load(Ordering::Relaxed), limiter.waiting()), (1, 1));
    first.release();
    let second = timeout(MINUTE, second).await.expect("stalled").unwrap();
    second.release();
}

#[tokio::test(start_paused = true)]
async fn who_asks_hears_of_the_panic_and_nobody_asks_again() {
    let store = Late::new(true);
    let (polls, limiter) = (store.polls.clone(), Limiter::with_store(store));
    let asks = limiter.clone();
    let asked = tokio::spawn(async move { asks.record(&Tags::new(), Usage::new(1, 1)).await });
    assert!(asked.await.unwrap_err().is_panic());
    yields().await;
    // Whoever comes sees to what was left.
    limiter.acquire(Call::new()).await.unwrap().release();
    yields().await;
    assert_eq!(polls.load(Ordering::Relaxed), 2);
}
