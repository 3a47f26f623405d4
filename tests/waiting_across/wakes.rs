//! What one gives back wakes the others, and no timer does.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};
use tower_quota::{Limiter, Tag, Tags, limit::Limit, limiter::Call};

use crate::{
    MINUTE, SECOND, ends, limits,
    server::{Did, Server},
    settled, waits,
};

fn two(server: &Arc<Server>) -> [Limiter; 2] {
    [0, 1].map(|process| Limiter::with_store(server.handle(process)))
}

#[tokio::test(start_paused = true)]
async fn what_one_gives_back_another_has_at_that_instant() {
    let server = Server::answering(limits([Limit::concurrency(1)]), Duration::ZERO);
    let [one, two] = two(&server);
    let start = Instant::now();
    let held = one.acquire(Call::new()).await.unwrap();
    let waiting = waits(&two, Call::new());
    tokio::time::sleep(5 * SECOND).await;
    assert!(!waiting.is_finished());
    drop(held);
    drop(waiting.await.unwrap().unwrap());
    assert_eq!(start.elapsed(), 5 * SECOND);
    settled().await;
    assert_eq!((server.registered(), server.log().open), (0, 0));
}

/// The other way round: what is given back of something else wakes nobody, and neither does a renewal.
#[tokio::test(start_paused = true)]
async fn what_is_given_back_elsewhere_lets_nobody_in() {
    let server = Server::answering(
        limits([Limit::concurrency(1).per(Tag::Model)]),
        Duration::ZERO,
    );
    let [one, two] = two(&server);
    let model = |name: &str| Call::new().tags(Tags::new().with(Tag::Model, name));
    let (held, other) = (
        one.acquire(model("a")).await.unwrap(),
        one.acquire(model("b")).await.unwrap(),
    );
    let waiting = waits(&two, model("a"));
    tokio::time::sleep(SECOND).await;
    drop(other);
    server.renew();
    settled().await;
    assert!(!waiting.is_finished());
    assert_eq!(server.log().did.len(), 1, "renewed, not registered again");
    drop(held);
    drop(waiting.await.unwrap().unwrap());
}

#[tokio::test(start_paused = true)]
async fn four_that_share_one_place_have_it_one_after_another_without_a_gap() {
    let server = Server::answering(limits([Limit::concurrency(1)]), Duration::ZERO);
    let start = Instant::now();
    let went = Arc::new(Mutex::new([0; 4]));
    let mut calls = JoinSet::new();
    for process in 0..4 {
        let limiter = Limiter::with_store(server.handle(process));
        for _ in 0..5 {
            let (limiter, went) = (limiter.clone(), went.clone());
            calls.spawn(async move {
                let permit = ends(limiter.acquire(Call::new())).await.unwrap();
                went.lock().unwrap()[process] += 1;
                tokio::time::sleep(SECOND).await;
                drop(permit);
            });
        }
    }
    calls.join_all().await;
    assert_eq!(start.elapsed(), 20 * SECOND);
    assert_eq!(*went.lock().unwrap(), [5; 4]);
    settled().await;
    assert_eq!((server.registered(), server.log().open), (0, 0));
}

/// Others take what becomes free bit by bit: one that needs all of it has it nevertheless.
#[tokio::test(start_paused = true)]
async fn one_that_needs_much_is_not_starved_by_others_that_need_little() {
    let limit = Limit::tokens(100).every(MINUTE).margin(Duration::ZERO);
    let server = Server::answering(limits([limit]), Duration::ZERO);
    let [one, two] = two(&server);
    let small = tokio::spawn(async move {
        let mut calls = JoinSet::new();
        for _ in 0..600 {
            let two = two.clone();
            calls.spawn(async move {
                drop(ends(two.acquire(Call::new().tokens(10, 0))).await.unwrap());
            });
            tokio::time::sleep(SECOND).await;
        }
        calls.join_all().await;
    });
    tokio::time::sleep(30 * SECOND).await;
    let start = Instant::now();
    drop(ends(one.acquire(Call::new().tokens(100, 0))).await.unwrap());
    assert!(start.elapsed() <= 2 * MINUTE, "{:?}", start.elapsed());
    assert!(!small.is_finished());
    let registered = server.log().did;
    assert!(registered.iter().any(|did| matches!(did, Did::Granted(_))));
    small.await.unwrap();
}

/// A change of the limits by one is heard of by the other.
#[tokio::test(start_paused = true)]
async fn limits_that_one_changes_let_in_who_waits_at_another() {
    let server = Server::answering(limits([Limit::concurrency(1)]), Duration::ZERO);
    let [one, two] = two(&server);
    let held = one.acquire(Call::new()).await.unwrap();
    let waiting = waits(&two, Call::new());
    settled().await;
    assert!(!waiting.is_finished());
    one.reconfigure(&limits([Limit::concurrency(2)]))
        .await
        .unwrap();
    drop(waiting.await.unwrap().unwrap());
    drop(held);
}

/// A store keeps no limiter alive.
#[tokio::test(start_paused = true)]
async fn what_watches_does_not_outlive_its_limiter() {
    let server = Server::answering(limits([Limit::concurrency(1)]), Duration::ZERO);
    let [one, two] = two(&server);
    let held = one.acquire(Call::new()).await.unwrap();
    let waiting = waits(&two, Call::new());
    settled().await;
    let before = Arc::strong_count(&server);
    waiting.abort();
    drop((waiting.await, two));
    settled().await;
    assert!(Arc::strong_count(&server) < before);
    drop(held);
}
