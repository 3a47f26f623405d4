//! A memory store with the judge inside: whatever a limiter asks of it is held against the log.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard},
};

use tower_quota::{
    StoreError, Tags, Usage,
    limit::{LimitKey, Limits, Tick},
    store::{Answer, Claim, Decision, Grant, MemoryStore, Settlement, Standing, Store},
};

use crate::{log::Log, plan::Plan};

#[derive(Clone, Debug)]
pub(crate) struct Judged {
    inner: Arc<Inner>,
    /// How often its futures yield before they ask and before they answer; `None`: it answers at once.
    later: Option<u32>,
}

#[derive(Debug)]
struct Inner {
    store: MemoryStore,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    log: Log,
    /// Grants that have not ended, with their numbers. Two that are equal are the same to the store.
    open: Vec<(Grant, usize)>,
    /// What was decided was wrong, and that was said. From then on everybody is turned away: a panic in a driver
    /// would start the next one.
    failed: bool,
}

impl Judged {
    pub(crate) fn new(limits: Limits, plans: Vec<Plan>, later: Option<u32>) -> Self {
        let kept = Kept {
            log: Log::new(plans),
            open: Vec::new(),
            failed: false,
        };
        let inner = Inner {
            store: MemoryStore::new(limits),
            kept: Mutex::new(kept),
        };
        Judged {
            inner: Arc::new(inner),
            later,
        }
    }

    /// The promises over all that was, when everything has ended. Returns how many claims were granted.
    pub(crate) fn finish(&self) -> usize {
        let kept = self.inner.kept();
        assert!(!kept.failed, "judged wrong");
        assert!(kept.open.is_empty(), "in flight still: {:?}", kept.open);
        kept.log.judge_intervals();
        kept.log.granted()
    }

    fn answer<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<T> {
        let Some(yields) = self.later else {
            return Answer::Now(ask(&self.inner));
        };
        let inner = self.inner.clone();
        Answer::Later(Box::pin(async move {
            for _ in 0..yields {
                tokio::task::yield_now().await;
            }
            let answer = ask(&inner);
            for _ in 0..yields {
                tokio::task::yield_now().await;
            }
            answer
        }))
    }
}

impl Inner {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    fn micros(&self) -> u64 {
        self.store.now().as_micros()
    }
}

impl Kept {
    fn judge<T>(&mut self, judge: impl FnOnce(&mut Log) -> T) -> Result<T, StoreError> {
        let judged = catch_unwind(AssertUnwindSafe(|| judge(&mut self.log)));
        self.failed |= judged.is_err();
        let right = judged.ok().filter(|_| !self.failed);
        right.ok_or_else(|| StoreError::new("judged wrong"))
    }

    fn close(&mut self, grant: &Grant) -> usize {
        let place = self.open.iter().position(|(open, _)| open == grant);
        self.open
            .swap_remove(place.expect("a grant that is open"))
            .1
    }
}

impl Store for Judged {
    fn limits(&self) -> Limits {
        self.inner.store.limits()
    }

    fn keys(&self, claim: &Claim) -> Vec<LimitKey> {
        self.inner.store.keys(claim)
    }

    fn now(&self) -> Tick {
        self.inner.store.now()
    }

    fn claim(&self, claim: &Claim) -> Answer<Decision> {
        let claim = claim.clone();
        self.answer(move |inner| {
            let mut kept = inner.kept();
            let decision = now(inner.store.claim(&claim))?;
            let number = kept.judge(|log| log.judge(&claim, &decision, inner.micros()))?;
            if let Decision::Granted(grant) = &decision {
                kept.open.push((grant.clone(), number.unwrap()));
            }
            Ok(decision)
        })
    }

    fn date(&self, grant: &mut Grant) {
        let mut kept = self.inner.kept();
        let number = kept.close(grant);
        self.inner.store.date(grant);
        kept.log.dated(number, self.inner.micros());
        kept.open.push((grant.clone(), number));
    }

    /// No call of the proof streams through the limiter.
    fn streamed(&self, _: &mut Grant, _: u64) {
        unreachable!("nothing streams here")
    }

    fn settle(&self, grant: Grant, settlement: Settlement) -> Answer<()> {
        let usage = if let Settlement::Usage(usage) = settlement {
            Some(usage)
        } else {
            None
        };
        self.answer(move |inner| {
            let mut kept = inner.kept();
            let number = kept.close(&grant);
            kept.log.settled(number, usage, inner.micros());
            now(inner.store.settle(grant, settlement))
        })
    }

    fn release(&self, grant: Grant) -> Answer<()> {
        self.answer(move |inner| {
            let mut kept = inner.kept();
            let number = kept.close(&grant);
            kept.log.released(number, inner.micros());
            now(inner.store.release(grant))
        })
    }

    fn refuse(&self, claim: &Claim) -> Answer<()> {
        let claim = claim.clone();
        self.answer(move |inner| {
            inner.kept().log.refused(&claim, inner.micros());
            now(inner.store.refuse(&claim))
        })
    }

    fn peek(&self, claim: &Claim) -> Answer<Vec<Standing>> {
        let claim = claim.clone();
        self.answer(move |inner| {
            let standings = now(inner.store.peek(&claim))?;
            let in_use: Vec<u64> = standings.iter().map(|standing| standing.in_use).collect();
            let at = inner.micros();
            let mut kept = inner.kept();
            kept.judge(|log| log.judge_in_use(&claim, &in_use, at))?;
            Ok(standings)
        })
    }

    fn record(&self, tags: &Tags, usage: Usage) -> Answer<()> {
        let tags = tags.clone();
        self.answer(move |inner| {
            inner.kept().log.recorded(&tags, &usage, inner.micros());
            now(inner.store.record(&tags, usage))
        })
    }
}

/// The memory answers at once.
fn now<T>(answer: Answer<T>) -> Result<T, StoreError> {
    match answer {
        Answer::Now(answer) => answer,
        Answer::Later(_) => panic!("the memory answers at once"),
    }
}
