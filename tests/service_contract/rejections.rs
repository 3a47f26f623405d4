//! A local no is a response that says why, in the caller's words, and whether to come back.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use tower_quota::{CallOptions, Limiter, Rejection, limit::Limit};

use crate::support::{stack::AnyBody, *};

/// Orders of admissions that refuse.
const REFUSING: [&str; 4] = ["F", "RF", "FR", "RFRF"];

async fn ask(
    order: &str,
    limiter: &Limiter,
    request: Request<Full<Bytes>>,
) -> (Response<AnyBody>, usize) {
    let upstream = Upstream::new();
    let service = stack::<Full<Bytes>, _, _>(order, limiter, upstream.clone());
    let response = ends(service.oneshot(request)).await.unwrap();
    (response, upstream.sent().len())
}

/// Takes the one call that the limiter lets in.
async fn fill(limiter: &Limiter) {
    let (response, sent) = ask("F", limiter, chat()).await;
    assert_eq!((response.status(), sent), (StatusCode::OK, 1));
}

async fn json_of(response: Response<AnyBody>) -> Value {
    let text = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&text).unwrap()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test(start_paused = true)]
async fn what_never_fits_is_413_and_not_worth_another_try() {
    for order in ["A", "AR", "RA", "F"] {
        let limiter = limiter([Limit::tokens(50).every(MINUTE)]);
        let (response, sent) = ask(order, &limiter, chat()).await;
        assert_eq!(
            (response.status(), sent),
            (StatusCode::PAYLOAD_TOO_LARGE, 0),
            "{order}"
        );
        let headers = response.headers();
        assert_eq!(header(headers, "x-should-retry"), Some("false"), "{order}");
        assert_eq!(header(headers, "retry-after"), None, "{order}");
        let rejection = response.extensions().get::<Rejection>().unwrap();
        let Rejection::NeverFits(shortage) = rejection else {
            panic!("{rejection:?}")
        };
        assert_eq!(shortage.limit, "tokens 50/min");
        assert_eq!(
            json_of(response).await["error"]["code"],
            "never_fits",
            "{order}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_fits_is_sent() {
    for order in ["A", "AR", "RA", "F"] {
        let limiter = limiter([Limit::tokens(200).every(MINUTE)]);
        let (response, sent) = ask(order, &limiter, chat()).await;
        assert_eq!((response.status(), sent), (StatusCode::OK, 1), "{order}");
        assert!(response.extensions().get::<Rejection>().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn no_room_is_429_with_the_wait_rounded_up_and_never_0() {
    for order in REFUSING {
        for (after, exact, rounded) in [
            (0, "60500", "61"),
            (30_000, "30500", "31"),
            (59_500, "1000", "1"),
            (59_501, "999", "1"),
            (60_499, "1", "1"),
        ] {
            let limiter = one_a_minute();
            fill(&limiter).await;
            tokio::time::sleep(millis(after)).await;
            let (response, sent) = ask(order, &limiter, chat()).await;
            assert_eq!(
                (response.status(), sent),
                (StatusCode::TOO_MANY_REQUESTS, 0)
            );
            let headers = response.headers();
            assert_eq!(
                header(headers, "retry-after-ms"),
                Some(exact),
                "{order} {after}"
            );
            assert_eq!(
                header(headers, "retry-after"),
                Some(rounded),
                "{order} {after}"
            );
            assert_eq!(header(headers, "x-should-retry"), None, "{order} {after}");
            let rejection = response.extensions().get::<Rejection>().unwrap();
            assert!(
                matches!(rejection, Rejection::RateLimited(_)),
                "{rejection:?}"
            );
        }
    }
}

/// A20: the server side: 429, `Retry-After`, the IETF fields.
#[tokio::test(start_paused = true)]
async fn the_limit_is_said_in_the_ietfs_fields_and_where_no_limit_refused_it_is_not() {
    for order in REFUSING {
        let limiter = one_a_minute();
        let (answered, _) = ask(order, &limiter, chat()).await;
        assert_eq!(header(answered.headers(), "ratelimit"), None, "{order}");
        tokio::time::sleep(secs(20)).await;
        let (refused, _) = ask(order, &limiter, chat()).await;
        let said = |name| header(refused.headers(), name);
        assert_eq!(
            said("ratelimit-policy"),
            Some(r#""requests 1/min";q=1;w=60"#),
            "{order}"
        );
        assert_eq!(
            said("ratelimit"),
            Some(r#""requests 1/min";r=0;t=41"#),
            "{order}"
        );
    }
    let twice = Request::post("http://upstream/v1/chat/completions")
        .body(Full::from(r#"{"model":"a","model":"b"}"#))
        .unwrap();
    let (refused, _) = ask("F", &one_a_minute(), twice).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert_eq!(header(refused.headers(), "ratelimit"), None);
}

#[tokio::test(start_paused = true)]
async fn who_has_waited_as_told_is_let_in() {
    for order in REFUSING {
        let limiter = one_a_minute();
        fill(&limiter).await;
        tokio::time::sleep(COUNTED).await;
        let (response, sent) = ask(order, &limiter, chat()).await;
        assert_eq!((response.status(), sent), (StatusCode::OK, 1), "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_cannot_end_in_time_is_refused_at_once_and_not_worth_another_try() {
    for order in ["A", "AR", "RA", "ARA"] {
        for (longest, let_in) in [(secs(60), false), (secs(61), true)] {
            let limiter = one_a_minute();
            fill(&limiter).await;
            let start = tokio::time::Instant::now();
            let mut request = chat();
            request
                .extensions_mut()
                .insert(CallOptions::new().max_wait(longest));
            let (response, sent) = ask(order, &limiter, request).await;
            assert_eq!(sent, usize::from(let_in), "{order}");
            let waited = if let_in { COUNTED } else { Duration::ZERO };
            assert_eq!(start.elapsed(), waited, "{order}");
            if !let_in {
                assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
                assert_eq!(header(response.headers(), "x-should-retry"), Some("false"));
                assert_eq!(
                    json_of(response).await["error"]["code"],
                    "deadline_exceeded"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_speaks_the_callers_dialect() {
    let limiter = one_a_minute();
    fill(&limiter).await;
    let message = "rate limited here: requests 1/min: 1 in use, this call needs 1 (would be 2); room in 60.5 s";

    let (openai, _) = ask("F", &limiter, chat()).await;
    assert_eq!(
        header(openai.headers(), "content-type"),
        Some("application/json")
    );
    let error = json!({
        "message": message, "type": "rate_limit_error", "param": null, "code": "rate_limited",
    });
    assert_eq!(json_of(openai).await, json!({ "error": error }));

    let request =
        Request::post("http://upstream/v1/messages").header("anthropic-version", "2023-06-01");
    let body = r#"{"model":"m","max_tokens":100,"messages":[]}"#;
    let (anthropic, _) = ask("F", &limiter, request.body(body.into()).unwrap()).await;
    assert_eq!(
        header(anthropic.headers(), "content-type"),
        Some("application/json")
    );
    let anthropic = json_of(anthropic).await;
    assert_eq!(anthropic["type"], "error");
    assert_eq!(anthropic["error"]["type"], "rate_limit_error");
    assert_eq!(anthropic["error"]["message"], message);

    let request = Request::get("http://upstream/anything").body(Full::default());
    let (other, _) = ask("F", &limiter, request.unwrap()).await;
    let content_type = header(other.headers(), "content-type");
    assert_eq!(content_type, Some("application/problem+json"));
    let other = json_of(other).await;
    assert_eq!(
        (&other["status"], &other["detail"]),
        (&json!(429), &json!(message))
    );
}

#[tokio::test(start_paused = true)]
async fn a_model_named_twice_is_400_and_another_key_named_twice_is_the_providers_to_judge() {
    for order in ["A", "R", "AR", "RA", "F"] {
        for (twice, refused) in [("model", true), ("user", false)] {
            let body = format!(r#"{{"model":"m","{twice}":"x","{twice}":"y","messages":[]}}"#);
            let request = Request::post("http://upstream/v1/chat/completions");
            let request = request.body(body.into()).unwrap();
            let (response, sent) = ask(order, &limiter([]), request).await;
            assert_eq!(sent, usize::from(!refused), "{order}, {twice}");
            if refused {
                assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{order}");
                assert_eq!(header(response.headers(), "x-should-retry"), Some("false"));
                assert_eq!(json_of(response).await["error"]["code"], "bad_request");
            }
        }
    }
}
