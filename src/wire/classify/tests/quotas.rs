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

fn busy(
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
        let error = busy("openrouter", headers, &body);
        assert_eq!((error.class, error.retryable), (Quota, false), "{body}");
        assert_eq!(error.wait, wait, "{headers:?} {body}");
        let stated = (error.quantity, error.window);
        assert_eq!(stated, (Some(ObservedQuantity::Requests), Some(DAY)));
    }
    let error = busy("somebody", &[], &free(text, &named));
    assert_eq!((error.class, error.wait), (Quota, wait));
}

#[test]
fn free_models_of_openrouter_are_there_again_in_a_minute() {
    let soon = "1795338990000";
    let body = free("free-models-per-min.", &until(soon));
    let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", soon)];
    for headers in [&headers[..], &[][..]] {
        let error = busy("openrouter", headers, &body);
        assert_eq!((error.class, error.retryable), (RateLimit, true));
        assert_eq!(error.wait, Some(Duration::from_secs(60)));
    }
    let behind = json!({ "error": { "message": "Provider returned error", "code": 429, "metadata": {
        "raw": "m:free is temporarily rate-limited upstream.", "provider_name": "Google",
    }}});
    let error = busy("openrouter", &[], &behind);
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

#[test]
fn money_has_a_word_of_its_own_at_each_provider() {
    let moonshot = "exceeded_current_quota_error";
    for (provider, status, word) in [
        ("moonshot", 429, moonshot),
        ("zai", 429, "1113"),
        ("dashscope", 400, "Arrearage"),
        ("litellm", 429, "budget_exceeded"),
        ("openai", 400, "budget_exceeded"),
        ("newapi", 403, "insufficient_user_quota"),
        ("openai", 403, "insufficient_user_quota"),
        ("perplexity", 401, "insufficient_quota"),
        ("openai", 429, "usage_limit_reached"),
        ("openai", 429, "usage_not_included"),
    ] {
        let by_type = json!({ "error": { "message": "no", "type": word } });
        for body in [code(word), by_type] {
            let error = with(provider, status, &[("retry-after", "1")], &body);
            let found = (error.class, error.retryable);
            assert_eq!(found, (Quota, false), "{provider} {body}");
        }
        assert_eq!(class(provider, 500, code(word)), Server, "{word}");
    }
    let bare = json!({ "code": "Arrearage", "message": "no" });
    assert_eq!(class("dashscope", 400, bare), Quota);
    assert_eq!(class("moonshot", 401, code(moonshot)), KeyRefused);
    let other = code("rate_limit_reached_error");
    assert_eq!(class("moonshot", 429, other), RateLimit);
    assert_eq!(class("zai", 429, code("1302")), RateLimit);
    let key = code("invalid_api_key");
    assert_eq!(class("perplexity", 401, key), KeyRefused);
}

fn zai(reset: &str) -> serde_json::Value {
    let message = format!("Usage limit reached for 5 hour. Your limit will reset at {reset}");
    json!({ "error": { "code": "1308", "message": message } })
}

fn codex(resets: &serde_json::Value) -> serde_json::Value {
    let message = "The usage limit has been reached";
    let mut error = json!({ "type": "usage_limit_reached", "message": message });
    for (name, value) in resets.as_object().unwrap() {
        error[name] = value.clone();
    }
    json!({ "error": error })
}

#[test]
fn a_plan_tells_when_it_is_there_again() {
    let nothing = json!({});
    for (body, wait) in [
        (zai("2026-11-22 10:15:30 UTC"), Some(3_600)),
        (zai("2026-11-22 18:15:30+08:00"), Some(3_600)),
        // Nobody says where.
        (zai("2026-11-22 10:15:30"), None),
        (codex(&json!({ "resets_in_seconds": 13_872 })), Some(13_872)),
        (codex(&json!({ "resets_at": 1_795_338_990 })), Some(60)),
        (
            codex(&json!({ "resets_in_seconds": 59.5, "resets_at": 1_795_400_000 })),
            Some(60),
        ),
        (codex(&json!({ "resets_at": 1_795_338_929 })), Some(0)),
        (
            codex(&json!({ "resets_in_seconds": -5, "resets_at": "soon" })),
            None,
        ),
        (codex(&nothing), None),
    ] {
        let error = busy("somebody", &[], &body);
        assert_eq!((error.class, error.retryable), (Quota, false), "{body}");
        let found = error.wait.map(|wait| wait.as_millis().div_ceil(1_000));
        assert_eq!(found, wait, "{body}");
    }
    let told = [("retry-after", "7")];
    let error = busy("openai", &told, &codex(&json!({ "resets_in_seconds": 9 })));
    assert_eq!(error.wait, Some(Duration::from_secs(7)));
    // It is no news of a limit that is not a quota.
    let mut other = codex(&json!({ "resets_in_seconds": 9 }));
    other["error"]["type"] = json!("rate_limit_exceeded");
    let error = busy("openai", &[], &other);
    assert_eq!((error.class, error.wait), (RateLimit, None));
}

#[test]
fn a_stream_names_the_day_too_when_a_quota_is_there_again() {
    let wait = |text: &str| {
        let error = StreamError {
            kind: "invalid_request_error".to_owned(),
            message: format!("You have reached your specified API usage limits. {text}"),
            ..StreamError::default()
        };
        let now = || SystemTime::UNIX_EPOCH + NOW;
        let error = ProviderError::in_stream_at("anthropic", &error, now);
        assert_eq!((error.class, error.retryable), (Quota, false));
        error.wait.map(|wait| wait.as_secs())
    };
    let text = "You will regain access on 2026-12-01 at 00:00 UTC.";
    assert_eq!(wait(text), Some(744_270));
    assert_eq!(wait("Soon."), None);

    let ahead = time_of_day() + 2 * DAY;
    let day = httpdate::fmt_http_date(ahead);
    let error = StreamError {
        code: Some("1308".to_owned()),
        message: format!("Your limit will reset at {}", numbers(&day)),
        ..StreamError::default()
    };
    let error = ProviderError::in_stream("zai", &error);
    let left = error.wait.unwrap().abs_diff(2 * DAY);
    assert!(left < Duration::from_secs(60), "{left:?}");
}

/// A date of HTTP as numbers.
fn numbers(date: &str) -> String {
    let month = &date[8..11];
    let month = 1 + "JanFebMarAprMayJunJulAugSepOctNovDec".find(month).unwrap() / 3;
    let (year, day, time) = (&date[12..16], &date[5..7], &date[17..25]);
    format!("{year}-{month:02}-{day} {time} UTC")
}

#[test]
fn a_subscription_waits_for_the_window_that_is_rejected() {
    let body = json!({ "type": "error", "error": {
        "type": "rate_limit_error",
        "message": "This request would exceed your account's rate limit. Please try again later.",
    }});
    let headers = [
        ("anthropic-ratelimit-unified-status", "rejected"),
        ("anthropic-ratelimit-unified-5h-status", "rejected"),
        ("anthropic-ratelimit-unified-5h-reset", "1795342530"),
        ("anthropic-ratelimit-unified-7d-status", "allowed"),
        ("anthropic-ratelimit-unified-7d-reset", "1795400000"),
        ("anthropic-ratelimit-unified-reset", "1795342530"),
    ];
    let mut told = vec![("retry-after", "60")];
    told.extend(headers);
    for provider in ["anthropic", "somebody"] {
        for (headers, seconds) in [(&headers[..], 3_600), (&headers[..1], 0), (&told, 60)] {
            let error = busy(provider, headers, &body);
            assert_eq!((error.class, error.retryable), (RateLimit, true));
            let wait = error.wait.unwrap_or_default();
            assert_eq!(wait.as_secs(), seconds, "{provider}");
        }
    }
}
