//! C6, A17: limits come and go while calls wait and run. What stays keeps its count, what is gone holds nobody, what is
//! new counts from then on.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/later.rs"]
mod later;

mod budgets;
mod counts;
mod edges;
mod first;
mod kinds;
mod load;
mod prices;
mod trace;
mod waiting;

use std::time::Duration;

use tokio::{
    task::{JoinHandle, yield_now},
    time::timeout,
};
use tower_quota::{
    Limiter, Rejection, Tag, Tags,
    limit::{Charge, Limit, Limits},
    limiter::{Call, Permit},
};

const MINUTE: Duration = Duration::from_secs(60);
const ZERO: Duration = Duration::ZERO;

fn limits(limits: impl IntoIterator<Item = Limit>) -> Limits {
    Limits::new(limits).unwrap()
}

fn limiter(all: impl IntoIterator<Item = Limit>) -> Limiter {
    Limiter::new(limits(all))
}

async fn change(limiter: &Limiter, all: impl IntoIterator<Item = Limit>) {
    limiter.reconfigure(&limits(all)).await.unwrap();
}

fn requests(amount: u64) -> Limit {
    Limit::requests(amount).every(MINUTE).margin(ZERO)
}

/// Tokens that are charged at the send.
fn tokens(amount: u64) -> Limit {
    let limit = Limit::tokens(amount).every(MINUTE).margin(ZERO);
    limit.charge(Charge::azure())
}

fn agent(name: &str) -> Call {
    Call::new().tags(Tags::new().with(Tag::Agent, name))
}

/// What counts under each limit that a call touches, by its words.
async fn in_use(limiter: &Limiter, call: Call) -> Vec<(String, u64)> {
    let explained = limiter.explain(&call).await.unwrap().limits;
    let words = explained.into_iter();
    words.map(|limit| (limit.limit, limit.in_use)).collect()
}

/// The same, as it is to be.
fn said(words: &[(&str, u64)]) -> Vec<(String, u64)> {
    let words = words.iter();
    words
        .map(|(limit, used)| ((*limit).to_owned(), *used))
        .collect()
}

/// A call that waits.
async fn waits(limiter: &Limiter, call: Call) -> JoinHandle<Result<Permit, Rejection>> {
    let limiter = limiter.clone();
    let before = limiter.waiting();
    let task = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire(call).await }
    });
    while limiter.waiting() == before {
        yield_now().await;
        assert!(!task.is_finished(), "it had to wait");
    }
    task
}

/// What becomes of one that is to be let in, or refused, at this moment.
async fn at_once<T>(task: JoinHandle<T>) -> T {
    let done = timeout(Duration::from_millis(1), task).await;
    done.expect("at once").unwrap()
}

/// Lets everybody go as far as they get at this moment.
async fn settle_down() {
    for _ in 0..50 {
        yield_now().await;
    }
}
