//! Runs that rest while processes come and go.

use std::{path::Path, time::SystemTime};

use tower_quota::{
    Tag, Tags,
    limit::{Demand, Limit, Limits, Quantities},
    store::{Claim, Decision, Settlement, SqliteStore, Store as _, sqlite::SqliteOptions},
};

use crate::{
    folder::Folder,
    world::{MINUTE, wall},
};

/// Two requests a run, and at most three counts.
fn open(path: &Path, wall: impl Fn() -> SystemTime + Send + Sync + 'static) -> SqliteStore {
    let limits = Limits::new([Limit::requests(2).every_run()]).unwrap();
    let options = SqliteOptions::new(path, limits).max_counts(3);
    options.wall_clock(wall).open().unwrap()
}

/// A call of this run, sent and settled. Whether it was granted.
async fn calls(store: &SqliteStore, run: &str) -> bool {
    let claim = Claim {
        quantities: Quantities::ADMISSION,
        ..Claim::new(Tags::new().with(Tag::Run, run), Demand::default())
    };
    let decision = store.claim(&claim).get().await.unwrap();
    let Decision::Granted(mut grant) = decision else {
        return false;
    };
    store.date(&mut grant);
    let settled = store.settle(grant, Settlement::Unknown);
    settled.get().await.unwrap();
    true
}

/// Once by the log, and once by the image that the process before has begun with.
#[tokio::test(start_paused = true)]
async fn runs_rest_over_the_end_of_processes_and_those_in_use_stay() {
    let (folder, wall, hour) = (Folder::new(), wall(), MINUTE * 60);
    let path = folder.file("a.db");
    let store = open(&path, wall.clone());
    for run in ["one", "two", "three", "two", "three", "four", "five"] {
        assert!(calls(&store, run).await, "{run}");
    }
    drop(store);
    tokio::time::advance(hour * 12).await;
    let store = open(&path, wall.clone());
    assert!(!calls(&store, "six").await, "no room for another count");
    drop(store);
    tokio::time::advance(hour * 11).await;
    let store = open(&path, wall.clone());
    assert!(calls(&store, "one").await, "it goes on");
    assert!(!calls(&store, "six").await);
    drop(store);
    let store = open(&path, wall);
    tokio::time::advance(hour * 2).await;
    assert!(calls(&store, "six").await && calls(&store, "six").await);
    assert!(!calls(&store, "six").await, "it has its own count");
    assert!(!calls(&store, "one").await, "what it used still counts");
}
