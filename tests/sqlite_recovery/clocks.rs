//! Ages are by the clock on the wall while the process is down, and by the steady one while it runs.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::time::advance;
use tower_quota::{
    Money, Tags, Usage,
    limit::{CalendarUnit, Limit, Limits},
    store::{SqliteStore, Store as _, sqlite::SqliteOptions},
};

use crate::{
    folder::Folder,
    world::{MINUTE, World, claim},
};

/// Twelve minutes past an hour.
const START: u64 = 1_790_035_200 + 720;

fn open(path: &Path, seconds: &Arc<AtomicU64>, limit: Limit) -> SqliteStore {
    let seconds = seconds.clone();
    let shown =
        move || SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.load(Ordering::Relaxed));
    SqliteOptions::new(path, Limits::new([limit]).unwrap())
        .wall_clock(shown)
        .open()
        .unwrap()
}

/// What one call a minute says after the process was down for so long by the clock on the wall.
async fn after(down: i64) -> String {
    let folder = Folder::new();
    let (path, seconds) = (folder.file("a.db"), Arc::new(AtomicU64::new(START)));
    let limit = || Limit::requests(1).every(MINUTE).margin(Duration::ZERO);
    let mut world = World::of(open(&path, &seconds, limit()));
    world.claim(&claim("a", 1), true).await;
    drop(world);
    // The steady clock of another process is another.
    advance(MINUTE * 100).await;
    seconds.store(START.saturating_add_signed(down), Ordering::Relaxed);
    let mut world = World::of(open(&path, &seconds, limit()));
    world.claim(&claim("a", 1), true).await;
    world.said.remove(0)
}

#[tokio::test(start_paused = true)]
async fn the_time_that_it_was_down_counts() {
    assert_eq!(after(0).await, "not now: 0 1 Some(60s)");
    assert_eq!(after(20).await, "not now: 0 1 Some(40s)");
    assert_eq!(after(59).await, "not now: 0 1 Some(1s)");
    assert_eq!(after(60).await, "granted");
}

#[tokio::test(start_paused = true)]
async fn where_the_clock_went_back_no_time_has_passed() {
    assert_eq!(after(-1).await, "not now: 0 1 Some(60s)");
    assert_eq!(after(-86_400).await, "not now: 0 1 Some(60s)");
    let long = -i64::try_from(START).unwrap();
    assert_eq!(after(long).await, "not now: 0 1 Some(60s)");
}

#[tokio::test(start_paused = true)]
async fn while_it_runs_the_clock_on_the_wall_may_do_what_it_likes() {
    let folder = Folder::new();
    let seconds = Arc::new(AtomicU64::new(START));
    let limit = Limit::requests(1).every(MINUTE).margin(Duration::ZERO);
    let mut world = World::of(open(&folder.file("a.db"), &seconds, limit));
    world.claim(&claim("a", 1), true).await;
    for shown in [START + 1_000_000, START, 5] {
        seconds.store(shown, Ordering::Relaxed);
        advance(MINUTE / 4).await;
        world.claim(&claim("a", 1), true).await;
    }
    advance(MINUTE / 4).await;
    world.claim(&claim("a", 1), true).await;
    assert_eq!(world.said[3], "not now: 0 1 Some(15s)");
    assert_eq!(world.said[4], "granted");
}

#[tokio::test(start_paused = true)]
async fn a_calendars_period_ends_when_the_clock_says_so_whoever_runs() {
    let folder = Folder::new();
    let (path, seconds) = (folder.file("a.db"), Arc::new(AtomicU64::new(START)));
    let limit = || Limit::cost(Money::from_dollars(5)).every_calendar(CalendarUnit::Hour, "UTC");
    let store = open(&path, &seconds, limit());
    let mut usage = Usage::new(1, 1);
    usage.cost = Some(Money::from_dollars(4));
    store.record(&Tags::new(), usage).get().await.unwrap();
    drop(store);
    for (shown, settled) in [
        (START + 100, 4),
        (START - 3_000, 5),
        (START + 2_879, 6),
        (START + 2_880, 0),
        (START, 1),
    ] {
        seconds.store(shown, Ordering::Relaxed);
        let store = open(&path, &seconds, limit());
        let standing = store.budgets().get().await.unwrap().remove(0);
        assert_eq!(
            standing.settled,
            Money::from_dollars(settled),
            "{}",
            shown.abs_diff(START)
        );
        usage.cost = Some(Money::from_dollars(1));
        store.record(&Tags::new(), usage).get().await.unwrap();
    }
}

/// As that of a machine that has just started, before anybody has told it the time.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_years_behind_at_one_start_has_no_years_pass_until_the_next() {
    let folder = Folder::new();
    let seconds = Arc::new(AtomicU64::new(START));
    let show = |shown| seconds.store(shown, Ordering::Relaxed);
    let path = folder.file("hour.db");
    let hour = || Limit::cost(Money::from_dollars(5)).every_calendar(CalendarUnit::Hour, "UTC");
    let store = open(&path, &seconds, hour());
    let mut usage = Usage::new(1, 1);
    usage.cost = Some(Money::from_dollars(4));
    store.record(&Tags::new(), usage).get().await.unwrap();
    drop(store);
    for (shown, settled) in [(START + 100, 4), (START + 2_879, 4), (START + 2_880, 0)] {
        // Nothing is done until it is right, or something that costs nothing.
        for usage in [None, Some(Usage::new(1, 1))] {
            show(5);
            let store = open(&path, &seconds, hour());
            if let Some(mut usage) = usage {
                usage.cost = Some(Money::ZERO);
                store.record(&Tags::new(), usage).get().await.unwrap();
            }
            drop(store);
        }
        show(shown);
        let store = open(&path, &seconds, hour());
        let standing = store.budgets().get().await.unwrap().remove(0);
        assert_eq!(standing.settled, Money::from_dollars(settled), "{shown}");
    }
    show(START);
    let path = folder.file("minute.db");
    let minute = || Limit::requests(1).every(MINUTE).margin(Duration::ZERO);
    let mut world = World::of(open(&path, &seconds, minute()));
    world.claim(&claim("a", 1), true).await;
    drop(world);
    show(5);
    drop(open(&path, &seconds, minute()));
    show(START + 20);
    let mut world = World::of(open(&path, &seconds, minute()));
    world.claim(&claim("a", 1), true).await;
    assert_eq!(world.said, ["not now: 0 1 Some(40s)"]);
}
