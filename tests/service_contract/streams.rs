//! Output is dated as it streams, where a limit charges it at completion.

use std::pin::Pin;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use tower::ServiceExt as _;
use tower_quota::{
    Limiter,
    limit::{Charge, Limit},
    limiter::Call,
};

use crate::support::{stack::AnyBody, *};

/// 40 bytes of text: 10 tokens as they are estimated.
const TEN_TOKENS: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"0123456789012345678901234567890123456789\"}}]}\n\n";

/// A call that reserves the limit's whole 100, and the body of its answer.
async fn streaming(order: &str, limit: Limit, answer: Answer) -> (Limiter, AnyBody) {
    let limiter = limiter([limit.every(MINUTE)]);
    let upstream = Upstream::new().answers([answer]);
    let service = stack::<Full<Bytes>, _, _>(order, &limiter, upstream);
    let response = service.oneshot(chat()).await.unwrap();
    (limiter, response.into_body())
}

async fn read_after(wait: std::time::Duration, body: &mut AnyBody) {
    tokio::time::sleep(wait).await;
    assert!(matches!(Pin::new(body).frame().await, Some(Ok(_))));
}

/// How many output tokens there is room for.
async fn room(limiter: &Limiter) -> u64 {
    let mut room = 0;
    while let Ok(permit) = limiter.try_acquire(Call::new().tokens(0, room + 1)).await {
        permit.release();
        room += 1;
    }
    room
}

const ORDERS: [&str; 5] = ["A", "AR", "RA", "ARA", "RAR"];

#[tokio::test(start_paused = true)]
async fn what_has_streamed_leaves_though_the_stream_goes_on() {
    for order in ORDERS {
        let frames = Frames::of([TEN_TOKENS, TEN_TOKENS, TEN_TOKENS]);
        let limit = Limit::output_tokens(100);
        let (limiter, mut body) = streaming(order, limit, Answer::Stream(frames)).await;
        read_after(secs(1), &mut body).await;
        read_after(secs(10), &mut body).await;
        assert_eq!(room(&limiter).await, 0, "{order}: nothing has left");
        // They came with the response, whenever somebody looked at them.
        tokio::time::sleep(COUNTED - secs(11) - millis(1)).await;
        assert_eq!(room(&limiter).await, 0, "{order}: a moment too early");
        tokio::time::sleep(millis(1)).await;
        assert_eq!(room(&limiter).await, 10, "{order}: the first ten");
        tokio::time::sleep(secs(11)).await;
        assert_eq!(room(&limiter).await, 20, "{order}: the next ten");
        // Thirty came in all, by the estimate; the rest of the reservation is given back at the end.
        drop(body);
        assert_eq!(
            room(&limiter).await,
            100,
            "{order}: nothing counts any more"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn chunks_that_come_close_together_are_dated_together() {
    let frames = Frames::of([TEN_TOKENS, TEN_TOKENS, TEN_TOKENS]);
    let limit = Limit::output_tokens(100);
    let (limiter, mut body) = streaming("A", limit, Answer::Stream(frames)).await;
    read_after(millis(100), &mut body).await;
    read_after(millis(100), &mut body).await;
    read_after(millis(100), &mut body).await;
    tokio::time::sleep(COUNTED).await;
    assert_eq!(room(&limiter).await, 30);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_stream_is_held_to_its_end() {
    let frames = Frames::of([TEN_TOKENS, TEN_TOKENS]);
    let limit = Limit::output_tokens(100);
    let (limiter, mut body) = streaming("A", limit, Answer::Ok(frames)).await;
    read_after(secs(1), &mut body).await;
    tokio::time::sleep(COUNTED * 2).await;
    assert_eq!(room(&limiter).await, 0);
}

#[tokio::test(start_paused = true)]
async fn output_that_was_charged_at_the_send_is_not_dated_again() {
    let frames = Frames::of([TEN_TOKENS, TEN_TOKENS]);
    let limit = Limit::output_tokens(100).charge(Charge::azure());
    let (limiter, mut body) = streaming("A", limit, Answer::Stream(frames)).await;
    read_after(secs(30), &mut body).await;
    tokio::time::sleep(COUNTED - secs(30)).await;
    assert_eq!(room(&limiter).await, 100);
}
