//! Every store passes the same contract and, on the same trace, decides the same.

use crate::later;

use std::sync::Arc;

use later::LaterStore;
use tower_quota::store::{MemoryStore, Store, contract};

/// S4: one contract for all stores.
///
/// S1: memory.
#[tokio::test(start_paused = true)]
async fn the_memory_store_keeps_the_contract() {
    contract::check(
        |limits| Arc::new(MemoryStore::new(limits)),
        tokio::time::advance,
    )
    .await;
    contract::listening::check(
        |limits| Arc::new(MemoryStore::new(limits)),
        tokio::time::advance,
    )
    .await;
    let make = |limits| -> Arc<dyn Store> { Arc::new(MemoryStore::new(limits)) };
    contract::counts_stand_as_they_count(&make).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_answers_later_keeps_the_contract() {
    contract::check(
        |limits| Arc::new(LaterStore::new(limits)),
        tokio::time::advance,
    )
    .await;
    contract::listening::check(
        |limits| Arc::new(LaterStore::new(limits)),
        tokio::time::advance,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn both_decide_the_same_on_random_traces() {
    for seed in 0..50 {
        let memory: Arc<dyn Store> = Arc::new(MemoryStore::new(contract::trace_limits()));
        let later: Arc<dyn Store> = Arc::new(LaterStore::new(contract::trace_limits()));
        let one = contract::random_trace(memory, &tokio::time::advance, seed).await;
        let other = contract::random_trace(later, &tokio::time::advance, seed).await;
        assert_eq!(one, other, "seed {seed}");
        assert!(
            one.iter().any(|line| line == "granted"),
            "a trace that grants nothing shows nothing"
        );
    }
}
