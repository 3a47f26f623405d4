//! Calls that come, wait and are in flight.

use std::time::Duration;

use futures_util::{FutureExt as _, future::join_all};
use tokio::{task::JoinHandle, time::Instant};
use tower_quota::{
    Limiter, Rejection, Tag, Tags, Usage,
    limit::{Limit, Limits},
    limiter::{Call, Peek, Permit},
};

use crate::{
    agent, pause, paused, resume, scout,
    support::{MINUTE, limiter, secs},
};

async fn waits(limiter: &Limiter, call: Call) -> JoinHandle<Result<Permit, Rejection>> {
    let (before, other) = (limiter.waiting(), limiter.clone());
    let task = tokio::spawn(async move { other.acquire(call).await });
    while limiter.waiting() == before {
        tokio::task::yield_now().await;
    }
    task
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_refused_at_once_and_the_others_keep_their_places() {
    let limiter = limiter([Limit::concurrency(1)]);
    let (start, held) = (Instant::now(), limiter.acquire(agent("b")).await.unwrap());
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..5 {
        ours.push(waits(&limiter, agent("scout")).await);
        theirs.push(waits(&limiter, agent("b")).await);
    }
    pause(&limiter, scout()).await;
    for one in ours {
        assert_eq!(one.await.unwrap().unwrap_err(), paused("agent=scout"));
    }
    assert_eq!((limiter.waiting(), start.elapsed()), (5, Duration::ZERO));
    drop(held);
    for one in theirs {
        drop(one.await.unwrap().unwrap());
    }
    assert_eq!(limiter.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_comes_while_others_wait_for_the_same_is_refused_without_a_wait() {
    let limiter = limiter([Limit::concurrency(1)]);
    let held = limiter.acquire(agent("b")).await.unwrap();
    let other = waits(&limiter, agent("b")).await;
    pause(&limiter, scout()).await;
    let start = Instant::now();
    let refused = limiter.acquire(agent("scout")).await.unwrap_err();
    assert_eq!(refused, paused("agent=scout"));
    let refused = limiter.try_acquire(agent("scout")).await.unwrap_err();
    assert_eq!(refused, paused("agent=scout"));
    assert_eq!((limiter.waiting(), start.elapsed()), (1, Duration::ZERO));
    drop(held);
    drop(other.await.unwrap().unwrap());
}

#[tokio::test(start_paused = true)]
async fn who_is_in_flight_goes_on_and_its_count_is_what_it_would_be() {
    let limiter = limiter([
        Limit::concurrency(1).per(Tag::Agent),
        Limit::tokens(100).every(MINUTE).per(Tag::Agent),
    ]);
    let in_flight = limiter.acquire(agent("scout").tokens(60, 0)).await.unwrap();
    pause(&limiter, scout()).await;
    tokio::time::advance(secs(5)).await;
    in_flight.settle(Usage::new(50, 0));
    assert_eq!(
        limiter.acquire(agent("scout")).await.unwrap_err(),
        paused("agent=scout")
    );
    resume(&limiter, scout()).await;
    let permit = limiter
        .try_acquire(agent("scout").tokens(50, 0))
        .await
        .unwrap();
    permit.settle(Usage::new(50, 0));
    let refused = limiter
        .try_acquire(agent("scout").tokens(1, 0))
        .await
        .unwrap_err();
    assert_eq!(refused.shortage().unwrap().in_use, 100);
}

#[tokio::test(start_paused = true)]
async fn all_tags_of_a_pause_have_to_match_and_any_value_of_one_does() {
    let limiter = limiter([Limit::paused()
        .when_any(Tag::Agent, ["scout", "twin"])
        .when(Tag::Team, "search")]);
    let of = |agent: &str, team: &str| {
        Call::new().tags(Tags::new().with(Tag::Agent, agent).with(Tag::Team, team))
    };
    for name in ["scout", "twin"] {
        let refused = limiter.acquire(of(name, "search")).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "agent=scout|twin, team=search is paused"
        );
        assert_eq!(refused.kind(), "paused");
        assert!(!refused.is_retryable() && refused.retry_after().is_none());
    }
    for call in [of("scout", "other"), of("other", "search"), agent("scout")] {
        drop(limiter.acquire(call).await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn peek_and_explain_show_it_whatever_else_lacks() {
    let limiter = limiter([Limit::concurrency(1), Limit::requests(1).every(MINUTE)]);
    let held = limiter.acquire(Call::new()).await.unwrap();
    assert!(matches!(
        limiter.peek(&agent("scout")).await,
        Ok(Peek::Wait(_))
    ));
    pause(&limiter, scout()).await;
    assert_eq!(
        limiter.peek(&agent("scout")).await,
        Err(paused("agent=scout"))
    );
    let explained = limiter.explain(&agent("scout")).await.unwrap();
    assert_eq!(
        explained.to_string(),
        "agent=scout is paused\n\
         - concurrency 1: 1 in use, this call needs 1 (would be 2); room when something held is given back\n\
         - requests 1/min: 1 in use, this call needs 1 (would be 2); room in 60.5 s\n\
         - agent=scout is paused"
    );
    assert!(!explained.held);
    let json = serde_json::to_value(&explained).unwrap();
    assert_eq!(json["refused"], "agent=scout is paused");
    assert!(matches!(limiter.peek(&agent("b")).await, Ok(Peek::Wait(_))));
    drop(held);
}

/// Of two limiters on one store the other hears of it when something happens there.
#[tokio::test(start_paused = true)]
async fn who_waits_at_another_limiter_is_refused_when_that_looks_again() {
    use std::sync::Arc;
    use tower_quota::{limiter::QueueOptions, store::MemoryStore};

    let limits = Limits::new([Limit::concurrency(1), Limit::requests(9).every(MINUTE)]).unwrap();
    let store = Arc::new(MemoryStore::new(limits));
    let [one, other] = [(); 2].map(|()| Limiter::build(store.clone(), QueueOptions::new()));
    let held = other.acquire(agent("b")).await.unwrap();
    let waiting = [
        waits(&other, agent("c")).await,
        waits(&other, agent("scout")).await,
    ];
    pause(&one, scout()).await;
    // Something comes there: not what they wait for.
    assert!(other.try_acquire(agent("b")).await.is_err());
    let [theirs, ours] = waiting;
    assert_eq!(ours.await.unwrap().unwrap_err(), paused("agent=scout"));
    assert_eq!(other.waiting(), 1);
    drop(held);
    drop(theirs.await.unwrap().unwrap());
}

#[tokio::test(start_paused = true)]
async fn two_operators_at_once_lose_nothing_of_each_other_and_both_are_noted() {
    let limiter = limiter([Limit::concurrency(9)]);
    let pauses: Vec<Limit> = (0..20)
        .map(|number| Limit::paused().when(Tag::Agent, number.to_string()))
        .collect();
    join_all(pauses.iter().map(|one| pause(&limiter, one.clone()))).await;
    assert_eq!(limiter.limits().pauses().count(), 20);
    assert!(pause(&limiter, scout()).now_or_never().is_some());
    join_all(pauses.iter().map(|one| resume(&limiter, one.clone()))).await;
    assert_eq!(limiter.limits().pauses().count(), 1);
    let audit = limiter.audit().await.unwrap();
    assert_eq!(audit.len(), 41);
    let last = audit.last().unwrap();
    assert_eq!(
        (&*last.subject, last.new.as_deref(), &*last.by, &*last.why),
        ("agent=19 is paused", None, "bob", "mended")
    );
}
