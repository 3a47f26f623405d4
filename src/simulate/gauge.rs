//! How full limits are, looked at from time to time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::tally::Tally;
use crate::store::{Answer, MemoryStore, Store as _};

/// So many calls are looked at one by one; with ten times as many every tenth is.
const EACH_OF: u64 = 1_024;
/// Of so many more counts every other call is looked at, every third, and so on: a look is at all of them.
const FEW_COUNTS: u64 = 8;

/// Looks at the counts as calls leave, and at each step of time.
#[derive(Debug)]
pub(super) struct Gauge {
    store: Arc<MemoryStore>,
    tally: Tally,
    left: AtomicU64,
    next: AtomicU64,
}

impl Gauge {
    pub(super) fn new(store: Arc<MemoryStore>, tally: Tally) -> Self {
        Gauge {
            store,
            tally,
            left: AtomicU64::new(0),
            next: AtomicU64::new(0),
        }
    }

    /// A call leaves: what it takes counts.
    pub(super) fn left(&self) {
        let left = self.left.fetch_add(1, Ordering::Relaxed);
        if left >= self.next.load(Ordering::Relaxed) {
            let counts = self.store.len() as u64;
            let step = 1 + left / EACH_OF + counts / FEW_COUNTS;
            self.next.store(left + step, Ordering::Relaxed);
            self.look();
        }
    }

    /// Looks at each step of time, as long as it is polled.
    pub(super) async fn go(&self) {
        loop {
            tokio::time::sleep(self.tally.step().max(Duration::from_millis(1))).await;
            self.look();
        }
    }

    fn look(&self) {
        // The memory answers at once.
        if let Answer::Now(Ok(standings)) = self.store.counts(1) {
            self.tally.saw(&standings);
        }
    }
}
