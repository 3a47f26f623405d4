//! A server whose clock is set back, or that takes over and is behind: counting goes on, nothing leaves early, and who is
//! dead is found.
#![cfg(all(feature = "redis", unix))]

use crate::servers as redis;

use std::{sync::Arc, time::Duration};

use redis::{Fault, Proxy, Reply, Server};
use tower_quota::{
    Limiter, Tags, Usage,
    limit::{Demand, Limit, Limits},
    limiter::{Call, QueueOptions},
    store::{
        Claim, Decision, Settlement, Store as _,
        redis::{RedisOptions, RedisStore},
    },
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
/// In microseconds.
const AN_HOUR: i64 = 3_600_000_000;
const HEAD: &str = "{tower-quota:default}:head";

/// All that is dated there by its clock is dated so much later.
const SHIFT: &str = r"
    local all = redis.call('HGETALL', KEYS[1])
    for place = 1, #all, 2 do
      if string.sub(all[place], 1, 2) == 'i:' then
        local number, at, rest = string.match(all[place + 1], '^(%d+) (%d+) (.*)$')
        at = string.format('%.0f', tonumber(at) + tonumber(ARGV[1]))
        redis.call('HSET', KEYS[1], all[place], number .. ' ' .. at .. ' ' .. rest)
      end
    end
    redis.call('HINCRBY', KEYS[1], 'looked', ARGV[1])
    return redis.call('HINCRBY', KEYS[1], 'origin', ARGV[1])
";

/// To what is there it is as if the clock were set back by so many microseconds, or forwards where that is less than none.
fn set_back(server: &Server, by: i64) {
    let said = server.ask(&["EVAL", SHIFT, "1", HEAD, &by.to_string()]);
    assert!(matches!(said, Reply::Number(_)), "{said}");
}

fn open(url: &str, limit: Limit, silence: Duration) -> RedisStore {
    let limits = Limits::new([limit]).unwrap();
    let options = RedisOptions::new(url, limits).unwrap();
    let options = options.timeout(Duration::from_secs(20));
    options.silence(silence).open().unwrap()
}

fn two_in(period: Duration) -> Limit {
    Limit::requests(2).every(period).margin(Duration::ZERO)
}

/// Whether there is room for one, which leaves at once.
async fn is_let_in(store: &RedisStore) -> bool {
    let claim = Claim::new(Tags::new(), Demand::default());
    let Decision::Granted(mut grant) = store.claim(&claim).get().await.unwrap() else {
        return false;
    };
    store.date(&mut grant);
    let settled = store.settle(grant, Settlement::Unknown);
    settled.get().await.unwrap();
    true
}

#[tokio::test]
async fn windows_go_on_at_once() {
    let server = Server::start(&[]);
    let store = open(&server.url(), two_in(SECOND), MINUTE);
    let limiter = Limiter::build(Arc::new(store), QueueOptions::new());
    for _ in 0..2 {
        let permit = limiter.acquire(Call::new()).await.unwrap();
        permit.settle(Usage::default());
    }
    set_back(&server, AN_HOUR);
    // It would be refused if it had to wait for an hour.
    for _ in 0..4 {
        let call = Call::new().max_wait(MINUTE / 2);
        let permit = limiter.acquire(call).await.unwrap();
        permit.settle(Usage::default());
    }
}

#[tokio::test]
async fn nothing_leaves_early_also_where_the_clock_is_put_right_again() {
    let server = Server::start(&[]);
    let store = open(&server.url(), two_in(HOUR), MINUTE);
    assert!(is_let_in(&store).await && is_let_in(&store).await);
    let ahead = || server.ask(&["HGET", HEAD, "ahead"]);
    // By a second it stands still.
    set_back(&server, 1_000_000);
    assert!(!is_let_in(&store).await);
    assert_eq!(ahead(), Reply::Nil);
    set_back(&server, -1_000_000);
    // It is never quite what it was: a second is lacking in the end.
    for by in [AN_HOUR, AN_HOUR / 2, -AN_HOUR / 2 * 3 + 1_000_000] {
        set_back(&server, by);
        assert!(!is_let_in(&store).await, "{by}");
        assert_eq!(ahead() == Reply::Text("0".into()), by < 0, "{by}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_dead_is_found_all_the_same_and_who_lives_is_not_dead() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.address());
    let slots = || Limit::concurrency(2);
    let one = open(&server.url(), slots(), 3 * SECOND);
    let other = open(&proxy.url(), slots(), 3 * SECOND);
    let claim = Claim::new(Tags::new(), Demand::default());
    let mut held = Vec::new();
    for store in [&one, &other] {
        let Decision::Granted(grant) = store.claim(&claim).get().await.unwrap() else {
            panic!("there is room");
        };
        held.push(grant);
    }
    set_back(&server, AN_HOUR);
    // Both have said something since then, and neither is dead.
    assert!(!is_let_in(&one).await && !is_let_in(&other).await);
    assert_eq!((one.processes(), other.processes()), (2, 2));
    proxy.set(Fault::Hold);
    let is_free = async { while !is_let_in(&one).await {} };
    tokio::time::timeout(MINUTE, is_free).await.unwrap();
    assert_eq!(one.processes(), 1);
    proxy.set(Fault::Pass);
}
