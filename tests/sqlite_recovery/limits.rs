//! Limits that are others when the file is opened again.

use std::{path::Path, sync::Arc, time::Duration};

use tower_quota::{
    Tag, Tags, Usage,
    limit::{Charge, Limit, Limits},
    store::{MemoryStore, Reason, Settlement, SqliteStore, Store as _, sqlite::SqliteOptions},
};

use crate::{
    folder::Folder,
    world::{MINUTE, World, claim, open, wall},
};

fn of(limits: impl IntoIterator<Item = Limit>) -> Limits {
    Limits::new(limits).unwrap()
}

fn requests(amount: u64) -> Limit {
    Limit::requests(amount)
        .every(MINUTE * 60)
        .margin(Duration::ZERO)
}

fn words(store: &SqliteStore) -> Vec<String> {
    store.limits().iter().map(ToString::to_string).collect()
}

fn reopened(path: &Path, limits: impl IntoIterator<Item = Limit>) -> Vec<String> {
    words(&SqliteStore::open(path, of(limits)).unwrap())
}

#[tokio::test]
async fn an_amount_that_was_changed_at_run_time_holds_until_the_program_says_another() {
    let folder = Folder::new();
    let path = folder.file("a.db");
    let other = || Limit::concurrency(4).headroom(0.7);
    let store = SqliteStore::open(&path, of([requests(10), other()])).unwrap();
    store
        .reconfigure(&of([requests(20), other()]), &Reason::default())
        .get()
        .await
        .unwrap();
    assert_eq!(words(&store)[0], "requests 20/hour");
    drop(store);
    assert_eq!(
        reopened(&path, [requests(10), other()])[0],
        "requests 20/hour"
    );
    assert_eq!(
        reopened(&path, [requests(10), other()])[0],
        "requests 20/hour",
        "also the second time"
    );
    // Another limit is another limit.
    assert_eq!(
        reopened(&path, [other().per(Tag::Agent), requests(10)])[1],
        "requests 20/hour"
    );
    assert_eq!(
        reopened(&path, [requests(30), other()])[0],
        "requests 30/hour"
    );
    assert_eq!(
        reopened(&path, [requests(10), other()])[0],
        "requests 10/hour",
        "what was changed is past"
    );
}

#[tokio::test]
async fn counts_follow_their_limits_and_calls_in_flight_too() {
    let folder = Folder::new();
    let path = folder.file("a.db");
    let before = [
        Limit::tokens(500).every(MINUTE * 60),
        requests(5).per(Tag::Agent).per(Tag::Team),
        Limit::requests(50).every(MINUTE * 5),
    ];
    let mut world = World::of(SqliteStore::open(&path, of(before)).unwrap());
    for _ in 0..3 {
        world.claim(&claim("a", 10), true).await;
    }
    world.settle(0, None).await;
    // One in another order, one is gone, one is new, one with another amount.
    let after = || {
        [
            requests(3).per(Tag::Team).per(Tag::Agent),
            Limit::tokens(100).every(MINUTE * 60),
            Limit::requests(9).every(MINUTE * 7),
        ]
    };
    drop(world);
    let store = SqliteStore::open(&path, of(after())).unwrap();
    assert_eq!(store.lost(), 2);
    let standings = store.peek(&claim("a", 10)).get().await.unwrap();
    let in_use: Vec<(usize, u64)> = standings
        .iter()
        .map(|standing| (standing.key.limit(), standing.in_use))
        .collect();
    assert_eq!(in_use, [(0, 2), (1, 30), (2, 0)]);
    let audit = store.ledger().unwrap().audit().unwrap();
    let changed: Vec<(Option<&str>, Option<&str>)> = audit
        .iter()
        .filter(|entry| entry.what == "limit")
        .map(|entry| (entry.old.as_deref(), entry.new.as_deref()))
        .collect();
    assert_eq!(
        changed,
        [
            (Some("tokens 500/hour"), Some("tokens 100/hour")),
            (
                Some("requests 5/hour per agent, team"),
                Some("requests 3/hour per team, agent")
            ),
            (Some("requests 50/300s"), None),
            (None, Some("requests 9/420s")),
        ]
    );
    let lost = audit.iter().find(|entry| entry.what == "recover").unwrap();
    assert_eq!(lost.old.as_deref(), Some("2 open"));
}

/// What is in use of each limit, in words, after the process was killed and its file opened with these.
async fn in_use_after(
    folder: &Folder,
    store: &SqliteStore,
    limits: impl IntoIterator<Item = Limit>,
) -> Vec<(String, u64)> {
    store.flush().await.unwrap();
    let path = folder.copy(store.path(), &format!("{}.db", fastrand::u64(..)));
    let store = open(&path, of(limits), wall());
    let standings = store.peek(&claim("a", 10)).get().await.unwrap();
    let in_use = words(&store).into_iter().zip(&standings);
    in_use
        .map(|(words, standing)| (words, standing.in_use))
        .collect()
}

fn is(words: &str, in_use: u64) -> (String, u64) {
    (words.to_owned(), in_use)
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_went_and_came_back_counts_what_came_since_then() {
    let folder = Folder::new();
    let tokens = || Limit::tokens(500).every(MINUTE * 60);
    let limits = of([requests(10), tokens()]);
    let store = Arc::new(open(&folder.file("a.db"), limits, wall()));
    let mut world = World::sharing(store.clone());
    world.claim(&claim("a", 10), true).await;
    world.claim(&claim("a", 10), true).await;
    for set in [vec![tokens()], vec![tokens(), requests(20)]] {
        store
            .reconfigure(&of(set), &Reason::default())
            .get()
            .await
            .unwrap();
    }
    world.claim(&claim("a", 10), true).await;
    // One that was claimed before it went.
    world.settle(0, None).await;
    let after = in_use_after(&folder, &store, [requests(10), tokens()]).await;
    let expected = [is("requests 20/hour", 1), is("tokens 500/hour", 30)];
    assert_eq!(after, expected);
    // What was changed is of what it was opened with, and this is another.
    let after = in_use_after(&folder, &store, [requests(11), tokens()]).await;
    assert_eq!(after[0], is("requests 11/hour", 1));
}

#[tokio::test(start_paused = true)]
async fn the_limits_that_it_is_opened_with_hold_whatever_came_and_went_at_run_time() {
    let folder = Folder::new();
    let tokens = |amount| Limit::tokens(amount).every(MINUTE * 60);
    let store = Arc::new(open(&folder.file("a.db"), of([requests(10)]), wall()));
    let mut world = World::sharing(store.clone());
    world.claim(&claim("a", 10), true).await;
    let other = of([tokens(500), Limit::concurrency(3)]);
    store
        .reconfigure(&other, &Reason::default())
        .get()
        .await
        .unwrap();
    world.claim(&claim("a", 10), true).await;
    // One that went is there, and empty; of those that came nothing is left.
    let after = in_use_after(&folder, &store, [requests(10)]).await;
    assert_eq!(after, [is("requests 10/hour", 0)]);
    // Where they are given now, they hold as they are given, and what counted there counts; slots are free.
    let both = [tokens(700), Limit::concurrency(3)];
    let after = in_use_after(&folder, &store, both).await;
    assert_eq!(after, [is("tokens 700/hour", 15), is("concurrency 3", 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_call_in_flight_settles_by_what_it_was_claimed_by_after_its_limit_is_charged_otherwise() {
    let folder = Folder::new();
    let tokens = |charge| of([Limit::tokens(900).every(MINUTE * 60).charge(charge)]);
    // An image when all is done but the settlement.
    let options = SqliteOptions::new(folder.file("a.db"), tokens(Charge::azure()));
    let store = Arc::new(options.wall_clock(wall()).image_after(5).open().unwrap());
    let memory = Arc::new(MemoryStore::new(tokens(Charge::azure())));
    let mut worlds = [World::sharing(store.clone()), World::sharing(memory)];
    for world in &mut worlds {
        world.claim(&claim("a", 100), true).await;
        world.claim(&claim("a", 100), true).await;
        let other = tokens(Charge::anthropic());
        world
            .store
            .reconfigure(&other, &Reason::default())
            .get()
            .await
            .unwrap();
        store.flush().await.unwrap();
        let used = Usage::new(20, 5);
        world.settle(0, Some(Settlement::Usage(used))).await;
    }
    let [_, memory] = &mut worlds;
    memory.lose_all().await;
    let standings = memory.store.peek(&claim("a", 10)).get().await.unwrap();
    let after = in_use_after(&folder, &store, tokens(Charge::azure()).iter().cloned()).await;
    assert_eq!(after, [is("tokens 900/hour", standings[0].in_use)]);
    assert!(standings[0].in_use > 150, "Azure charges what was reserved");
}

#[tokio::test]
async fn values_that_share_a_count_share_it_further() {
    let folder = Folder::new();
    let path = folder.file("a.db");
    let open = || {
        SqliteOptions::new(&path, of([requests(5).per(Tag::Agent)]))
            .max_counts(2)
            .open()
            .unwrap()
    };
    let store = open();
    for agent in ["a", "b", "c", "d", "e"] {
        let tags = Tags::new().with(Tag::Agent, agent);
        store.record(&tags, Usage::new(1, 1)).get().await.unwrap();
    }
    let in_use = |store: &SqliteStore, agent| {
        let standings = futures(store.peek(&claim(agent, 1)).get()).unwrap();
        (standings[0].key.is_shared(), standings[0].in_use)
    };
    let agents = ["a", "b", "c", "f"];
    let before = agents.map(|agent| in_use(&store, agent));
    assert_eq!(before, [(false, 1), (false, 1), (true, 3), (true, 3)]);
    drop(store);
    let store = open();
    assert_eq!(agents.map(|agent| in_use(&store, agent)), before);
}

/// What is there at once.
fn futures<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    match work
        .as_mut()
        .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("it is there at once"),
    }
}
