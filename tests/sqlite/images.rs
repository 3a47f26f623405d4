//! Images of few counts and of many: what is done goes on from either.
#![cfg(feature = "sqlite")]

use crate::folder;

use std::{path::Path, time::Duration};

use folder::Folder;
use futures_util::future::join_all;
use rusqlite::Connection;
use tower_quota::{
    Tag, Tags, Usage,
    limit::{Demand, Limit, Limits},
    store::{Claim, Decision, Grant, Settlement, SqliteStore, Store as _, sqlite::SqliteOptions},
};

/// Done between two images.
const IMAGE_AFTER: usize = 50;

fn open(path: &Path) -> SqliteStore {
    let day = Duration::from_secs(86_400);
    let limits = [
        Limit::tokens(1_000_000).every(day).per(Tag::Agent),
        Limit::concurrency(100),
    ];
    let options = SqliteOptions::new(path, Limits::new(limits).unwrap());
    options.image_after(IMAGE_AFTER).open().unwrap()
}

fn claim(agent: usize) -> Claim {
    Claim::new(
        Tags::new().with(Tag::Agent, agent.to_string()),
        Demand {
            input: 7,
            ..Demand::default()
        },
    )
}

async fn granted(store: &SqliteStore, agent: usize) -> Grant {
    match store.claim(&claim(agent)).get().await.unwrap() {
        Decision::Granted(grant) => grant,
        refused => panic!("{refused:?}"),
    }
}

/// Counts usage of each of these agents.
async fn record(store: &SqliteStore, agents: std::ops::Range<usize>) {
    let record = |agent| store.record(&claim(agent).tags, Usage::new(10, 0));
    let all: Vec<_> = agents.map(|agent| record(agent).get()).collect();
    for recorded in join_all(all).await {
        recorded.unwrap();
    }
}

async fn in_use(store: &SqliteStore, agent: usize) -> u64 {
    let standing = store.peek(&claim(agent)).get().await.unwrap();
    standing[0].in_use
}

/// Some are counted, one call is in flight while images are taken, and ends; another one is when it crashes.
async fn what_was_done_is_there(agents: usize) {
    let folder = Folder::new();
    let path = folder.file("counts.db");
    let store = open(&path);
    let early = granted(&store, 0).await;
    record(&store, 0..agents).await;
    // An image is taken of these, and a further one of what has become of that.
    for _ in 0..3 {
        record(&store, 0..IMAGE_AFTER.max(agents)).await;
    }
    let settled = store.settle(early, Settlement::Usage(Usage::new(3, 0)));
    settled.get().await.unwrap();
    let _late = granted(&store, 1).await;
    record(&store, 0..3).await;
    store.flush().await.unwrap();

    let copy = folder.copy(&path, "copy.db");
    let written: i64 = Connection::open(&copy)
        .unwrap()
        .query_row("SELECT coalesce(sum(length(ops)), 0) FROM log", [], |row| {
            row.get(0)
        })
        .unwrap();
    let written = usize::try_from(written).unwrap();
    assert!(
        written < agents.max(IMAGE_AFTER) * 400,
        "{written}: images are taken"
    );
    let found = open(&copy);
    assert_eq!((store.lost(), found.lost()), (0, 1));
    for (agent, expected) in [(0, 53), (1, 57), (2, 50), (agents - 1, 40)] {
        assert_eq!(in_use(&found, agent).await, expected, "{agent} of {agents}");
    }
    assert_eq!(in_use(&store, 0).await, 53);
    assert!(found.len() >= agents);
}

#[tokio::test]
async fn of_few_counts() {
    what_was_done_is_there(IMAGE_AFTER + 1).await;
}

#[tokio::test]
async fn of_many_counts() {
    what_was_done_is_there(10_500).await;
}
