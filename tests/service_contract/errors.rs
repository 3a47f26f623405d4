//! The inner service's error is the caller's, of its own type and unchanged; the attempt counts.

use bytes::Bytes;
use http_body_util::Full;
use tower::ServiceExt as _;

use crate::support::{stack::ORDERS, *};

type Body = Full<Bytes>;

fn has_admission(order: &str) -> u64 {
    u64::from(order.contains('A'))
}

/// How many attempts a call has that fails each time: it may be repeated, by one layer, however many do so.
fn tries(order: &str) -> usize {
    if order.contains('R') { 3 } else { 1 }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_call_passes_untouched_stays_counted_and_frees_the_slot() {
    for order in ORDERS {
        let limiter = one_in_flight();
        let fails = std::iter::repeat_n((), 9).map(|()| Answer::Fails(Broken(7)));
        let upstream = Upstream::new().answers(fails);
        let service = stack::<Body, _, _>(order, &limiter, upstream.clone());
        let error: Broken = service.oneshot(chat()).await.unwrap_err();
        assert_eq!(error, Broken(7), "{order}");
        assert_eq!(upstream.sent().len(), tries(order), "{order}");
        assert!(is_free(&limiter).await, "{order}");
        let expected = has_admission(order) * tries(order) as u64;
        assert_eq!(counted(&limiter).await, expected, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_passes_untouched_and_counts_nothing() {
    for order in ORDERS {
        let limiter = one_in_flight();
        let upstream = Upstream::new().never_ready(Broken(8));
        let service = stack::<Body, _, _>(order, &limiter, upstream.clone());
        let error: Broken = service.oneshot(chat()).await.unwrap_err();
        assert_eq!(error, Broken(8), "{order}");
        assert_eq!(upstream.sent().len(), 0, "{order}");
        assert!(is_free(&limiter).await, "{order}");
        assert_eq!(counted(&limiter).await, 0, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_after_a_refusal_passes_untouched_and_all_attempts_count() {
    for order in ["R", "AR", "RA", "ARA", "RAR"] {
        let limiter = one_in_flight();
        let busy = Answer::Busy(1, Frames::of(["busy"]));
        let upstream =
            Upstream::new().answers([busy, Answer::Fails(Broken(9)), Answer::Fails(Broken(9))]);
        let service = stack::<Body, _, _>(order, &limiter, upstream.clone());
        let error = ends(service.oneshot(chat())).await.unwrap_err();
        assert_eq!(error, Broken(9), "{order}");
        assert_eq!(upstream.sent().len(), 3, "{order}");
        assert!(is_free(&limiter).await, "{order}");
        assert_eq!(counted(&limiter).await, 3 * has_admission(order), "{order}");
    }
}
