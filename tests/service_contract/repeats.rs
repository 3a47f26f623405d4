//! What a repeated call counts, and what its caller gets in the end.

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, Full};
use tower::ServiceExt as _;
use tower_quota::{CallOptions, Rejection, Tag, limit::Limit};

use crate::support::{upstream::Reads, *};

type Body = Full<Bytes>;

/// Orders in which a retry stands, outside and inside of admissions.
const REPEATING: [&str; 5] = ["AR", "RA", "ARA", "RAR", "ARAR"];

#[tokio::test(start_paused = true)]
async fn a_repeated_call_counts_once_under_a_limit_on_calls_whatever_the_refusal_looked_like() {
    for refusal in [Frames::of(["busy"]), Frames::of([]), Frames::empty()] {
        for order in REPEATING {
            let limiter = limiter([Limit::requests(1).every(MINUTE).per(Tag::Agent)]);
            let upstream = Upstream::new().answers([Answer::Busy(1, refusal.clone())]);
            let service = stack::<Body, _, _>(order, &limiter, upstream.clone());
            ends(service.oneshot(chat_of("scout"))).await.unwrap();
            let sent = upstream.sent();
            assert_eq!(sent.len(), 2, "{order}");
            assert!(sent[1] < secs(2), "{order}, {refusal:?}: {sent:?}");
        }
    }
}

/// A18: limits on the caller's tags count calls, on the provider's attempts.
#[tokio::test(start_paused = true)]
async fn a_repeated_call_counts_each_time_under_a_limit_on_attempts() {
    for refusal in [Frames::of(["busy"]), Frames::of([]), Frames::empty()] {
        for order in REPEATING {
            let (limiter, busy) = (one_a_minute(), Answer::Busy(1, refusal.clone()));
            let upstream = Upstream::new().answers([busy]);
            let service = stack::<Body, _, _>(order, &limiter, upstream.clone());
            ends(service.oneshot(chat_of("scout"))).await.unwrap();
            assert_eq!(upstream.sent(), [secs(0), COUNTED], "{order}, {refusal:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_told_wait_is_kept_in_every_order() {
    for order in ["R", "AR", "RA", "ARA"] {
        let limiter = one_in_flight();
        let upstream = Upstream::new().answers([Answer::Busy(20, Frames::empty())]);
        let service = stack::<Body, _, _>(order, &limiter, upstream.clone());
        ends(service.oneshot(chat())).await.unwrap();
        let again = upstream.sent()[1];
        assert!((secs(20)..=secs(22)).contains(&again), "{order}: {again:?}");
    }
}

/// Retries for which there is no room, by being refused at once and by a wait that cannot end in time.
const WITHOUT_ROOM: [&str; 7] = ["FR", "RF", "FRF", "RFR", "AR", "RA", "ARA"];

#[tokio::test(start_paused = true)]
async fn the_upstreams_answer_stands_where_there_is_no_room_to_ask_again() {
    for order in WITHOUT_ROOM {
        let busy = Answer::Busy(1, Frames::of(["come ", "back"]));
        let upstream = Upstream::new().answers([busy]);
        let service = stack::<Body, _, _>(order, &one_a_minute(), upstream.clone());
        let mut request = chat();
        let hurried = CallOptions::new().max_wait(secs(5));
        request.extensions_mut().insert(hurried);
        let response = ends(service.oneshot(request)).await.unwrap();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS, "{order}");
        assert_eq!(response.extensions().get::<Rejection>(), None, "{order}");
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(text, "come back", "{order}");
        assert_eq!(upstream.sent().len(), 1, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_breaks_for_the_caller_where_it_broke_here() {
    for order in WITHOUT_ROOM {
        let broken = Frames::of(["come "]).then(Broken(7));
        let upstream = Upstream::new().answers([Answer::Busy(1, broken)]);
        let service = stack::<Body, _, _>(order, &one_a_minute(), upstream.clone());
        let mut request = chat();
        let hurried = CallOptions::new().max_wait(secs(5));
        request.extensions_mut().insert(hurried);
        let response = ends(service.oneshot(request)).await.unwrap();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS, "{order}");
        let mut body = response.into_body();
        let first = body.frame().await.unwrap().unwrap();
        assert_eq!(first.into_data().unwrap(), "come ", "{order}");
        let last = body.frame().await.unwrap();
        assert_eq!(last.unwrap_err(), Broken(7), "{order}");
        assert!(body.frame().await.is_none(), "{order}");
        assert_eq!(upstream.sent().len(), 1, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn our_refusal_stands_where_the_upstream_was_never_asked() {
    for order in WITHOUT_ROOM {
        let (limiter, upstream) = (one_a_minute(), Upstream::new());
        let service = stack::<Body, _, _>(order, &limiter, upstream.clone());
        service.clone().oneshot(chat()).await.unwrap();
        let mut request = chat();
        let hurried = CallOptions::new().max_wait(secs(5));
        request.extensions_mut().insert(hurried);
        let response = ends(service.oneshot(request)).await.unwrap();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS, "{order}");
        assert!(response.extensions().get::<Rejection>().is_some());
        assert_eq!(upstream.sent().len(), 1, "{order}");
        assert_eq!(upstream.start().elapsed(), secs(0), "{order}");
    }
}

/// R6: bodies are replayed byte for byte.
#[tokio::test(start_paused = true)]
async fn a_request_body_is_whole_again_at_every_attempt() {
    for order in REPEATING {
        let busy = Answer::Busy(1, Frames::of(["busy"]));
        let upstream = Upstream::new().reads(Reads::After(secs(1))).answers([busy]);
        let service =
            stack::<tower_quota::RequestBody, _, _>(order, &one_in_flight(), upstream.clone());
        let response = ends(service.oneshot(chat())).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{order}");
        let read = upstream.read();
        assert_eq!(read.len(), 2, "{order}");
        assert!(
            !read[0].is_empty() && read[0] == read[1],
            "{order}: {read:?}"
        );
    }
}
