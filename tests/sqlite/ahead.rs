//! Room that is written down ahead: who need not wait for the disk, and what that costs after a crash.
#![cfg(feature = "sqlite")]

use crate::folder;

use std::{path::Path, sync::Arc, time::Duration};

use folder::Folder;
use tower_quota::{
    Money, Tag, Tags, Usage,
    limit::{Demand, Limit, Limits},
    store::{
        Answer, Claim, Correction, Decision, Settlement, SqliteStore, Store as _,
        sqlite::{Ledger, Query, SqliteOptions},
    },
};

const BUDGET: u64 = 100;

fn limits() -> Limits {
    let day = Duration::from_secs(86_400);
    Limits::new([
        Limit::cost(Money::from_nanos(BUDGET)).every(day),
        Limit::cost(Money::from_nanos(BUDGET * 9))
            .every(day)
            .per(Tag::Agent),
        Limit::requests(1_000).every(day),
    ])
    .unwrap()
}

fn open(path: &Path, ahead: u32) -> SqliteStore {
    let options = SqliteOptions::new(path, limits()).ahead(ahead);
    options.open().unwrap()
}

fn claim() -> Claim {
    Claim::new(
        Tags::new().with(Tag::Agent, "scout"),
        Demand {
            cost: 10,
            ..Demand::default()
        },
    )
}

async fn settle_one(store: &SqliteStore) {
    let Decision::Granted(grant) = store.claim(&claim()).get().await.unwrap() else {
        panic!("there is room");
    };
    let mut usage = Usage::new(3, 4);
    usage.cost = Some(Money::from_nanos(10));
    let settled = store.settle(grant, Settlement::Usage(usage));
    settled.get().await.unwrap();
}

/// What both budgets say is spent, and the ledger: the money, and how many attempts nobody knows the usage of.
async fn spent(store: &SqliteStore) -> ([u64; 2], u64, u64) {
    store.flush().await.unwrap();
    let budgets = store.budgets().get().await.unwrap();
    let of = |place: usize| {
        assert_eq!(budgets[place].reserved, Money::ZERO);
        budgets[place].settled.as_nanos()
    };
    let totals = Ledger::open(store.path()).unwrap();
    let totals = totals.report(&Query::new()).unwrap().totals;
    ([of(0), of(1)], totals.cost.as_nanos(), totals.unknown)
}

#[tokio::test]
async fn who_has_a_block_is_answered_at_once() {
    let folder = Folder::new();
    let store = open(&folder.file("counts.db"), 4);
    assert!(matches!(store.claim(&claim()), Answer::Later(_)));
    settle_one(&store).await;
    let Answer::Now(Ok(Decision::Granted(grant))) = store.claim(&claim()) else {
        panic!("its room is written");
    };
    store.release(grant).get().await.unwrap();
    let other = Claim {
        tags: Arc::new(Tags::new().with(Tag::Agent, "other")),
        ..claim()
    };
    assert!(matches!(store.claim(&other), Answer::Later(_)));
}

#[tokio::test]
async fn nobody_leaves_on_the_strength_of_what_was_done_by_hand_before_that_is_written() {
    let folder = Folder::new();
    let store = open(&folder.file("counts.db"), 4);
    for _ in 0..2 {
        settle_one(&store).await;
    }
    let mut waits = false;
    // Where the thread that writes comes in between, it is written already.
    for _ in 0..50 {
        let less = Correction::Less(Money::from_nanos(1));
        let corrected = store.correct(&claim().tags, less, &"a test".into());
        let granted = store.claim(&claim());
        waits |= matches!(granted, Answer::Later(_));
        corrected.get().await.unwrap();
        let Decision::Granted(grant) = granted.get().await.unwrap() else {
            panic!("there is room");
        };
        store.release(grant).get().await.unwrap();
        if waits {
            break;
        }
    }
    assert!(waits);
    let granted = store.claim(&claim());
    assert!(matches!(granted, Answer::Now(_)), "it is written");
    // What is recorded makes no room.
    let recorded = store.record(&claim().tags, Usage::new(1, 1));
    let granted = store.claim(&claim());
    assert!(matches!(granted, Answer::Now(_)), "{granted:?}");
    recorded.get().await.unwrap();
}

#[tokio::test]
async fn after_a_crash_a_block_counts_as_used() {
    let folder = Folder::new();
    let path = folder.file("counts.db");
    let store = open(&path, 4);
    for _ in 0..2 {
        settle_one(&store).await;
    }
    assert_eq!(spent(&store).await, ([20, 20], 20, 0), "as long as it runs");
    let copy = folder.copy(&path, "copy.db");
    for ahead in [4, 0] {
        let store = open(&copy, ahead);
        assert_eq!(spent(&store).await, ([60, 60], 60, 1));
        assert_eq!(store.lost(), 0, "no attempt of which anything is known");
    }
}

#[tokio::test]
async fn of_a_block_counts_what_its_limits_have_room_for() {
    let folder = Folder::new();
    let path = folder.file("counts.db");
    let store = open(&path, 4);
    for _ in 0..8 {
        settle_one(&store).await;
    }
    store.flush().await.unwrap();
    let store = open(&folder.copy(&path, "copy.db"), 4);
    // The larger budget has room for all of it, and the ledger is not below any.
    assert_eq!(spent(&store).await, ([BUDGET, 120], 120, 1));
}

#[tokio::test]
async fn a_store_that_is_closed_leaves_no_block_behind() {
    let folder = Folder::new();
    let path = folder.file("counts.db");
    let store = open(&path, 4);
    for _ in 0..3 {
        settle_one(&store).await;
    }
    store.close().unwrap();
    drop(store);
    let store = open(&path, 4);
    assert_eq!(spent(&store).await, ([30, 30], 30, 0));
}

#[tokio::test]
async fn without_it_nothing_is_lost_that_nobody_asked_for() {
    let folder = Folder::new();
    let path = folder.file("counts.db");
    let store = open(&path, 0);
    for _ in 0..3 {
        assert!(matches!(store.claim(&claim()), Answer::Later(_)));
        settle_one(&store).await;
    }
    store.flush().await.unwrap();
    let store = open(&folder.copy(&path, "copy.db"), 4);
    assert_eq!(spent(&store).await, ([30, 30], 30, 0));
}
