//! A told wait that is too long fails now and says when.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::Full;
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_quota::{
    AdmissionLayer, CallOptions, Limiter, RateLimitLayer, RetryLayer,
    limit::{Limit, Limits},
    limiter::QueueOptions,
    retry::Attempts,
    store::MemoryStore,
};

use crate::form::{Came, Form, call_with};

const TEXT: &str =
    r#"{"error":{"message":"Please try again in 29.5s.","code":"rate_limit_exceeded"}}"#;

fn hurried(form: &Form) -> Came {
    let options = CallOptions::new().max_wait(Duration::from_secs(10));
    call_with(form, &RetryLayer::new(), options)
}

/// What the headers of an answer say, in milliseconds and in seconds.
fn said(headers: &HeaderMap) -> [&str; 2] {
    ["retry-after-ms", "retry-after"].map(|name| match headers.get(name) {
        Some(value) => value.to_str().unwrap(),
        None => "",
    })
}

/// R4: one deadline, over waits that are told as well.
#[test]
fn beyond_the_deadline_it_fails_now_and_says_when_wherever_that_was_told() {
    let busy = || Form::status(429);
    for (about, form, millis, headers) in [
        (
            "seconds",
            busy().header("retry-after", "30"),
            30_000,
            ["30000", "30"],
        ),
        (
            "milliseconds",
            busy().header("retry-after-ms", "29500"),
            29_500,
            ["29500", "30"],
        ),
        (
            "Azure's",
            busy().header("x-ms-retry-after-ms", "29500"),
            29_500,
            ["29500", "30"],
        ),
        ("the body", busy().body(TEXT), 29_500, ["29500", "30"]),
        (
            "the body, beside junk",
            busy().header("retry-after", "soon").body(TEXT),
            29_500,
            ["29500", "30"],
        ),
        (
            "the body, beside nothing",
            busy().header("retry-after", "0").body(TEXT),
            29_500,
            ["29500", "30"],
        ),
        (
            "the body, beside nothing in milliseconds",
            busy()
                .header("retry-after-ms", "0")
                .header("retry-after", "0")
                .body(TEXT),
            29_500,
            ["29500", "30"],
        ),
        (
            "the body, beside Azure's nothing",
            busy().header("x-ms-retry-after-ms", "0").body(TEXT),
            29_500,
            ["29500", "30"],
        ),
        (
            "a reset",
            busy()
                .header("x-ratelimit-remaining-tokens", "0")
                .header("x-ratelimit-reset-tokens", "29.5s"),
            29_500,
            ["29500", "30"],
        ),
        (
            "a 503",
            Form::status(503).header("retry-after", "30"),
            30_000,
            ["30000", "30"],
        ),
        (
            "a stream",
            Form::stream(
                "/v1/chat/completions",
                "data: {\"error\":{\"message\":\"Please try again in 29.5s.\",\"code\":\"rate_limit_exceeded\"}}\n\n",
            ),
            29_500,
            ["29500", "30"],
        ),
    ] {
        let came = hurried(&form);
        assert_eq!(came.sent, [Duration::ZERO], "{about}");
        assert_eq!(came.after, Duration::ZERO, "{about}");
        let told = Some(Duration::from_millis(millis));
        assert_eq!(came.attempts.retry_after, told, "{about}");
        assert_eq!(said(&came.headers), headers, "{about}");
    }
}

#[test]
fn within_the_deadline_it_is_waited_for() {
    let came = hurried(&Form::status(429).header("retry-after", "5"));
    assert_eq!((came.status, came.sent.len()), (200, 2));
    assert_eq!(came.attempts.retry_after, None);
    assert_eq!(said(&came.headers), ["", ""]);
}

#[test]
fn the_longest_wait_bounds_it_as_the_deadline_does() {
    let form = Form::status(429).header("retry-after", "20");
    let longest = |secs| RetryLayer::new().longest_wait(Duration::from_secs(secs));
    let came = call_with(&form, &longest(19), CallOptions::new());
    assert_eq!((came.status, came.sent.len()), (429, 1));
    assert_eq!(said(&came.headers), ["20000", "20"]);
    let came = call_with(&form, &longest(20), CallOptions::new());
    assert_eq!((came.status, came.sent.len()), (200, 2));
}

#[test]
fn nobody_invents_a_wait_that_was_not_told() {
    let options = CallOptions::new().max_wait(Duration::ZERO);
    let came = call_with(&Form::status(503), &RetryLayer::new(), options);
    assert_eq!(came.sent.len(), 1);
    assert_eq!(came.attempts.retry_after, None);
    assert_eq!(said(&came.headers), ["", ""]);
}

/// There is no room to ask again: that is said, and no header says any more what was waited for.
#[tokio::test(start_paused = true)]
async fn what_was_waited_for_is_said_in_no_header() {
    for (name, value) in [
        ("retry-after", "5"),
        ("retry-after-ms", "5000"),
        ("x-ms-retry-after-ms", "5000"),
    ] {
        let form = Form::status(429).header(name, value);
        let busy = form.clone();
        let provider = service_fn(move |_: Request<Full<Bytes>>| {
            std::future::ready(Ok::<_, Infallible>(busy.answer()))
        });
        let limit = Limit::requests(1).every(Duration::from_secs(45));
        let limits = Limits::new([limit.margin(Duration::ZERO)]).unwrap();
        let admission = AdmissionLayer::new(Limiter::new(limits)).reject_when_full();
        let service = RetryLayer::new().layer(admission.layer(provider));
        let (parts, _) = service.oneshot(form.request()).await.unwrap().into_parts();
        assert_eq!(parts.status, 429, "{name}: the provider's answer");
        let room = parts.extensions.get::<Attempts>().unwrap().retry_after;
        let room = room.unwrap();
        let (least, most) = (Duration::from_millis(39_500), Duration::from_secs(40));
        assert!((least..=most).contains(&room), "{name}: {room:?}");
        let millis = room.as_nanos().div_ceil(1_000_000);
        let seconds = millis.div_ceil(1_000);
        assert_eq!(
            said(&parts.headers),
            [millis.to_string(), seconds.to_string()],
            "{name}"
        );
        assert!(
            !parts.headers.contains_key("x-ms-retry-after-ms"),
            "{name}: {:?}",
            parts.headers
        );
    }
}

/// What a limiter says of every call holds as if each had said so itself.
#[tokio::test(start_paused = true)]
async fn the_longest_wait_in_a_limiters_queue_bounds_what_is_told_as_well() {
    for (told, tries) in [("30", 1), ("5", 2)] {
        for paved in [true, false] {
            let busy = Form::status(429).header("retry-after", told);
            let (request, sent) = (busy.request(), Arc::<AtomicUsize>::default());
            let noted = sent.clone();
            let provider = service_fn(move |_: Request<Full<Bytes>>| {
                let answer = match noted.fetch_add(1, Ordering::Relaxed) {
                    0 => busy.answer(),
                    _ => http::Response::new(Full::from("{}")),
                };
                std::future::ready(Ok::<_, Infallible>(answer))
            });
            let store = Arc::new(MemoryStore::new(Limits::new([]).unwrap()));
            let options = QueueOptions::new().max_wait(Duration::from_secs(10));
            let (limiter, began) = (Limiter::build(store, options), Instant::now());
            let parts = if paved {
                let service = RateLimitLayer::new(limiter).layer(provider);
                service.oneshot(request).await.unwrap().into_parts().0
            } else {
                let admission = AdmissionLayer::new(limiter).layer(provider);
                let service = RetryLayer::new().layer(admission);
                service.oneshot(request).await.unwrap().into_parts().0
            };
            assert_eq!(sent.load(Ordering::Relaxed), tries, "{told}");
            if tries > 1 {
                assert_eq!(parts.status, 200, "{told}");
            } else {
                assert_eq!(parts.status, 429, "{told}");
                assert_eq!(began.elapsed(), Duration::ZERO);
                assert_eq!(said(&parts.headers), ["30000", "30"]);
            }
        }
    }
}
