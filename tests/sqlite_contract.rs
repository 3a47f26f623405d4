//! A store in a file keeps the contract of all stores, and decides as the memory does.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/folder.rs"]
mod folder;

use std::{cell::Cell, sync::Arc, time::Duration};

use folder::Folder;
use tokio::time::Instant;
use tower_quota::{
    Limiter, Usage,
    limit::{Limit, Limits},
    limiter::{Call, QueueOptions},
    store::{MemoryStore, SqliteStore, Store, contract},
};

/// Each time another file.
fn maker(folder: &Folder) -> impl Fn(Limits) -> Arc<dyn Store> {
    let number = Cell::new(0);
    move |limits| {
        number.set(number.get() + 1);
        let path = folder.file(&format!("{}.db", number.get()));
        Arc::new(SqliteStore::open(path, limits).unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn it_keeps_the_contract() {
    let folder = Folder::new();
    contract::check(maker(&folder), tokio::time::advance).await;
    contract::counts_stand_as_they_count(&maker(&Folder::new())).await;
}

#[tokio::test(start_paused = true)]
async fn it_listens_as_the_contract_says() {
    let folder = Folder::new();
    contract::listening::check(maker(&folder), tokio::time::advance).await;
}

#[tokio::test(start_paused = true)]
async fn it_decides_as_the_memory_does_on_random_traces() {
    let folder = Folder::new();
    let make = maker(&folder);
    for seed in 0..20 {
        let memory: Arc<dyn Store> = Arc::new(MemoryStore::new(contract::trace_limits()));
        let one = contract::random_trace(memory, &tokio::time::advance, seed).await;
        let file = make(contract::trace_limits());
        let other = contract::random_trace(file, &tokio::time::advance, seed).await;
        assert_eq!(one, other, "seed {seed}");
        assert!(
            one.iter().any(|line| line == "granted"),
            "a trace that grants nothing shows nothing"
        );
    }
}

/// When each of forty calls is let in, and under what.
async fn instants(store: Arc<dyn Store>) -> Vec<(u64, u128)> {
    let limiter = Limiter::build(store, QueueOptions::new());
    let start = Instant::now();
    let calls = (0..40).map(|number| {
        let limiter = limiter.clone();
        tokio::spawn(async move {
            let call = Call::new()
                .tokens(10 + number, 5)
                .priority(i32::try_from(number % 3).unwrap());
            let permit = limiter.acquire(call).await.unwrap();
            let at = start.elapsed().as_micros();
            tokio::time::sleep(Duration::from_secs(3)).await;
            permit.settle(Usage::new(9, 4));
            (number, at)
        })
    });
    let calls: Vec<_> = calls.collect();
    let mut instants = Vec::new();
    for call in calls {
        instants.push(call.await.unwrap());
    }
    instants
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_let_in_at_the_same_instants_as_in_memory() {
    let folder = Folder::new();
    let minute = Duration::from_secs(60);
    let limits = || {
        let requests = Limit::requests(5).every(minute);
        Limits::new([
            requests,
            Limit::tokens(300).every(minute),
            Limit::concurrency(4),
        ])
        .unwrap()
    };
    let memory = instants(Arc::new(MemoryStore::new(limits()))).await;
    let file = instants(maker(&folder)(limits())).await;
    assert_eq!(memory, file);
    assert!(
        memory.iter().any(|(_, at)| *at > 400_000_000),
        "they waited: {memory:?}"
    );
}
