//! Who says nothing for long is dead; whom nobody could hear is not.
#![cfg(all(feature = "redis", unix))]

use crate::servers as redis;

use std::time::Duration;

use redis::{Fault, Proxy, Server, until};
use tower_quota::{
    Money, Tags, Usage,
    limit::{Demand, Limit, Limits},
    store::{
        BudgetStanding, Claim, Decision, Grant, Settlement, Store as _,
        redis::{OnError, RedisOptions, RedisStore},
    },
};

const HEAD: &str = "{tower-quota:default}:head";

fn options(url: &str, silence: u64) -> RedisOptions {
    let day = Duration::from_secs(86_400);
    let budget = Limit::cost(Money::from_nanos(1_000)).every(day);
    let limits = Limits::new([Limit::concurrency(2), budget]).unwrap();
    let options = RedisOptions::new(url, limits).unwrap();
    let options = options.timeout(Duration::from_secs(20));
    options.silence(Duration::from_millis(silence))
}

async fn take(store: &RedisStore, cost: u64) -> Option<Grant> {
    let claim = Claim::new(
        Tags::new(),
        Demand {
            cost,
            ..Demand::default()
        },
    );
    match store.claim(&claim).get().await {
        Ok(Decision::Granted(mut grant)) => {
            store.date(&mut grant);
            Some(grant)
        }
        _ => None,
    }
}

/// The same, asked for until it is granted.
async fn taken(store: &RedisStore, cost: u64) -> Grant {
    loop {
        if let Some(grant) = take(store, cost).await {
            return grant;
        }
    }
}

fn used(cost: u64) -> Settlement {
    let mut usage = Usage::new(0, 0);
    usage.cost = Some(Money::from_nanos(cost));
    Settlement::Usage(usage)
}

/// What is spent, and what is held.
async fn spent(store: &RedisStore) -> (u64, u64) {
    amounts(&store.budgets().get().await.unwrap())
}

fn amounts(budgets: &[BudgetStanding]) -> (u64, u64) {
    let budget = &budgets[0];
    (budget.settled.as_nanos(), budget.reserved.as_nanos())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dead_are_found_also_where_the_living_never_rest() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.address());
    let one = options(&server.url(), 1_000).open().unwrap();
    let other = options(&proxy.url(), 1_000).open().unwrap();
    let lost = take(&other, 100).await.unwrap();
    let kept = take(&one, 10).await.unwrap();
    proxy.set(Fault::Hold);
    // One after the other, without a pause in between.
    let free = taken(&one, 1).await;
    assert_eq!(
        spent(&one).await,
        (100, 11),
        "what it had reserved is spent"
    );
    one.settle(free, used(1)).get().await.unwrap();
    one.settle(kept, used(2)).get().await.unwrap();
    // It lives, and what it says of what was ended changes nothing.
    proxy.set(Fault::Pass);
    until("it is heard again", || other.processes() == 2);
    drop(other.settle(lost, used(1)).get().await);
    let again = taken(&other, 5).await;
    other.settle(again, used(5)).get().await.unwrap();
    assert_eq!(spent(&other).await, (108, 0));
    until("it is one of two again", || one.processes() == 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_that_it_lives_keeps_what_it_holds_however_long_it_does_nothing() {
    let server = Server::start(&[]);
    let [one, other] = [(); 2].map(|()| options(&server.url(), 2_400).open().unwrap());
    let kept = take(&other, 100).await.unwrap();
    // Twelve times it was looked who is dead: that is twice as long as one may be silent.
    let (mut last, mut looks) = (String::new(), 0);
    while looks < 12 {
        if let Some(free) = take(&one, 1).await {
            one.release(free).get().await.unwrap();
        }
        let looked = server.ask(&["HGET", HEAD, "looked"]).text();
        if looked != last {
            (last, looks) = (looked, looks + 1);
        }
    }
    assert_eq!(spent(&one).await, (0, 100));
    other.settle(kept, used(7)).get().await.unwrap();
    assert_eq!(spent(&one).await, (7, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_dead_because_the_server_was_away() {
    let server = Server::start(&[]);
    let silence = 3_000;
    // It has little time for each answer, and the machine does much at once.
    let [one, other] = [(); 2].map(|()| {
        let options = options(&server.url(), silence).timeout(Duration::from_millis(50));
        let mut store = None;
        until("it is opened", || {
            store = options.clone().open().ok();
            store.is_some()
        });
        store.unwrap()
    });
    let (kept, own) = (taken(&other, 100).await, taken(&one, 10).await);
    while one.budgets().get().await.is_err() {}
    server.freeze();
    // For longer than one may be silent.
    tokio::time::sleep(Duration::from_millis(silence / 2 * 3)).await;
    server.thaw();
    // Whoever comes first does not bury the other.
    while one.budgets().get().await.is_err() {}
    let settled = other.settle(kept, used(7));
    drop(settled.get().await);
    while other.budgets().get().await.is_err() {}
    drop(one.settle(own, used(1)).get().await);
    until("what both used counts, and nothing is held", || {
        let said = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(one.budgets().get())
        });
        said.is_ok_and(|budgets| amounts(&budgets) == (8, 0))
    });
}

/// Who has done nothing for long knows what its share is all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_have_to_decide_alone_hears_what_others_do_also_while_it_does_nothing() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.address());
    let [idle, busy] = [(); 2].map(|()| {
        let options = options(&proxy.url(), 600_000).on_error(OnError::Local);
        options.open().unwrap()
    });
    let grant = take(&busy, 900).await.unwrap();
    busy.settle(grant, used(900)).get().await.unwrap();
    let known = || {
        let said = serde_json::to_string(&idle.snapshot()).unwrap();
        said.contains("900")
    };
    until("it has heard of it", known);
    proxy.set(Fault::Refuse);
    // Of a hundred that are left it has half.
    assert!(take(&idle, 51).await.is_none());
    let own = take(&idle, 50).await.unwrap();
    assert!(take(&idle, 1).await.is_none() && take(&busy, 51).await.is_none());
    drop(idle.settle(own, used(50)).get().await);
    proxy.set(Fault::Pass);
    while busy.budgets().get().await.is_err() {}
    until("it is counted", || {
        let said = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(spent(&busy))
        });
        said == (950, 0)
    });
}
