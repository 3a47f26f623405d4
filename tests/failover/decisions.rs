//! Where a call goes is decided by what is known here: a store on another machine is not asked for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tower_quota::{
    Limiter, Money, Tag, Tags, Usage,
    failover::{Pool, Route, Target},
    limit::{Limit, Limits, Tick},
    store::{Answer, Claim, Decision, Grant, MemoryStore, Settlement, Standing, Store},
};

use crate::providers::{MODEL, Providers, failover, provider, request, send, stack};

/// A store that counts how often it is peeked at, and how often it says what is known here.
#[derive(Clone, Debug)]
struct Watched {
    store: Arc<MemoryStore>,
    peeks: Arc<AtomicUsize>,
    looks: Arc<AtomicUsize>,
}

impl Watched {
    fn new(limits: impl IntoIterator<Item = Limit>) -> Self {
        let store = MemoryStore::new(Limits::new(limits).unwrap());
        Watched {
            store: Arc::new(store),
            peeks: Arc::default(),
            looks: Arc::default(),
        }
    }

    /// How often it was peeked and looked at.
    fn asked(&self) -> (usize, usize) {
        let count = |of: &AtomicUsize| of.load(Ordering::Relaxed);
        (count(&self.peeks), count(&self.looks))
    }
}

impl Store for Watched {
    fn limits(&self) -> Limits {
        self.store.limits()
    }

    fn now(&self) -> Tick {
        self.store.now()
    }

    fn claim(&self, claim: &Claim) -> Answer<Decision> {
        self.store.claim(claim)
    }

    fn date(&self, grant: &mut Grant) {
        self.store.date(grant);
    }

    fn streamed(&self, grant: &mut Grant, output: u64) {
        self.store.streamed(grant, output);
    }

    fn settle(&self, grant: Grant, settlement: Settlement) -> Answer<()> {
        self.store.settle(grant, settlement)
    }

    fn release(&self, grant: Grant) -> Answer<()> {
        self.store.release(grant)
    }

    fn peek(&self, claim: &Claim) -> Answer<Vec<Standing>> {
        self.peeks.fetch_add(1, Ordering::Relaxed);
        self.store.peek(claim)
    }

    fn look(&self, claim: &Claim) -> Answer<Vec<Standing>> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        self.store.look(claim)
    }

    fn record(&self, tags: &Tags, usage: Usage) -> Answer<()> {
        self.store.record(tags, usage)
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

/// Ten calls under these limits, and how often the store was peeked and looked at.
async fn ten(route: Route, limit: Limit) -> (usize, usize) {
    let (providers, store) = (Providers::new(["openai"]), Watched::new([limit]));
    let limiter = Limiter::with_store(store.clone());
    let service = stack(failover(route), limiter, &providers);
    for _ in 0..10 {
        let came = send(&service, request()).await.unwrap();
        assert_eq!(came.status, 200, "{}", came.body);
    }
    store.asked()
}

#[tokio::test(start_paused = true)]
async fn which_key_has_the_most_room() {
    let openai = provider("openai", &["a", "b"]).pool(Pool::MostHeadroom);
    let route = Route::ordered([Target::new(&openai, MODEL)]);
    let limit = Limit::requests(30).every(HOUR).per(Tag::ApiKey);
    assert_eq!(ten(route, limit).await, (0, 20));
}

#[tokio::test(start_paused = true)]
async fn whether_a_route_is_degraded() {
    let openai = provider("openai", &["main"]);
    let route = Route::ordered([Target::new(&openai, MODEL)]);
    let route = route.degraded(0.9, [Target::new(&openai, "gpt-5.4-mini")]);
    let budget = Limit::cost(Money::from_dollars(1)).every(HOUR);
    assert_eq!(ten(route, budget).await, (0, 10));
}
