//! What processes did that have left counts, also where the history that they did it in gives way to another.
#![cfg(all(feature = "redis", unix))]

use crate::servers as redis;

use std::time::Duration;

use redis::{Reply, Server};
use tower_quota::{
    Money, Tags, Usage,
    limit::{Demand, Limit, Limits},
    store::{
        Claim, Decision, Grant, Settlement, Store as _,
        redis::{RedisOptions, RedisStore},
    },
};

const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3_600);
const KEYS: [&str; 3] = [
    "{tower-quota:default}:head",
    "{tower-quota:default}:log",
    "{tower-quota:default}:image",
];

/// Nobody asks by itself meanwhile.
fn open(server: &Server) -> RedisStore {
    let limits = Limits::new([
        Limit::requests(10_000).every(HOUR),
        Limit::concurrency(3),
        Limit::cost(Money::from_nanos(1_000)).in_total(),
    ]);
    let options = RedisOptions::new(&server.url(), limits.unwrap()).unwrap();
    let options = options.silence(DAY).image_after(2_000);
    options.timeout(Duration::from_secs(20)).open().unwrap()
}

fn claim(cost: u64) -> Claim {
    Claim::new(
        Tags::new(),
        Demand {
            cost,
            ..Demand::default()
        },
    )
}

async fn take(store: &RedisStore, cost: u64) -> Grant {
    let Decision::Granted(mut grant) = store.claim(&claim(cost)).get().await.unwrap() else {
        panic!("there is room");
    };
    store.date(&mut grant);
    grant
}

async fn spend(store: &RedisStore, cost: u64) {
    let grant = take(store, cost).await;
    let settled = store.settle(grant, Settlement::Unknown);
    settled.get().await.unwrap();
}

/// Requests of the last hour, slots that are held, money that is spent.
async fn counts(store: &RedisStore) -> [u64; 3] {
    let standings = store.peek(&claim(1)).get().await.unwrap();
    let in_use = |limit| {
        let standing = standings.iter().find(|one| one.key.limit() == limit);
        standing.unwrap().in_use
    };
    let budget = store.budgets().get().await.unwrap().remove(0);
    [in_use(0), in_use(1), budget.settled.as_nanos()]
}

fn epoch(server: &Server) -> String {
    server.ask(&["HGET", KEYS[0], "epoch"]).text()
}

/// It comes to a server that has lost all, and is gone before anybody comes who was there.
#[tokio::test]
async fn what_one_spent_on_an_empty_server_and_left_counts_when_one_comes_that_was_there() {
    let server = Server::start(&[]);
    let one = open(&server);
    // It has counted there for two hours.
    let origin = server.ask(&["HGET", KEYS[0], "origin"]).text();
    let earlier = (origin.parse::<u64>().unwrap() - 7_200_000_000).to_string();
    server.ask(&["HSET", KEYS[0], "origin", &earlier]);
    spend(&one, 100).await;
    server.ask(&["DEL", KEYS[0], KEYS[1], KEYS[2]]);
    let other = open(&server);
    let (given_back, _kept) = (take(&other, 7).await, take(&other, 50).await);
    other.release(given_back).get().await.unwrap();
    spend(&other, 200).await;
    assert_eq!(counts(&other).await, [2, 1, 200]);
    // What it has under way then counts as used.
    other.close().unwrap();
    let before = epoch(&server);
    assert_eq!(counts(&one).await, [3, 0, 350]);
    assert_ne!(epoch(&server), before, "it has begun anew");
    assert_eq!(one.processes(), 1);
    assert_eq!(counts(&open(&server)).await, [3, 0, 350]);
}

/// All keys at once, to others.
fn copy(server: &Server, from: &str, to: &str) {
    let mut connection = server.connect();
    connection.ask(&["MULTI"]).unwrap();
    for key in KEYS {
        let (from, to) = (format!("{key}{from}"), format!("{key}{to}"));
        connection.ask(&["DEL", &to]).unwrap();
        connection.ask(&["COPY", &from, &to]).unwrap();
    }
    let said = connection.ask(&["EXEC"]).unwrap();
    assert!(matches!(said, Reply::List(_)), "{said}");
}

async fn record(store: &RedisStore, times: usize) {
    let mut usage = Usage::new(0, 0);
    usage.cost = Some(Money::ZERO);
    let recorded: Vec<_> = (0..times)
        .map(|_| store.record(&Tags::new(), usage))
        .collect();
    for answer in recorded {
        answer.get().await.unwrap();
    }
}

/// It comes to a server that has lost more than one knows again that was there.
#[tokio::test]
async fn what_one_spent_behind_an_old_image_and_left_counts_when_a_later_one_goes_before_that() {
    let server = Server::start(&[]);
    let first = open(&server);
    spend(&first, 100).await;
    record(&first, 500).await;
    copy(&server, "", ":saved");
    record(&first, 1_700).await;
    // The image is written behind the answers, and before the next question. The last thousand entries go with it.
    assert_eq!(counts(&first).await, [2_201, 0, 100]);
    let later = open(&server);
    first.close().unwrap();
    assert_eq!(counts(&later).await, [2_201, 0, 100]);
    copy(&server, ":saved", "");
    let other = open(&server);
    spend(&other, 200).await;
    assert_eq!(counts(&other).await, [502, 0, 300]);
    other.close().unwrap();
    let before = epoch(&server);
    assert_eq!(counts(&later).await, [2_202, 0, 300]);
    assert_ne!(epoch(&server), before, "it has begun anew");
    assert_eq!(counts(&open(&server)).await, [2_202, 0, 300]);
}
