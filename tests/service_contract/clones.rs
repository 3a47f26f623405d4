//! Foreign layers that send a request twice, or not at all: what leaves is claimed for, what does not is not.

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, Full};
use tower::ServiceExt as _;
use tower_quota::{Limiter, Tag, limit::Limit};

use crate::support::{stack::cloning_stack, *};

/// Makes one call and reads its answer.
async fn call(order: &str, limiter: &Limiter, upstream: &Upstream) -> StatusCode {
    let service = cloning_stack::<Full<Bytes>, _, _>(order, limiter, upstream.clone());
    let response = ends(service.oneshot(chat_of("scout"))).await.unwrap();
    let status = response.status();
    response.into_body().collect().await.unwrap();
    status
}

fn failing_once() -> Upstream {
    Upstream::new().answers([Answer::Status(500)])
}

#[tokio::test(start_paused = true)]
async fn a_foreign_retry_has_each_of_its_attempts_claimed_for() {
    for order in ["rA", "ArA", "RrA", "ARrA", "ArRA", "ArARA", "ArAA"] {
        let (limiter, upstream) = (one_in_flight(), failing_once());
        assert_eq!(call(order, &limiter, &upstream).await, StatusCode::OK);
        assert_eq!(upstream.sent().len(), 2, "{order}");
        assert!(is_free(&limiter).await, "{order}");
        assert_eq!(counted(&limiter).await, 2, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_foreign_retry_that_has_nothing_to_repeat_changes_nothing() {
    for order in ["rA", "ArA", "RrA", "ARrA", "ArRA", "ArARA", "ArAA"] {
        let (limiter, upstream) = (one_in_flight(), Upstream::new());
        assert_eq!(call(order, &limiter, &upstream).await, StatusCode::OK);
        assert_eq!(upstream.sent().len(), 1, "{order}");
        assert!(is_free(&limiter).await, "{order}");
        assert_eq!(counted(&limiter).await, 1, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_foreign_retry_is_held_back_by_a_limit_on_attempts() {
    let upstream = failing_once();
    call("ArA", &one_a_minute(), &upstream).await;
    assert_eq!(upstream.sent(), [secs(0), COUNTED]);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_retry_counts_once_under_a_limit_on_calls() {
    let limiter = limiter([Limit::requests(1).every(MINUTE).per(Tag::Agent)]);
    let upstream = failing_once();
    call("ArA", &limiter, &upstream).await;
    assert_eq!(upstream.sent(), [secs(0), secs(0)]);
}

/// Requests are counted, and any number may be in flight.
fn counting() -> Limiter {
    limiter([Limit::requests(MANY).every(HOUR)])
}

const HEDGED: [&str; 6] = ["hA", "AhA", "RhA", "ARhA", "AhRA", "AhAA"];

#[tokio::test(start_paused = true)]
async fn a_hedge_has_both_of_its_attempts_claimed_for() {
    for order in HEDGED {
        let (limiter, upstream) = (counting(), Upstream::new().latency(secs(3)));
        assert_eq!(call(order, &limiter, &upstream).await, StatusCode::OK);
        assert_eq!(upstream.sent(), [secs(0), secs(1)], "{order}");
        assert_eq!(counted(&limiter).await, 2, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_starts_before_the_first_attempt_has_left_is_claimed_for_as_well() {
    for order in HEDGED {
        let limiter = counting();
        let upstream = Upstream::new().opens_after(secs(5)).latency(secs(3));
        assert_eq!(call(order, &limiter, &upstream).await, StatusCode::OK);
        assert_eq!(upstream.sent(), [secs(5), secs(5)], "{order}");
        assert_eq!(counted(&limiter).await, 2, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_is_not_needed_counts_nothing() {
    for order in HEDGED {
        let (limiter, upstream) = (counting(), Upstream::new());
        assert_eq!(call(order, &limiter, &upstream).await, StatusCode::OK);
        assert_eq!(upstream.sent(), [secs(0)], "{order}");
        assert_eq!(counted(&limiter).await, 1, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hedge_does_not_pass_a_limit_on_what_is_in_flight() {
    for order in HEDGED {
        let (limiter, upstream) = (one_in_flight(), Upstream::new().latency(secs(3)));
        assert_eq!(call(order, &limiter, &upstream).await, StatusCode::OK);
        assert_eq!(upstream.sent(), [secs(0)], "{order}");
        assert!(is_free(&limiter).await, "{order}");
        assert_eq!(counted(&limiter).await, 1, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hedge_inside_a_retry_holds_nothing_while_the_call_waits_to_be_repeated() {
    for order in ["RhA", "ARhA", "ARhRA"] {
        let limiter = one_in_flight();
        let busy = Answer::Busy(10, Frames::of(["busy"]));
        let upstream = Upstream::new().latency(secs(3)).answers([busy]);
        assert_eq!(call(order, &limiter, &upstream).await, StatusCode::OK);
        assert_eq!(upstream.sent().len(), 2, "{order}");
        assert!(is_free(&limiter).await, "{order}");
        assert_eq!(counted(&limiter).await, 2, "{order}");
    }
}

const CACHED: [&str; 6] = ["A", "AR", "RA", "ARA", "RAR", "AA"];

#[tokio::test(start_paused = true)]
async fn an_answer_for_which_nothing_was_sent_gives_the_claim_back() {
    for order in CACHED {
        for inside in ["", "A", "RA"] {
            let order = format!("{order}C{inside}");
            let (limiter, upstream) = (one_in_flight(), Upstream::new());
            assert_eq!(call(&order, &limiter, &upstream).await, StatusCode::OK);
            assert_eq!(upstream.sent(), [], "{order}");
            assert!(is_free(&limiter).await, "{order}");
            assert_eq!(counted(&limiter).await, 0, "{order}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_say_so_counts() {
    for order in CACHED {
        for inside in ["", "A", "RA"] {
            let order = format!("{order}c{inside}");
            let (limiter, upstream) = (one_in_flight(), Upstream::new());
            assert_eq!(call(&order, &limiter, &upstream).await, StatusCode::OK);
            assert_eq!(upstream.sent(), [], "{order}");
            assert!(is_free(&limiter).await, "{order}");
            assert_eq!(counted(&limiter).await, 1, "{order}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_claim_of_an_answer_from_a_cache_is_given_back_at_its_headers() {
    let limiter = one_in_flight();
    let service = stack::<Full<Bytes>, _, _>("AC", &limiter, Upstream::new());
    let response = service.oneshot(chat()).await.unwrap();
    assert!(is_free(&limiter).await);
    drop(response);
}
