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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{limit::Limits, pricing::PriceTable};

    /// Where nothing is counted it looks no more often than else.
    #[tokio::test(start_paused = true)]
    async fn looks_grow_rare_where_nothing_is_counted() {
        let limits = Limits::new([]).unwrap();
        let tally = Tally::new(&limits, Arc::new(PriceTable::built_in()));
        let gauge = Gauge::new(Arc::new(MemoryStore::new(limits)), tally.clone());
        let hour = Duration::from_secs(3_600);
        let looked = tokio::time::timeout(hour, gauge.go()).await;
        assert!(looked.is_err());
        let step = tally.step();
        assert!(step * 120 < hour && hour <= step * 241, "{step:?}");
    }
}
