//! When a claim is dated: at the send, wherever that can be told.

use bytes::Bytes;
use http_body_util::Full;
use tower::ServiceExt as _;
use tower_quota::RequestBody;

use crate::support::{upstream::Reads, *};

/// Makes one call and tells when the next one is let in.
async fn next_after_one<B>(order: &str, upstream: Upstream) -> std::time::Duration
where
    B: http_body::Body<Data = Bytes> + From<Bytes> + Send + 'static,
    B::Error: Into<tower::BoxError>,
{
    let limiter = one_a_minute();
    let service = stack::<B, _, _>(order, &limiter, upstream.clone());
    let call = tokio::spawn(service.oneshot(chat()));
    // The one whose service is not ready gives way; this one comes after it.
    while upstream.sent().is_empty() {
        tokio::time::sleep(millis(1)).await;
    }
    let next = ends(next_let_in(&limiter, upstream.start())).await.unwrap();
    call.await.unwrap().unwrap();
    next
}

const ADMISSIONS: [&str; 5] = ["A", "RA", "AR", "AA", "ARA"];

#[tokio::test(start_paused = true)]
async fn a_claim_is_dated_when_the_service_is_ready_and_not_when_room_was_found() {
    for order in ADMISSIONS {
        let upstream = Upstream::new().opens_after(secs(30));
        let next = next_after_one::<Full<Bytes>>(order, upstream).await;
        assert_eq!(next, secs(30) + COUNTED, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_for_a_service_that_is_ready_is_dated_at_once() {
    for order in ADMISSIONS {
        let next = next_after_one::<Full<Bytes>>(order, Upstream::new()).await;
        assert_eq!(next, COUNTED, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_does_not_move_the_date() {
    for order in ADMISSIONS {
        let upstream = Upstream::new().latency(secs(80));
        let next = next_after_one::<Full<Bytes>>(order, upstream).await;
        assert_eq!(next, COUNTED, "{order}");
        let upstream = Upstream::new().latency(secs(80));
        let next = next_after_one::<RequestBody>(order, upstream).await;
        assert_eq!(next, COUNTED, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_body_dates_the_claim_when_it_is_first_taken_from() {
    for order in ADMISSIONS {
        let upstream = Upstream::new().reads(Reads::After(secs(20)));
        let next = next_after_one::<RequestBody>(order, upstream).await;
        assert_eq!(next, secs(20) + COUNTED, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_body_is_not_taken_from_yet_is_held_past_its_period() {
    for order in ADMISSIONS {
        let upstream = Upstream::new().reads(Reads::After(secs(70)));
        let next = next_after_one::<RequestBody>(order, upstream).await;
        assert_eq!(next, secs(70) + COUNTED, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_never_taken_from_dates_the_claim_at_the_answer() {
    for order in ADMISSIONS {
        let upstream = Upstream::new().reads(Reads::Never).latency(secs(80));
        let next = next_after_one::<RequestBody>(order, upstream).await;
        assert_eq!(next, secs(80) + COUNTED, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_cannot_tell_dates_the_claim_at_the_send_whoever_reads_it_when() {
    for reads in [Reads::After(secs(20)), Reads::Never] {
        for order in ADMISSIONS {
            let upstream = Upstream::new().reads(reads).latency(secs(50));
            let next = next_after_one::<Full<Bytes>>(order, upstream).await;
            assert_eq!(next, COUNTED, "{order} {reads:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_request_body_is_sent_when_it_is_handed_on() {
    let limiter = one_a_minute();
    let upstream = Upstream::new().reads(Reads::Never).latency(secs(20));
    let service = stack::<RequestBody, _, _>("A", &limiter, upstream.clone());
    let request = http::Request::get("http://upstream/v1/models");
    let call = tokio::spawn(service.oneshot(request.body(RequestBody::default()).unwrap()));
    tokio::task::yield_now().await;
    let next = ends(next_let_in(&limiter, upstream.start())).await;
    assert_eq!(next, Ok(COUNTED));
    call.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_foreign_layer_holds_up_leaves_when_there_is_room_at_that_time() {
    let limiter = one_a_minute();
    let upstream = Upstream::new();
    let held_up = stack::<Full<Bytes>, _, _>("AdA", &limiter, upstream.clone());
    let held_up = tokio::spawn(held_up.oneshot(chat()));
    tokio::time::sleep(secs(65)).await;
    let other = stack::<Full<Bytes>, _, _>("A", &limiter, upstream.clone());
    other.oneshot(chat()).await.unwrap();
    ends(held_up).await.unwrap().unwrap();
    assert_eq!(upstream.sent(), [secs(65), secs(65) + COUNTED]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_foreign_layer_holds_up_leaves_at_once_where_nobody_took_its_room() {
    let upstream = Upstream::new();
    let held_up = stack::<Full<Bytes>, _, _>("AdA", &one_a_minute(), upstream.clone());
    ends(held_up.oneshot(chat())).await.unwrap();
    assert_eq!(upstream.sent(), [secs(70)]);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_behind_long_calls_is_let_in_when_they_leave_the_window() {
    let limiter = one_a_minute();
    let start = tokio::time::Instant::now();
    let mut long_calls = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let limiter = limiter.clone();
        long_calls.spawn(async move {
            let permit = limiter.acquire(tower_quota::limiter::Call::new()).await;
            let let_in = start.elapsed();
            tokio::time::sleep(HOUR).await;
            permit.unwrap().settle(tower_quota::Usage::default());
            let_in
        });
    }
    let mut let_in = long_calls.join_all().await;
    let_in.sort();
    assert_eq!(let_in, [secs(0), COUNTED, 2 * COUNTED]);
}
