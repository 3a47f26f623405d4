//! A store in a file keeps the contract of all stores, and decides as the memory does.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/folder.rs"]
mod folder;

use std::{cell::Cell, sync::Arc};

use folder::Folder;
use tower_quota::{
    limit::Limits,
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
