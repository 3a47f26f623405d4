//! What is old in a file whose clock on the wall may be wrong.
#![cfg(all(feature = "sqlite", feature = "sim"))]

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tower_quota::{
    Tag, Tags, Usage,
    store::{
        SqliteStore, Store as _,
        sqlite::{Query, Retention},
    },
};

use crate::{
    folder::Folder,
    ledger::{HOUR, START, at, clocked_from, rows},
};

const DAY: u64 = 86_400;
const YEARS: u64 = 10 * 365 * DAY;

fn months() -> Retention {
    Retention::new()
        .attempts(HOUR * 24 * 90)
        .hours(HOUR * 24 * 180)
}

fn set(millis: &AtomicU64, seconds: u64) {
    millis.store((START + seconds) * 1_000, Ordering::Relaxed);
}

async fn record(store: &Arc<SqliteStore>, run: &str) {
    let tags = Tags::new().with(Tag::Run, run);
    store.record(&tags, Usage::new(1, 1)).get().await.unwrap();
}

/// An attempt at each midnight of two hundred days.
async fn two_hundred_days(path: &Path) {
    let (store, millis) = clocked_from(path, 0);
    for day in 0..200 {
        set(&millis, day * DAY);
        let tags = Tags::new().with(Tag::Run, format!("day {day}"));
        drop(store.record(&tags, Usage::new(1, 1)));
    }
    store.flush().await.unwrap();
    store.close().unwrap();
}

fn first(path: &Path) -> String {
    rows(path, "SELECT run FROM attempts ORDER BY id LIMIT 1")[0][0].clone()
}

#[tokio::test]
async fn a_clock_that_is_years_ahead_deletes_what_is_old_beside_the_newest_and_no_more() {
    let folder = Folder::new();
    let path = folder.file("ledger.db");
    two_hundred_days(&path).await;
    let (store, millis) = clocked_from(&path, 200 * DAY + YEARS);
    // The first calls come before anybody has seen to the clock.
    record(&store, "years ahead").await;
    let pruned = store.prune(&months()).await.unwrap();
    assert_eq!((pruned.attempts, pruned.hours), (110, 20));
    assert_eq!(first(&path), "day 110");
    let from = rows(&path, "SELECT value FROM meta WHERE key = 'attempts_from'");
    let day_109 = (START + 109 * DAY) / 3_600;
    assert_eq!(from, [[(day_109 + 1).to_string()]]);
    // So what there is can still be told to the millisecond.
    let late = Query::new().from(at(199 * DAY + 1));
    let totals = store.ledger().unwrap().report(&late).unwrap().totals;
    assert_eq!(totals.attempts, 1);
    // With the clock set right there is nothing else to delete.
    set(&millis, 200 * DAY);
    let pruned = store.prune(&months()).await.unwrap();
    assert_eq!((pruned.attempts, pruned.hours), (0, 0));
}

#[tokio::test]
async fn a_clock_that_is_right_deletes_the_same() {
    let folder = Folder::new();
    let path = folder.file("ledger.db");
    two_hundred_days(&path).await;
    let (store, _) = clocked_from(&path, 200 * DAY);
    let pruned = store.prune(&months()).await.unwrap();
    assert_eq!((pruned.attempts, pruned.hours), (110, 20));
    assert_eq!(first(&path), "day 110");
}

#[tokio::test]
async fn where_nothing_is_recorded_nothing_is_deleted() {
    let folder = Folder::new();
    let (store, _) = clocked_from(&folder.file("ledger.db"), YEARS);
    let pruned = store.prune(&months()).await.unwrap();
    assert_eq!((pruned.attempts, pruned.hours), (0, 0));
    assert!(store.ledger().unwrap().audit().unwrap().is_empty());
}

/// Nothing came for long: what is old goes a day after something comes again, or by the time that passes.
#[tokio::test(start_paused = true)]
async fn what_was_there_last_goes_once_it_is_clear_that_it_is_old() {
    let folder = Folder::new();
    for comes in [true, false] {
        let path = folder.file(&format!("{comes}.db"));
        two_hundred_days(&path).await;
        let (store, millis) = clocked_from(&path, 500 * DAY);
        if comes {
            record(&store, "again").await;
        }
        assert_eq!(store.prune(&months()).await.unwrap().attempts, 110);
        // By then all of it is more than ninety days old, and by its own time only one more is.
        tokio::time::advance(Duration::from_secs(DAY)).await;
        set(&millis, 501 * DAY);
        let pruned = store.prune(&months()).await.unwrap();
        assert_eq!(pruned.attempts, if comes { 90 } else { 1 });
        if comes {
            assert_eq!(first(&path), "again");
            continue;
        }
        tokio::time::advance(Duration::from_secs(89 * DAY)).await;
        set(&millis, 590 * DAY);
        let pruned = store.prune(&months()).await.unwrap();
        assert_eq!(pruned.attempts, 89);
    }
}
