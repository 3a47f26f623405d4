//! What is used up for long, in the words of one provider.

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

/// 2026-11-22T09:15:30Z
const NOW: Duration = Duration::from_secs(1_795_338_930);

#[test]
fn a_limit_of_a_day_is_a_quota_where_nothing_tells_when_it_is_there_again() {
    let name = (
        "x-amzn-errortype",
        "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/",
    );
    let text = "Too many tokens per day, please wait before trying again.";
    let day = json!({ "message": text });
    let error = with("bedrock", 429, &[name], &day);
    assert_eq!((error.class, error.retryable), (Quota, false));
    // One of the model, and not of the account.
    let stated = (error.quantity, error.window);
    assert_eq!(stated, (Some(ObservedQuantity::Tokens), Some(DAY)));
    let minute = json!({ "message": "Too many tokens, please wait before trying again." });
    assert_eq!(with("bedrock", 429, &[name], minute).class, RateLimit);

    let waits = |headers: &[_], body: &serde_json::Value| {
        let error = with("bedrock", 429, headers, body);
        assert_eq!((error.class, error.retryable), (RateLimit, true));
        error.wait.unwrap().as_millis()
    };
    assert_eq!(waits(&[name, ("retry-after", "30")], &day), 30_000);
    assert_eq!(waits(&[name, ("x-amz-retry-after", "1500")], &day), 1_500);
    let told = message("Limit reached on requests per day (RPD). Please try again in 7m12s.");
    assert_eq!(waits(&[], &told), 432_000);

    let error = StreamError {
        kind: "throttlingException".to_owned(),
        message: text.to_owned(),
        ..StreamError::default()
    };
    let error = ProviderError::in_stream("bedrock", &error);
    assert_eq!((error.class, error.retryable), (Quota, false));
}

#[test]
fn a_day_that_is_used_up_by_the_headers_comes_back_by_them() {
    let headers = [
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "2m"),
    ];
    let day = message("Rate limit reached on requests per day (RPD): Limit 9, Used 9.");
    let error = with("groq", 429, &headers, &day);
    assert_eq!((error.class, error.retryable), (RateLimit, true));
    assert_eq!(error.wait, Some(Duration::from_secs(120)));
    assert_eq!(class("groq", 429, &day), Quota);
}

fn openrouter(
    provider: &str,
    headers: &[(&'static str, &'static str)],
    body: &serde_json::Value,
) -> ProviderError {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
    let (status, now) = (StatusCode::TOO_MANY_REQUESTS, SystemTime::UNIX_EPOCH + NOW);
    let body = body.to_string();
    classify(provider, status, &headers.collect(), body.as_bytes(), now).unwrap()
}

/// A refusal by one of OpenRouter's own limits, with what its metadata says.
fn free(text: &str, metadata: &serde_json::Value) -> serde_json::Value {
    let message = format!("Rate limit exceeded: {text}");
    json!({ "error": { "message": message, "code": 429, "metadata": metadata } })
}

/// The headers as the body repeats them.
fn until(reset: &str) -> serde_json::Value {
    json!({ "headers": {
        "X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset,
    }})
}

#[test]
fn free_models_of_openrouter_are_used_up_until_the_reset_of_their_day() {
    let midnight = "1795392000000";
    let text = "free-models-per-day. Add 10 credits to unlock 1000 free model requests per day";
    let headers = [
        ("x-ratelimit-limit", "50"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", midnight),
    ];
    let mut named = until(midnight);
    named["limit_source"] = json!("openrouter_free_tier_daily");
    let none = json!({});
    let wait = Some(Duration::from_secs(53_070));
    for (headers, body, wait) in [
        (&headers[..], free(text, &none), wait),
        (&headers[..], free(text, &named), wait),
        (&[][..], free(text, &until(midnight)), wait),
        (&[][..], free("try later", &named), wait),
        (
            &[][..],
            free("free-models-per-day-high-balance.", &none),
            None,
        ),
        (&[][..], free(text, &until("1795338929000")), None),
        (&[][..], free(text, &until("midnight")), None),
        (
            &[("retry-after", "60")][..],
            free(text, &named),
            Some(Duration::from_secs(60)),
        ),
    ] {
        let error = openrouter("openrouter", headers, &body);
        assert_eq!((error.class, error.retryable), (Quota, false), "{body}");
        assert_eq!(error.wait, wait, "{headers:?} {body}");
        let stated = (error.quantity, error.window);
        assert_eq!(stated, (Some(ObservedQuantity::Requests), Some(DAY)));
    }
    let error = openrouter("somebody", &[], &free(text, &named));
    assert_eq!((error.class, error.wait), (Quota, wait));
}

#[test]
fn free_models_of_openrouter_are_there_again_in_a_minute() {
    let soon = "1795338990000";
    let body = free("free-models-per-min.", &until(soon));
    let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", soon)];
    for headers in [&headers[..], &[][..]] {
        let error = openrouter("openrouter", headers, &body);
        assert_eq!((error.class, error.retryable), (RateLimit, true));
        assert_eq!(error.wait, Some(Duration::from_secs(60)));
    }
    let behind = json!({ "error": { "message": "Provider returned error", "code": 429, "metadata": {
        "raw": "m:free is temporarily rate-limited upstream.", "provider_name": "Google",
    }}});
    let error = openrouter("openrouter", &[], &behind);
    assert_eq!((error.class, error.wait), (RateLimit, None));
    // Elsewhere the text may be quoted.
    assert_eq!(
        class("openrouter", 400, free("free-models-per-day", &json!({}))),
        Invalid
    );
}

#[test]
fn money_may_be_spent_under_a_status_that_says_something_else() {
    let groq = json!({ "error": {
        "message": "no", "type": "invalid_request_error", "code": "blocked_api_access",
    }});
    for provider in ["groq", "somebody"] {
        let error = with(provider, 400, &[], &groq);
        assert_eq!((error.class, error.retryable), (Quota, false), "{provider}");
    }
    assert_eq!(class("openai", 400, &groq), Invalid);

    let text = "Account a is suspended, possibly due to reaching the monthly spending limit or failure to pay past invoices.";
    let fireworks =
        json!({ "error": { "message": text, "code": "PRECONDITION_FAILED", "type": "error" } });
    let error = with("fireworks", 412, &[], &fireworks);
    assert_eq!((error.class, error.retryable), (Quota, false));
    // Of the account, and not of the model.
    assert_eq!((error.quantity, error.window), (None, None));
    assert_eq!(class("fireworks", 400, &fireworks), Invalid);
    assert_eq!(class("fireworks", 412, message("no")), Invalid);
}
