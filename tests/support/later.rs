//! A store that answers later: everything it says comes as a future, as from a disk or another machine.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tower_quota::{
    Tags, Usage,
    limit::{LimitKey, Limits, Tick},
    store::{
        Answer, AuditEntry, Claim, Correction, Decision, Grant, MemoryStore, Note, Observation,
        Reason, Settlement, Standing, Store,
    },
};

/// The memory store, asked through futures that yield before they answer.
#[derive(Debug)]
pub(crate) struct LaterStore(Arc<MemoryStore>, Duration, Arc<Mutex<Option<Limits>>>);

#[allow(dead_code, reason = "not every test needs all of it")]
impl LaterStore {
    pub(crate) fn new(limits: Limits) -> Self {
        Self::after(Duration::ZERO, limits)
    }

    /// One that takes so long for each answer.
    pub(crate) fn after(span: Duration, limits: Limits) -> Self {
        LaterStore(Arc::new(MemoryStore::new(limits)), span, Arc::default())
    }

    /// What it says of its limits once something is in there.
    pub(crate) fn said(&self) -> Arc<Mutex<Option<Limits>>> {
        self.2.clone()
    }

    fn later<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&MemoryStore) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let (store, span) = (self.0.clone(), self.1);
        Answer::Later(Box::pin(async move {
            tokio::task::yield_now().await;
            if !span.is_zero() {
                tokio::time::sleep(span).await;
            }
            let answer = ask(&store).get().await;
            tokio::task::yield_now().await;
            answer
        }))
    }
}

impl Store for LaterStore {
    fn limits(&self) -> Limits {
        let said = self.2.lock().unwrap().clone();
        said.unwrap_or_else(|| self.0.limits())
    }

    fn catch_up(&self) -> Answer<()> {
        self.later(|store| store.catch_up())
    }

    fn reconfigure(&self, limits: &Limits, reason: &Reason) -> Answer<()> {
        let (limits, reason) = (limits.clone(), reason.clone());
        self.later(move |store| store.reconfigure(&limits, &reason))
    }

    fn correct(&self, tags: &Tags, correction: Correction, reason: &Reason) -> Answer<()> {
        let (tags, reason) = (tags.clone(), reason.clone());
        self.later(move |store| store.correct(&tags, correction, &reason))
    }

    fn reset(&self, tags: &Tags, reason: &Reason) -> Answer<u64> {
        let (tags, reason) = (tags.clone(), reason.clone());
        self.later(move |store| store.reset(&tags, &reason))
    }

    fn note(&self, note: Note, reason: &Reason) -> Answer<()> {
        let reason = reason.clone();
        self.later(move |store| store.note(note, &reason))
    }

    fn audit(&self) -> Answer<Vec<AuditEntry>> {
        self.later(|store| store.audit())
    }

    fn now(&self) -> Tick {
        self.0.now()
    }

    fn claim(&self, claim: &Claim) -> Answer<Decision> {
        let claim = claim.clone();
        self.later(move |store| store.claim(&claim))
    }

    fn date(&self, grant: &mut Grant) {
        self.0.date(grant);
    }

    fn streamed(&self, grant: &mut Grant, output: u64) {
        self.0.streamed(grant, output);
    }

    fn settle(&self, grant: Grant, settlement: Settlement) -> Answer<()> {
        self.later(move |store| store.settle(grant, settlement))
    }

    fn refuse(&self, claim: &Claim) -> Answer<()> {
        let claim = claim.clone();
        self.later(move |store| store.refuse(&claim))
    }

    fn observe(&self, tags: &Tags, grant: &Grant, seen: &Observation) -> Answer<bool> {
        let (tags, grant, seen) = (tags.clone(), grant.clone(), seen.clone());
        self.later(move |store| store.observe(&tags, &grant, &seen))
    }

    fn keys(&self, claim: &Claim) -> Vec<LimitKey> {
        self.0.keys(claim)
    }

    fn release(&self, grant: Grant) -> Answer<()> {
        self.later(move |store| store.release(grant))
    }

    fn peek(&self, claim: &Claim) -> Answer<Vec<Standing>> {
        let claim = claim.clone();
        self.later(move |store| store.peek(&claim))
    }

    fn record(&self, tags: &Tags, usage: Usage) -> Answer<()> {
        let tags = tags.clone();
        self.later(move |store| store.record(&tags, usage))
    }
}
