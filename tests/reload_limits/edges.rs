//! Stores that answer later, several limiters on one store, calls inside calls.

use std::sync::Arc;

use tower_quota::{
    Limiter, Tag, Tags,
    limit::Limit,
    limiter::{Call, Delegation, QueueOptions},
    store::MemoryStore,
};

use crate::{agent, at_once, change, later::LaterStore, limiter, limits, requests, tokens, waits};

/// Two limiters on one store: a change at one is heard at the other when something ends there, or comes.
#[tokio::test(start_paused = true)]
async fn those_who_wait_at_another_limiter_of_the_store_are_not_forgotten() {
    for comes in [true, false] {
        let store = Arc::new(MemoryStore::new(limits([
            Limit::concurrency(1).when(Tag::Agent, "a"),
            requests(100),
        ])));
        let here = Limiter::build(store.clone(), QueueOptions::new());
        let there = Limiter::build(store, QueueOptions::new());
        let held = there.acquire(agent("a")).await.unwrap();
        let other = there.acquire(agent("b")).await.unwrap();
        let one = waits(&there, agent("a")).await;
        change(&here, [requests(100), tokens(10)]).await;
        if comes {
            drop(there.acquire(agent("b").tokens(10, 0)).await.unwrap());
        } else {
            drop(other);
        }
        drop(at_once(one).await.unwrap());
        drop(held);
        assert_eq!(there.waiting(), 0);
    }
}

/// The change of a store that answers later is made whole, also where whoever wanted it goes away.
#[tokio::test(start_paused = true)]
async fn a_change_goes_on_where_its_future_is_dropped() {
    let store = LaterStore::new(limits([Limit::concurrency(1)]));
    let limiter = Limiter::build(Arc::new(store), QueueOptions::new());
    let held = limiter.acquire(Call::new()).await.unwrap();
    let one = waits(&limiter, Call::new()).await;
    {
        let new = limits([requests(5)]);
        let mut change = Box::pin(limiter.reconfigure(&new));
        let waker = futures_util::task::noop_waker();
        let mut cx = std::task::Context::from_waker(&waker);
        assert!(change.as_mut().poll(&mut cx).is_pending());
    }
    drop(at_once(one).await.unwrap());
    let words: Vec<String> = limiter.limits().iter().map(ToString::to_string).collect();
    assert_eq!(words, ["requests 5/min"]);
    drop(held);
}

/// A call inside another takes no slot that is held around it, whatever has changed since; and takes one of a limit that
/// is new, of which the call around it holds none.
#[tokio::test(start_paused = true)]
async fn calls_inside_calls_know_which_slots_are_held_around_them() {
    let slots = |name: &str| Limit::concurrency(1).when(Tag::from(name), "yes");
    let tags = Tags::new()
        .with(Tag::from("x"), "yes")
        .with(Tag::from("y"), "yes");
    let call = || Call::new().tags(tags.clone());
    let limiter = limiter([requests(99), slots("x")]);
    let outer = limiter.acquire(call()).await.unwrap();
    let inside = outer.scope(async { Delegation::current() }).await;
    change(&limiter, [slots("y"), slots("x")]).await;
    for delegation in [inside, outer.scope(async { Delegation::current() }).await] {
        let inner = delegation.scope(async {
            let one = limiter.try_acquire(call()).await.unwrap();
            let refused = limiter.try_acquire(call()).await.unwrap_err();
            assert!(refused.to_string().contains("for y=yes"), "{refused}");
            drop(one);
        });
        inner.await;
    }
    assert!(
        limiter
            .try_acquire(call())
            .await
            .unwrap_err()
            .to_string()
            .contains("for x=yes")
    );
    drop(outer);
}
