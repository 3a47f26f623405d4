//! A store in a file answers a claim when it is written: those who wait are written together, not one after another.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use tokio::task::JoinSet;
use tower_quota::{
    Limiter, Tags, Usage,
    limit::{Limit, LimitKey, Limits, Tick},
    limiter::Call,
    store::{Answer, Claim, Decision, Grant, Settlement, SqliteStore, Standing, Store, Waiting},
};

use crate::{ends, folder::Folder, limits};

const PLACES: usize = 64;

/// The store, and how many of its claims were on their way at the same time.
#[derive(Debug)]
struct Watched {
    store: SqliteStore,
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Watched {
    fn watch(&self, answer: Answer<Decision>) -> Answer<Decision> {
        let Answer::Later(answer) = answer else {
            return answer;
        };
        let now = self.now.clone();
        self.most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
        Answer::Later(Box::pin(async move {
            let answer = answer.await;
            now.fetch_sub(1, SeqCst);
            answer
        }))
    }
}

impl Store for Watched {
    fn limits(&self) -> Limits {
        self.store.limits()
    }

    fn now(&self) -> Tick {
        self.store.now()
    }

    fn keys(&self, claim: &Claim) -> Vec<LimitKey> {
        self.store.keys(claim)
    }

    fn claim(&self, claim: &Claim) -> Answer<Decision> {
        self.watch(self.store.claim(claim))
    }

    fn claim_waiting(&self, claim: &Claim, waiting: Waiting) -> Answer<Decision> {
        self.watch(self.store.claim_waiting(claim, waiting))
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
        self.store.peek(claim)
    }

    fn record(&self, tags: &Tags, usage: Usage) -> Answer<()> {
        self.store.record(tags, usage)
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_written_together() {
    let folder = Folder::new();
    let path = folder.file("counts.db");
    let store = SqliteStore::open(&path, limits([Limit::concurrency(PLACES as u64)])).unwrap();
    let most = Arc::<AtomicUsize>::default();
    let limiter = Limiter::with_store(Watched {
        store,
        now: Arc::default(),
        most: most.clone(),
    });
    let mut held = Vec::new();
    for _ in 0..PLACES {
        held.push(limiter.acquire(Call::new()).await.unwrap());
    }
    let mut calls = JoinSet::new();
    for _ in 0..PLACES {
        let limiter = limiter.clone();
        calls.spawn(async move { ends(limiter.acquire(Call::new())).await.unwrap() });
    }
    while limiter.waiting() < PLACES {
        tokio::task::yield_now().await;
    }
    assert_eq!(most.load(SeqCst), 1, "nobody had room so far");
    held.into_iter().for_each(|permit| permit.release());
    let held = calls.join_all().await;
    assert_eq!((held.len(), limiter.waiting()), (PLACES, 0));
    // One, two, four, and so on; fewer where many are answered before anybody asks again.
    let most = most.load(SeqCst);
    assert!((PLACES / 4..=PLACES / 2).contains(&most), "{most}");
}
