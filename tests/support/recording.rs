//! A store that writes down what becomes of each claim: our side's ledger.

use std::sync::{Arc, Mutex};

use tower_quota::{
    Tags, Usage,
    limit::{Limits, Tick},
    store::{
        Answer, Claim, Decision, Grant, MemoryStore, Observation, Settlement, Standing, Store,
    },
};

/// What became of the claims. A grant ends once: settling and releasing take it by value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) granted: usize,
    pub(crate) released: usize,
    pub(crate) settled: Vec<Option<Usage>>,
}

#[derive(Debug)]
pub(crate) struct RecordingStore {
    store: MemoryStore,
    record: Arc<Mutex<Record>>,
}

impl RecordingStore {
    pub(crate) fn new(limits: Limits) -> (Self, Arc<Mutex<Record>>) {
        let record = Arc::<Mutex<Record>>::default();
        (
            RecordingStore {
                store: MemoryStore::new(limits),
                record: record.clone(),
            },
            record,
        )
    }

    fn record(&self, note: impl FnOnce(&mut Record)) {
        note(&mut self.record.lock().unwrap());
    }
}

impl Store for RecordingStore {
    fn limits(&self) -> Limits {
        self.store.limits()
    }

    fn now(&self) -> Tick {
        self.store.now()
    }

    fn claim(&self, claim: &Claim) -> Answer<Decision> {
        let answer = self.store.claim(claim);
        if matches!(answer, Answer::Now(Ok(Decision::Granted(_)))) {
            self.record(|record| record.granted += 1);
        }
        answer
    }

    fn date(&self, grant: &mut Grant) {
        self.store.date(grant);
    }

    fn streamed(&self, grant: &mut Grant, output: u64) {
        self.store.streamed(grant, output);
    }

    fn settle(&self, grant: Grant, settlement: Settlement) -> Answer<()> {
        let usage = if let Settlement::Usage(usage) = settlement {
            Some(usage)
        } else {
            None
        };
        self.record(|record| record.settled.push(usage));
        self.store.settle(grant, settlement)
    }

    fn observe(&self, tags: &Tags, grant: &Grant, seen: &Observation) -> Answer<bool> {
        self.store.observe(tags, grant, seen)
    }

    fn release(&self, grant: Grant) -> Answer<()> {
        self.record(|record| record.released += 1);
        self.store.release(grant)
    }

    fn peek(&self, claim: &Claim) -> Answer<Vec<Standing>> {
        self.store.peek(claim)
    }

    fn record(&self, tags: &Tags, usage: Usage) -> Answer<()> {
        self.store.record(tags, usage)
    }
}
