//! A concurrency slot is held from the send to the end of the response body, and not longer or shorter.

use std::pin::Pin;

use bytes::Bytes;
use http::StatusCode;
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use tower::ServiceExt as _;
use tower_quota::Limiter;

use crate::support::{stack::AnyBody, *};

const ADMISSIONS: [&str; 5] = ["A", "AR", "RA", "ARA", "RAR"];

/// The body of a call's answer, the headers of which have arrived.
async fn answered(order: &str, answer: Answer) -> (Limiter, AnyBody) {
    let limiter = one_in_flight();
    let upstream = Upstream::new().answers([answer]);
    let service = stack::<Full<Bytes>, _, _>(order, &limiter, upstream);
    let response = service.oneshot(chat()).await.unwrap();
    (limiter, response.into_body())
}

async fn read_frame(body: &mut AnyBody) -> bool {
    matches!(Pin::new(body).frame().await, Some(Ok(_)))
}

/// A3: a slot is held until the body ends.
#[tokio::test(start_paused = true)]
async fn a_slot_is_freed_at_the_end_of_the_body_and_not_before() {
    for order in ADMISSIONS {
        let frames = Frames::of(["one", "two", "three"]);
        let (limiter, mut body) = answered(order, Answer::Ok(frames)).await;
        assert!(!is_free(&limiter).await, "{order}: at the headers");
        for frame in 1..=3 {
            assert!(read_frame(&mut body).await);
            assert!(!is_free(&limiter).await, "{order}: at frame {frame}");
        }
        assert!(!read_frame(&mut body).await);
        assert!(is_free(&limiter).await, "{order}: at the end");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_freed_with_the_last_frame_of_a_body_that_tells_its_end() {
    for order in ADMISSIONS {
        let frames = Frames::of(["one", "two"]).telling_its_end();
        let (limiter, mut body) = answered(order, Answer::Ok(frames)).await;
        assert!(read_frame(&mut body).await);
        assert!(!is_free(&limiter).await, "{order}: at the first frame");
        assert!(read_frame(&mut body).await);
        assert!(is_free(&limiter).await, "{order}: at the last frame");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_freed_at_the_headers_of_a_body_that_is_empty_from_the_start() {
    for order in ADMISSIONS {
        let (limiter, body) = answered(order, Answer::Ok(Frames::empty())).await;
        assert!(body.is_end_stream());
        assert!(is_free(&limiter).await, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_kept_by_an_empty_body_that_does_not_say_so_until_it_is_asked() {
    for order in ADMISSIONS {
        let (limiter, mut body) = answered(order, Answer::Ok(Frames::of([]))).await;
        assert!(!is_free(&limiter).await, "{order}: at the headers");
        assert!(!read_frame(&mut body).await);
        assert!(is_free(&limiter).await, "{order}: at the end");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_freed_when_the_body_is_dropped_wherever_it_is() {
    for order in ADMISSIONS {
        for read in 0..=3 {
            let frames = Frames::of(["one", "two", "three"]);
            let (limiter, mut body) = answered(order, Answer::Ok(frames)).await;
            for _ in 0..read {
                assert!(read_frame(&mut body).await);
            }
            assert!(!is_free(&limiter).await, "{order}: {read} frames read");
            drop(body);
            assert!(is_free(&limiter).await, "{order}: {read} frames read");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_freed_when_the_body_breaks_off_and_the_error_is_the_bodys_own() {
    for order in ADMISSIONS {
        let frames = Frames::of(["one"]).then(Broken(3));
        let (limiter, mut body) = answered(order, Answer::Ok(frames)).await;
        assert!(read_frame(&mut body).await);
        assert!(!is_free(&limiter).await, "{order}: before the error");
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!(error, Broken(3), "{order}");
        assert!(is_free(&limiter).await, "{order}: after the error");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_held_while_the_answer_is_awaited() {
    for order in ADMISSIONS {
        let limiter = one_in_flight();
        let upstream = Upstream::new().latency(secs(5));
        let service = stack::<Full<Bytes>, _, _>(order, &limiter, upstream);
        let call = tokio::spawn(service.oneshot(chat()));
        tokio::time::sleep(secs(4)).await;
        assert!(!is_free(&limiter).await, "{order}");
        drop(call.await.unwrap());
        assert!(is_free(&limiter).await, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_free_while_a_call_waits_to_be_repeated_and_held_by_none_afterwards() {
    for order in ["AR", "RA", "ARA", "RAR"] {
        let limiter = one_in_flight();
        let busy = Answer::Busy(10, Frames::of(["busy", "come back"]));
        let upstream = Upstream::new().answers([busy]);
        let service = stack::<Full<Bytes>, _, _>(order, &limiter, upstream.clone());
        let call = tokio::spawn(service.oneshot(chat()));
        tokio::time::sleep(secs(5)).await;
        assert_eq!(upstream.sent().len(), 1, "{order}");
        assert!(is_free(&limiter).await, "{order}: during the wait");
        let response = ends(call).await.unwrap().unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{order}");
        assert!(!is_free(&limiter).await, "{order}: at the headers");
        drop(response);
        assert!(is_free(&limiter).await, "{order}: at the end");
    }
}

/// M2: bytes pass unchanged.
#[tokio::test(start_paused = true)]
async fn the_bytes_of_a_body_pass_unchanged_frame_by_frame() {
    for order in ADMISSIONS {
        let (_, mut body) = answered(order, Answer::Ok(Frames::of(["", "on", "e"]))).await;
        for expected in ["", "on", "e"] {
            let frame = body.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), expected, "{order}");
        }
        assert!(body.frame().await.is_none(), "{order}");
    }
}
