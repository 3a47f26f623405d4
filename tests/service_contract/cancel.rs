//! A response future that is dropped gives everything back, wherever it stands.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use bytes::Bytes;
use http_body::Body;
use http_body_util::Full;
use tower::{BoxError, ServiceExt as _};
use tower_quota::{RequestBody, Usage, limiter::Call};

use crate::support::{stack::ORDERS, upstream::Reads, *};

/// What is left of a future that was polled so often. Whether it goes away at once after the last poll or
/// only when it is woken again makes a difference: in between, what it waited for has come.
#[derive(Clone, Copy, Debug)]
enum Dropped {
    AtOnce,
    WhenWoken,
}

/// Polls a future so often and drops it. Returns whether it was done by then.
async fn poll_times(future: impl Future, times: u32, dropped: Dropped) -> bool {
    let mut future = pin!(future);
    let mut polls = 0;
    poll_fn(|cx| {
        if polls == times {
            return Poll::Ready(false);
        }
        polls += 1;
        match (future.as_mut().poll(cx), dropped) {
            (Poll::Ready(_), _) => Poll::Ready(true),
            (Poll::Pending, Dropped::AtOnce) if polls == times => Poll::Ready(false),
            (Poll::Pending, _) => Poll::Pending,
        }
    })
    .await
}

/// Makes a call that has to wait for everything there is to wait for: for its slot, for readiness, for its
/// body to be taken, for the answer, and to be repeated. Returns whether it was done after so many polls.
async fn drop_after<B>(order: &str, polls: u32, dropped: Dropped, body_tells: bool) -> bool
where
    B: Body<Data = Bytes> + From<Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let limiter = one_in_flight();
    let busy = Answer::Busy(2, Frames::of(["busy"]));
    let upstream = Upstream::new()
        .opens_after(secs(5))
        .reads(Reads::After(secs(1)))
        .latency(secs(1))
        .answers([busy]);
    let service = stack::<B, _, _>(order, &limiter, upstream.clone());

    let before = limiter.acquire(Call::new()).await.unwrap();
    let frees_slot = tokio::spawn(async move {
        tokio::time::sleep(secs(3)).await;
        before.settle(Usage::default());
    });
    let done = poll_times(service.oneshot(chat()), polls, dropped).await;
    frees_slot.await.unwrap();
    tokio::task::yield_now().await;

    let context = format!("{order}, {polls} polls, {dropped:?}");
    assert_eq!(limiter.waiting(), 0, "{context}: nobody waits");
    assert!(is_free(&limiter).await, "{context}: the slot is free");
    // What has a body that tells when it leaves was not sent as long as nothing was taken of that.
    let sent = match body_tells {
        _ if !order.contains('A') => 0,
        true => upstream.read().len() as u64,
        false => upstream.sent().len() as u64,
    };
    assert_eq!(counted(&limiter).await, 1 + sent, "{context}: counted");
    done
}

async fn drop_everywhere<B>(body_tells: bool)
where
    B: Body<Data = Bytes> + From<Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    for order in ORDERS {
        for dropped in [Dropped::AtOnce, Dropped::WhenWoken] {
            let mut polls = 0;
            while !drop_after::<B>(order, polls, dropped, body_tells).await {
                polls += 1;
                assert!(polls < 100, "{order}: it is never done");
            }
            assert!(polls > 3, "{order}: it never waited");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_at_any_await_frees_its_slot_and_counts_what_was_sent() {
    drop_everywhere::<Full<Bytes>>(false).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_with_a_request_body_does_so_too() {
    drop_everywhere::<RequestBody>(true).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_dropped_keeps_its_slot_meanwhile() {
    let limiter = one_in_flight();
    let upstream = Upstream::new().latency(secs(1));
    let service = stack::<Full<Bytes>, _, _>("A", &limiter, upstream);
    let mut call = Box::pin(service.oneshot(chat()));
    assert!(!poll_times(call.as_mut(), 1, Dropped::AtOnce).await);
    assert!(!is_free(&limiter).await);
    drop(call);
    assert!(is_free(&limiter).await);
}
