//! Foreign layers between ours: nothing leaves unclaimed, and everything is settled once.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tower::{ServiceExt as _, service_fn};
use tower_quota::{Limiter, RequestBody, Tag, limit::Limit};

use crate::support::{stack::TIMED_OUT, upstream::Reads, *};

type Body = Full<Bytes>;

/// Makes three calls, one after the other, of whose attempts the second is refused.
async fn three_calls(order: &str, limiter: &Limiter) -> Upstream {
    let busy = Answer::Busy(1, Frames::of(["busy"]));
    let upstream = Upstream::new().answers([Answer::Ok(Frames::of(["first"])), busy]);
    let service = stack::<Body, _, _>(order, limiter, upstream.clone());
    for _ in 0..3 {
        let response = ends(service.clone().oneshot(chat())).await.unwrap();
        response.into_body().collect().await.unwrap();
    }
    upstream
}

/// How many attempts three calls make: the refused one is repeated where somebody does.
fn attempts(order: &str) -> usize {
    3 + usize::from(order.contains('R'))
}

#[tokio::test(start_paused = true)]
async fn layers_that_hold_a_request_up_or_time_it_change_nothing() {
    for order in [
        "AbA", "RbA", "AbR", "ARbRA", "bA", "Ab", "AtA", "RtA", "AtR", "ARtRA", "tA", "At",
        "AbtbA", "AsA", "RsA", "AsR", "ARsRA",
    ] {
        let limiter = one_in_flight();
        let upstream = three_calls(order, &limiter).await;
        assert_eq!(upstream.sent().len(), attempts(order), "{order}");
        assert!(is_free(&limiter).await, "{order}");
        let counted = counted(&limiter).await;
        assert_eq!(counted, attempts(order) as u64, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_clears_the_responses_extensions_changes_nothing() {
    for order in ["ApA", "RpA", "ApR", "ARpRA", "pA", "Ap", "pARA"] {
        let limiter = one_in_flight();
        let upstream = three_calls(order, &limiter).await;
        assert_eq!(upstream.sent().len(), attempts(order), "{order}");
        assert!(is_free(&limiter).await, "{order}");
        let counted = counted(&limiter).await;
        assert_eq!(counted, attempts(order) as u64, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_clears_the_requests_extensions_outside_of_every_gate_changes_nothing() {
    for order in ["qA", "RqA", "RqAR", "RqARA", "Aq"] {
        let limiter = one_in_flight();
        let upstream = three_calls(order, &limiter).await;
        assert_eq!(upstream.sent().len(), attempts(order), "{order}");
        assert!(is_free(&limiter).await, "{order}");
        let counted = counted(&limiter).await;
        assert_eq!(counted, attempts(order) as u64, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_clears_the_requests_extensions_between_ours_changes_nothing() {
    for order in ["AqA", "AqRA", "ARqA", "AqR", "AqRqA", "AbqtqRA", "AqARqA"] {
        let limiter = one_in_flight();
        let upstream = three_calls(order, &limiter).await;
        assert_eq!(upstream.sent().len(), attempts(order), "{order}");
        assert!(is_free(&limiter).await, "{order}");
        let counted = counted(&limiter).await;
        assert_eq!(counted, attempts(order) as u64, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_also_moves_the_call_to_another_task_changes_nothing() {
    for order in [
        "AsqA",
        "AqsA",
        "AsqRA",
        "ARsqA",
        "AsqR",
        "AsqRqsA",
        "AbsqtsqRA",
    ] {
        let limiter = one_in_flight();
        let upstream = three_calls(order, &limiter).await;
        assert_eq!(upstream.sent().len(), attempts(order), "{order}");
        assert!(is_free(&limiter).await, "{order}");
        let counted = counted(&limiter).await;
        assert_eq!(counted, attempts(order) as u64, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_times_out_on_its_way_counts_and_frees_its_slot() {
    for order in ["AtA", "RtA", "tA", "At", "AtRA"] {
        let (limiter, upstream) = (one_in_flight(), Upstream::new().latency(secs(20)));
        let service = stack::<Body, _, _>(order, &limiter, upstream.clone());
        let error = ends(service.oneshot(chat())).await.unwrap_err();
        assert_eq!(error, TIMED_OUT, "{order}");
        assert!(is_free(&limiter).await, "{order}");
        // Each of them may have been billed.
        let tries = if order.starts_with("Rt") { 3 } else { 1 };
        assert_eq!(counted(&limiter).await, tries, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_times_out_before_it_was_sent_does_not_count() {
    for order in ["AtA", "RtA", "tA", "AtRA"] {
        let (limiter, upstream) = (one_in_flight(), Upstream::new().opens_after(secs(600)));
        let service = stack::<Body, _, _>(order, &limiter, upstream.clone());
        let error = ends(service.oneshot(chat())).await.unwrap_err();
        assert_eq!(error, TIMED_OUT, "{order}");
        assert_eq!(upstream.sent(), [], "{order}");
        assert!(is_free(&limiter).await, "{order}");
        assert_eq!(counted(&limiter).await, 0, "{order}");
    }
}

/// What is on its way still when its layer hears of a timeout, and leaves later: it counts, and is not taken for one that is
/// safe to repeat.
#[tokio::test(start_paused = true)]
async fn a_call_that_leaves_after_it_was_given_up_counts() {
    for order in ["Ats", "AtAs", "RAts", "ARts", "ARtAs"] {
        let limiter = one_in_flight();
        let upstream = Upstream::new().reads(Reads::After(secs(600)));
        let service = stack::<RequestBody, _, _>(order, &limiter, upstream.clone());
        let error = ends(service.oneshot(chat())).await.unwrap_err();
        assert_eq!(error, TIMED_OUT, "{order}");
        tokio::time::sleep(secs(700)).await;
        let read = upstream.read().len();
        assert!(read > 0, "{order}");
        assert!(is_free(&limiter).await, "{order}");
        assert_eq!(counted(&limiter).await, read as u64, "{order}");
    }
}

/// Its client has it still when it is dropped with that: it never leaves, and costs nothing.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_before_anything_of_its_body_was_taken_does_not_count() {
    for order in ["tA", "At", "AtA", "tRA", "ARt"] {
        for (after, counts) in [(secs(20), 0), (secs(5), 1)] {
            let limiter = one_in_flight();
            let upstream = Upstream::new().reads(Reads::After(after)).latency(secs(30));
            let service = stack::<RequestBody, _, _>(order, &limiter, upstream.clone());
            let call = tokio::time::timeout(secs(12), ends(service.oneshot(chat())));
            let _ = call.await;
            assert_eq!(upstream.read().len(), counts, "{order}");
            assert!(is_free(&limiter).await, "{order}");
            assert_eq!(counted(&limiter).await, counts as u64, "{order}");
        }
    }
}

/// The attempt that did not leave is not the one that counts.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_repeated_since_it_did_not_leave_counts_once() {
    for order in ["RtA", "RtAA", "RAt"] {
        let limiter = limiter([
            Limit::requests(MANY).every(HOUR).per(Tag::Agent),
            Limit::concurrency(1),
        ]);
        let inner = Upstream::new().reads(Reads::After(secs(600)));
        let (slow, well) = (inner, Upstream::new());
        let tries = Arc::new(AtomicUsize::new(0));
        let (made, served) = (tries.clone(), well.clone());
        let inner = service_fn(move |request: Request<RequestBody>| {
            let first = made.fetch_add(1, Ordering::Relaxed) == 0;
            let upstream = if first { &slow } else { &served };
            upstream.clone().oneshot(request)
        });
        let service = stack::<RequestBody, _, _>(order, &limiter, inner);
        let answer = ends(service.oneshot(chat())).await.unwrap();
        answer.into_body().collect().await.unwrap();
        assert_eq!(tries.load(Ordering::Relaxed), 2, "{order}");
        assert_eq!(well.read().len(), 1, "{order}");
        assert_eq!(counted(&limiter).await, 1, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_goes_on_without_its_caller_keeps_its_slot_to_its_end() {
    for order in ["AsA", "sA", "RsA", "AsRA"] {
        let (limiter, upstream) = (one_in_flight(), Upstream::new().latency(secs(20)));
        let service = stack::<Body, _, _>(order, &limiter, upstream.clone());
        let call = tokio::time::timeout(secs(5), service.oneshot(chat()));
        call.await.unwrap_err();
        tokio::time::sleep(secs(10)).await;
        assert!(!is_free(&limiter).await, "{order}: it is still under way");
        tokio::time::sleep(secs(10)).await;
        assert!(is_free(&limiter).await, "{order}: its answer was dropped");
        assert_eq!(counted(&limiter).await, 1, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_dropped_with_its_caller_does_not_keep_its_slot() {
    for order in ["AA", "AtA", "RA", "ARA"] {
        let (limiter, upstream) = (one_in_flight(), Upstream::new().latency(secs(20)));
        let service = stack::<Body, _, _>(order, &limiter, upstream.clone());
        let call = tokio::time::timeout(secs(5), service.oneshot(chat()));
        call.await.unwrap_err();
        assert!(is_free(&limiter).await, "{order}");
        assert_eq!(counted(&limiter).await, 1, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_ours_whose_origin_was_cleared_away_is_still_not_repeated() {
    let limiter = limiter([Limit::requests(1).every(secs(10))]);
    let upstream = Upstream::new();
    let service = stack::<Body, _, _>("RpF", &limiter, upstream.clone());
    for status in [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS] {
        let response = service.clone().oneshot(chat()).await.unwrap();
        assert_eq!(response.status(), status);
    }
    assert_eq!(upstream.sent().len(), 1);
}
