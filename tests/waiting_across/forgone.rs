//! What the store keeps for whoever is first in turn ends once, however the wait ends.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use tokio::runtime::Runtime;
use tower_quota::{Limiter, Rejection, Tag, Tags, limit::Limit, limiter::Call};

use crate::{
    MINUTE, SECOND, limits,
    server::{Did, Server},
    settled, waits,
};

fn tokens(amount: u64) -> Limit {
    Limit::tokens(amount).every(MINUTE).margin(Duration::ZERO)
}

fn call(tokens: u64) -> Call {
    Call::new().tokens(tokens, 0)
}

/// A server with one place, which is taken by another process, and a limiter.
async fn scene() -> (Arc<Server>, Limiter, tower_quota::limiter::Permit) {
    let server = Server::answering(limits([Limit::concurrency(1)]), Duration::ZERO);
    let other = Limiter::with_store(server.handle(0));
    let held = other.acquire(Call::new()).await.unwrap();
    let limiter = Limiter::with_store(server.handle(1));
    (server, limiter, held)
}

#[tokio::test(start_paused = true)]
async fn one_that_is_granted_has_nothing_to_forgo() {
    let (server, limiter, held) = scene().await;
    let waiting = waits(&limiter, Call::new());
    settled().await;
    assert_eq!(server.registered(), 1);
    drop(held);
    drop(waiting.await.unwrap().unwrap());
    settled().await;
    assert_eq!(server.log().ends(), [1, 1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn one_whose_future_is_dropped_is_forgone() {
    let (server, limiter, held) = scene().await;
    let waiting = waits(&limiter, Call::new());
    settled().await;
    assert_eq!(server.registered(), 1);
    waiting.abort();
    settled().await;
    assert_eq!(server.log().ends(), [1, 0, 1, 0]);
    drop(held);
    settled().await;
    assert_eq!(server.log().ends(), [1, 0, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn one_whose_deadline_passes_is_forgone() {
    let (server, limiter, _held) = scene().await;
    let waiting = waits(&limiter, Call::new().max_wait(SECOND));
    let rejection = waiting.await.unwrap().unwrap_err();
    assert!(
        matches!(rejection, Rejection::DeadlineExceeded(_)),
        "{rejection}"
    );
    settled().await;
    assert_eq!(server.log().ends(), [1, 0, 1, 0]);
}

/// Only when it is asked for as the first in turn it turns out that it would wait too long: it was registered by that.
#[tokio::test(start_paused = true)]
async fn one_whose_wait_turns_out_too_long_is_forgone() {
    let server = Server::new(limits([tokens(10), Limit::concurrency(1)]));
    let other = Limiter::with_store(server.handle(0));
    let limiter = Limiter::with_store(server.handle(1));
    let held = waits(&other, call(0));
    settled().await;
    server.answer_all();
    let held = held.await.unwrap().unwrap();
    // Its place may be given back at any moment.
    let waiting = waits(&limiter, call(10).max_wait(2 * SECOND));
    settled().await;
    server.answer_all();
    settled().await;
    assert_eq!((server.asked(), limiter.waiting()), (1, 1));
    // The window is full for a minute from now on.
    let used = tower_quota::Usage::new(10, 0);
    other.record(&Tags::new(), used).await.unwrap();
    server.answer_all();
    settled().await;
    assert!(waiting.is_finished(), "it is refused at once");
    assert!(waiting.await.unwrap().is_err());
    server.answer_all();
    assert_eq!(server.log().ends(), [1, 0, 1, 0]);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn one_that_no_longer_fits_is_rejected_and_forgone() {
    let server = Server::answering(limits([tokens(100)]), Duration::ZERO);
    let limiter = Limiter::with_store(server.handle(1));
    drop(limiter.acquire(call(80)).await.unwrap());
    let waiting = waits(&limiter, call(50));
    settled().await;
    assert_eq!(server.registered(), 1);
    limiter.reconfigure(&limits([tokens(40)])).await.unwrap();
    let rejection = waiting.await.unwrap().unwrap_err();
    assert!(matches!(rejection, Rejection::NeverFits(_)), "{rejection}");
    settled().await;
    assert_eq!(server.log().ends(), [1, 0, 1, 0]);
}

/// It waits for other counts from then on.
#[tokio::test(start_paused = true)]
async fn one_that_waits_under_other_limits_is_registered_anew() {
    let server = Server::answering(limits([tokens(100)]), Duration::ZERO);
    let limiter = Limiter::with_store(server.handle(1));
    drop(limiter.acquire(call(80)).await.unwrap());
    let waiting = waits(&limiter, call(50));
    settled().await;
    let both = limits([tokens(100), Limit::concurrency(3)]);
    limiter.reconfigure(&both).await.unwrap();
    settled().await;
    assert_eq!(
        (server.registered(), server.log().ends()),
        (1, [2, 0, 1, 0])
    );
    drop(waiting.await.unwrap().unwrap());
    settled().await;
    assert_eq!(server.log().ends(), [2, 1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_passed_is_forgone_until_it_is_first_again() {
    let (server, limiter, held) = scene().await;
    let first = waits(&limiter, Call::new());
    settled().await;
    let urgent = waits(&limiter, Call::new().priority(10));
    settled().await;
    let did = server.log().did;
    let [Did::Registered(a), Did::Forgone(b), Did::Registered(c)] = did[..] else {
        panic!("{did:?}");
    };
    assert!(a == b && b != c);
    // One that stands behind is not registered.
    let behind = waits(&limiter, Call::new());
    settled().await;
    assert_eq!(server.log().did.len(), 3);
    drop(held);
    drop(urgent.await.unwrap().unwrap());
    drop(first.await.unwrap().unwrap());
    drop(behind.await.unwrap().unwrap());
    settled().await;
    assert_eq!(server.registered(), 0);
}

/// Two counts, on each of which somebody is first.
#[tokio::test(start_paused = true)]
async fn whoever_is_first_on_another_count_stays_registered() {
    let server = Server::answering(
        limits([Limit::concurrency(1).per(Tag::Model)]),
        Duration::ZERO,
    );
    let model = |name: &str| Call::new().tags(Tags::new().with(Tag::Model, name));
    let limiter = Limiter::with_store(server.handle(1));
    let held = [
        limiter.acquire(model("a")).await.unwrap(),
        limiter.acquire(model("b")).await.unwrap(),
    ];
    let waiting = [
        waits(&limiter, model("a")),
        waits(&limiter, model("b").priority(9)),
    ];
    settled().await;
    assert_eq!(
        (server.registered(), server.log().ends()),
        (2, [2, 0, 0, 0])
    );
    drop(held);
    for waiting in waiting {
        drop(waiting.await.unwrap().unwrap());
    }
    settled().await;
    assert_eq!(server.log().ends(), [2, 2, 0, 0]);
}

/// Dropped while the store has not answered yet: whatever it says then is taken back.
#[tokio::test(start_paused = true)]
async fn one_that_goes_away_before_the_answer_is_forgone_or_given_back() {
    for free in [false, true] {
        let server = Server::new(limits([Limit::concurrency(1)]));
        let other = Limiter::with_store(server.handle(0));
        let limiter = Limiter::with_store(server.handle(1));
        let held = waits(&other, Call::new());
        settled().await;
        server.answer_all();
        let mut held = Some(held.await.unwrap().unwrap());
        let waiting = waits(&limiter, Call::new());
        settled().await;
        // What it tried at first; now it waits, and asks as the first in turn.
        server.answer_all();
        settled().await;
        assert_eq!(server.asked(), 1);
        if free {
            drop(held.take());
        }
        waiting.abort();
        settled().await;
        while server.answer_one() {
            settled().await;
        }
        let ends = if free { [0, 0, 0, 0] } else { [1, 0, 1, 0] };
        assert_eq!(server.log().ends(), ends, "free: {free}");
        drop(held);
        assert_eq!(server.log().open, 0);
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}

/// A runtime with a limiter on which one waits that is registered.
fn registered(server: &Arc<Server>) -> (Runtime, Limiter) {
    let limiter = Limiter::with_store(server.handle(1));
    let runtime = runtime();
    runtime.block_on(async {
        waits(&limiter, Call::new());
        for _ in 0..3 {
            settled().await;
            server.answer_all();
        }
    });
    assert_eq!((server.registered(), limiter.waiting()), (1, 1));
    (runtime, limiter)
}

fn one_place_taken() -> (Arc<Server>, tower_quota::limiter::Permit) {
    let server = Server::new(limits([Limit::concurrency(1)]));
    let other = Limiter::with_store(server.handle(0));
    let held = runtime().block_on(async {
        let held = waits(&other, Call::new());
        settled().await;
        server.answer_all();
        held.await.unwrap().unwrap()
    });
    (server, held)
}

#[test]
fn those_who_wait_on_a_runtime_that_is_shut_down_are_forgone() {
    let (server, held) = one_place_taken();
    let (runtime, limiter) = registered(&server);
    drop(runtime);
    server.answer_all();
    assert_eq!((limiter.waiting(), server.log().ends()), (0, [1, 0, 1, 0]));
    drop(held);
    assert_eq!(server.log().open, 0);
}

/// The future lives on, but nobody asks for it until it is polled elsewhere.
#[test]
fn one_that_outlives_its_driver_is_registered_anew_by_the_next() {
    let (server, held) = one_place_taken();
    let limiter = Limiter::with_store(server.handle(1));
    let mut waiting = Box::pin(limiter.acquire(Call::new()));
    let one = runtime();
    one.block_on(async {
        for _ in 0..3 {
            let _ = waiting
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            settled().await;
            server.answer_all();
        }
    });
    assert_eq!(server.registered(), 1);
    drop(one);
    server.answer_all();
    assert_eq!((limiter.waiting(), server.log().ends()), (1, [1, 0, 1, 0]));
    runtime().block_on(async {
        let mut held = Some(held);
        let mut waiting = pin!(waiting);
        let permit = std::future::poll_fn(|cx| {
            let polled = waiting.as_mut().poll(cx);
            if server.registered() == 1 {
                held.take();
            }
            server.answer_all();
            if polled.is_pending() {
                cx.waker().wake_by_ref();
            }
            polled
        });
        drop(permit.await.unwrap());
    });
    assert_eq!(server.log().ends(), [2, 1, 1, 0]);
    assert_eq!(server.log().open, 0);
}

/// What was under way when the runtime went down is answered after that.
#[test]
fn what_is_answered_after_the_runtime_is_gone_is_forgone_or_given_back() {
    for free in [false, true] {
        let (server, held) = one_place_taken();
        let (one, limiter) = registered(&server);
        // It asks again, and is not answered.
        one.block_on(async {
            server.renew();
            settled().await;
        });
        assert_eq!(server.asked(), 1);
        drop(one);
        let mut held = Some(held);
        if free {
            drop(held.take());
        }
        server.answer_all();
        assert_eq!(server.registered(), 0, "free: {free}");
        // The next runtime that uses the limiter sees to it.
        runtime().block_on(async {
            let tried = tokio::spawn({
                let limiter = limiter.clone();
                async move { limiter.try_acquire(Call::new()).await.is_ok() }
            });
            settled().await;
            server.answer_all();
            assert_eq!(tried.await.unwrap(), free);
        });
        server.answer_all();
        assert_eq!((server.registered(), limiter.waiting()), (0, 0));
        drop(held);
        assert_eq!(server.log().open, 0, "free: {free}");
    }
}
