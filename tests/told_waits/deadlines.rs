//! A told wait that is too long fails now and says when.

use std::time::Duration;

use tower_quota::{CallOptions, RetryLayer};

use crate::form::{Came, Form, call_with};

const TEXT: &str =
    r#"{"error":{"message":"Please try again in 29.5s.","code":"rate_limit_exceeded"}}"#;

fn hurried(form: &Form) -> Came {
    let options = CallOptions::new().max_wait(Duration::from_secs(10));
    call_with(form, &RetryLayer::new(), options)
}

/// What the headers of an answer say, in milliseconds and in seconds.
fn said(came: &Came) -> [&str; 2] {
    ["retry-after-ms", "retry-after"].map(|name| match came.headers.get(name) {
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
        assert_eq!(said(&came), headers, "{about}");
    }
}

#[test]
fn within_the_deadline_it_is_waited_for() {
    let came = hurried(&Form::status(429).header("retry-after", "5"));
    assert_eq!((came.status, came.sent.len()), (200, 2));
    assert_eq!(came.attempts.retry_after, None);
    assert_eq!(said(&came), ["", ""]);
}

#[test]
fn the_longest_wait_bounds_it_as_the_deadline_does() {
    let form = Form::status(429).header("retry-after", "20");
    let longest = |secs| RetryLayer::new().longest_wait(Duration::from_secs(secs));
    let came = call_with(&form, &longest(19), CallOptions::new());
    assert_eq!((came.status, came.sent.len()), (429, 1));
    assert_eq!(said(&came), ["20000", "20"]);
    let came = call_with(&form, &longest(20), CallOptions::new());
    assert_eq!((came.status, came.sent.len()), (200, 2));
}

#[test]
fn nobody_invents_a_wait_that_was_not_told() {
    let options = CallOptions::new().max_wait(Duration::ZERO);
    let came = call_with(&Form::status(503), &RetryLayer::new(), options);
    assert_eq!(came.sent.len(), 1);
    assert_eq!(came.attempts.retry_after, None);
    assert_eq!(said(&came), ["", ""]);
}
