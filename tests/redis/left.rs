//! What processes did that have left counts, also where the history that they did it in gives way to another.
#![cfg(all(feature = "redis", unix))]

use crate::servers as redis;

use std::time::Duration;

use redis::{Reply, Server, until};
use tower_quota::{
    Money, Tags, Usage,
    limit::{Demand, Limit, Limits},
    store::{
        Claim, Decision, Grant, Settlement, Store as _,
        redis::{OpenError, RedisOptions, RedisStore},
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
fn options(server: &Server, slots: u64) -> RedisOptions {
    let limits = Limits::new([
        Limit::requests(10_000).every(HOUR),
        Limit::concurrency(slots),
        Limit::cost(Money::from_nanos(1_000)).in_total(),
    ]);
    let options = RedisOptions::new(&server.url(), limits.unwrap()).unwrap();
    let options = options.silence(DAY).image_after(2_000);
    options.timeout(Duration::from_secs(20))
}

fn open(server: &Server) -> RedisStore {
    options(server, 3).open().unwrap()
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

/// They are in force from then on, though nobody who was there has heard of them.
#[tokio::test]
async fn limits_that_one_brought_to_an_empty_server_hold_also_when_one_comes_that_was_there() {
    let server = Server::start(&[]);
    let one = open(&server);
    spend(&one, 100).await;
    server.ask(&["DEL", KEYS[0], KEYS[1], KEYS[2]]);
    let other = options(&server, 5).open().unwrap();
    spend(&other, 200).await;
    let before = epoch(&server);
    assert_eq!(counts(&one).await, [2, 0, 300]);
    assert_ne!(epoch(&server), before, "it has begun anew");
    assert_eq!(counts(&other).await, [2, 0, 300]);
    let third = options(&server, 5).open().unwrap();
    for store in [&one, &other, &third] {
        let slots = store.limits().iter().nth(1).unwrap().to_string();
        assert_eq!(slots, "concurrency 5");
    }
    // Who begins changes nothing by saying what it began with, nor does who comes with the same.
    let noted = one.audit().get().await.unwrap();
    let new: Vec<_> = noted.iter().map(|entry| entry.new.as_deref()).collect();
    assert_eq!(new, [Some("concurrency 5")]);
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

/// A server that throws keys away has thrown away that one alone.
#[tokio::test]
async fn an_image_that_is_gone_is_written_again_by_who_counts_there_and_nothing_is_forgotten() {
    let server = Server::start(&[]);
    let one = open(&server);
    spend(&one, 100).await;
    server.ask(&["DEL", KEYS[2]]);
    spend(&one, 50).await;
    let other = open(&server);
    assert_eq!(counts(&other).await, [2, 0, 150]);
    assert_eq!(counts(&one).await, [2, 0, 150]);
}

/// What it lacks was in the image, and stands in the log no more.
#[tokio::test]
async fn one_that_finds_the_image_gone_waits_for_who_writes_it_again() {
    let server = Server::start(&[]);
    let (one, other) = (open(&server), open(&server));
    spend(&one, 100).await;
    record(&other, 2_100).await;
    // The image is written behind the answers, and before the next question.
    assert_eq!(counts(&other).await, [2_101, 0, 100]);
    let (before, looked) = (epoch(&server), server.calls("get"));
    server.ask(&["DEL", KEYS[2]]);
    let asked = one.budgets();
    until("it looks for it", || server.calls("get") > looked);
    assert_eq!(counts(&other).await, [2_101, 0, 100]);
    asked.get().await.unwrap();
    assert_eq!(counts(&one).await, [2_101, 0, 100]);
    assert_eq!(epoch(&server), before, "nothing has begun anew");
}

/// Nobody writes it again within the five seconds for which it looks for it.
#[tokio::test]
async fn one_that_finds_the_image_gone_goes_on_and_all_that_anybody_knows_counts() {
    let server = Server::start(&[]);
    let (one, other) = (open(&server), open(&server));
    spend(&one, 100).await;
    record(&other, 2_100).await;
    // The image is written behind the answers, and before the next question.
    assert_eq!(counts(&other).await, [2_101, 0, 100]);
    assert_ne!(server.ask(&["HGET", KEYS[0], "image"]).text(), "0-0");
    server.ask(&["DEL", KEYS[2]]);
    assert_eq!(counts(&one).await, [1, 0, 100], "that is what it knows");
    for store in [&other, &one, &open(&server)] {
        assert_eq!(counts(store).await, [2_101, 0, 100]);
    }
}

#[tokio::test]
async fn where_nobody_is_left_to_write_the_image_again_that_is_said_and_nothing_is_done() {
    let server = Server::start(&[]);
    let one = open(&server);
    spend(&one, 100).await;
    one.close().unwrap();
    server.ask(&["DEL", KEYS[2]]);
    let log = || server.ask(&["XLEN", KEYS[1]]).text();
    let (before, mut said) = (log(), String::new());
    // It looks for it for twenty times as long as an answer may take.
    let options = options(&server, 3).timeout(Duration::from_millis(50));
    until("it is said", || match options.clone().open() {
        Err(error @ OpenError::ImageGone { .. }) => {
            said = error.to_string();
            true
        }
        Err(_) => false,
        Ok(store) => panic!("there is nothing to begin with: {store:?}"),
    });
    assert!(said.contains("writes it again when it asks next"), "{said}");
    assert_eq!(log(), before);
}
