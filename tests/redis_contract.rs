//! A store on a Redis server keeps the contract of all stores, and decides as the memory does.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use tower_quota::{
    limit::Limits,
    store::{MemoryStore, Store, contract, redis::RedisOptions},
};

/// Each time another namespace.
fn maker(url: &str) -> impl Fn(Limits) -> Arc<dyn Store> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let url = url.to_owned();
    move |limits| {
        let name = format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let options = RedisOptions::new(&url, limits).unwrap().namespace(name);
        Arc::new(options.time_passed_in().open().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn it_keeps_the_contract() {
    contract::check(maker("redis://127.0.0.1:7999"), tokio::time::advance).await;
}

#[tokio::test(start_paused = true)]
async fn it_listens_as_the_contract_says() {
    contract::listening::check(maker("redis://127.0.0.1:7999"), tokio::time::advance).await;
}

#[tokio::test(start_paused = true)]
async fn it_decides_as_the_memory_does_on_random_traces() {
    let make = maker("redis://127.0.0.1:7999");
    for seed in 0..20 {
        let memory: Arc<dyn Store> = Arc::new(MemoryStore::new(contract::trace_limits()));
        let one = contract::random_trace(memory, &tokio::time::advance, seed).await;
        let other = make(contract::trace_limits());
        let other = contract::random_trace(other, &tokio::time::advance, seed).await;
        assert_eq!(one, other, "seed {seed}");
    }
}
