//! A call that is large on two busy limits gets through, and those who wait beside it lose nothing that it does
//! not need.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tower_quota::{
    Limiter, Tag, Tags,
    limit::{Charge, Limit, Limits},
    limiter::{Call, QueueOptions},
    store::MemoryStore,
};

const MINUTE: Duration = Duration::from_secs(60);
const AMOUNT: u64 = 1_000;

/// A thousand tokens a minute for those with the tag.
fn tokens(tag: &str) -> Limit {
    Limit::tokens(AMOUNT)
        .every(MINUTE)
        .margin(Duration::ZERO)
        .charge(Charge::azure())
        .when(Tag::Free(tag.into()), "yes")
}

fn limiter(limits: impl IntoIterator<Item = Limit>) -> Limiter {
    let store = MemoryStore::new(Limits::new(limits).unwrap());
    Limiter::build(Arc::new(store), QueueOptions::new())
}

/// A call under the limits with these tags.
fn call(agent: &str, tags: &[&str], size: u64) -> Call {
    let yes = |all: Tags, tag: &&str| all.with(Tag::Free((*tag).into()), "yes");
    let tags = tags.iter().fold(Tags::new().with(Tag::Agent, agent), yes);
    Call::new().tags(tags).tokens(size, 0)
}

/// Calls that come for ever, a little more than there is room for.
fn stream(limiter: &Limiter, tag: &'static str, size: u64, every: Duration) -> JoinHandle<()> {
    let limiter = limiter.clone();
    tokio::spawn(async move {
        loop {
            let (limiter, call) = (limiter.clone(), call(tag, &[tag], size));
            tokio::spawn(async move { drop(limiter.acquire(call).await) });
            sleep(every).await;
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_large_on_two_busy_limits_is_through_within_three_periods() {
    let limiter = limiter([tokens("g"), tokens("k")]);
    let every = Duration::from_millis(2_900);
    let g = stream(&limiter, "g", 50, every);
    sleep(MINUTE / 2).await;
    let k = stream(&limiter, "k", 50, every);
    sleep(Duration::from_secs(70)).await;
    let start = Instant::now();
    let large = limiter.acquire(call("x", &["g", "k"], 900));
    let through = timeout(6 * 60 * MINUTE, large).await;
    let waited = start.elapsed();
    println!("large on two limits: through after {waited:?}");
    assert!(through.is_ok(), "not through after {waited:?}");
    drop(through);
    assert!(waited <= 3 * MINUTE, "{waited:?}");
    g.abort();
    k.abort();
}
