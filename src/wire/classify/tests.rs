mod keys;
mod quotas;

use http::HeaderValue;
use serde_json::json;

use super::{ErrorClass::*, *};

#[allow(
    clippy::needless_pass_by_value,
    reason = "bodies are made where they are passed"
)]
fn with(
    provider: &str,
    status: u16,
    headers: &[(&'static str, &'static str)],
    body: impl ToString,
) -> ProviderError {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, HeaderValue::from_static(value));
    }
    let status = StatusCode::from_u16(status).unwrap();
    let body = body.to_string();
    classify(
        provider,
        status,
        &map,
        body.as_bytes(),
        SystemTime::UNIX_EPOCH,
    )
    .unwrap()
}

fn class(provider: &str, status: u16, body: impl ToString) -> ErrorClass {
    with(provider, status, &[], body).class
}

/// An error with `word` as its code.
fn code(word: &str) -> serde_json::Value {
    json!({ "error": { "message": "no", "code": word } })
}

fn message(text: &str) -> serde_json::Value {
    json!({ "error": { "message": text } })
}

#[test]
fn a_status_alone() {
    for (status, expected, retryable) in [
        (400, Invalid, false),
        (401, KeyRefused, false),
        (402, Quota, false),
        (403, KeyRefused, false),
        (404, Invalid, false),
        (408, Server, true),
        (409, Invalid, true),
        (413, RequestTooLarge, false),
        (429, RateLimit, true),
        (498, Invalid, false),
        (500, Server, true),
        (501, Server, false),
        (502, Server, true),
        (503, Overloaded, true),
        (504, Server, true),
        (505, Server, false),
        (529, Overloaded, true),
        (599, Server, true),
        (999, Server, true),
    ] {
        for body in [
            "",
            "<html>try again in 5s</html>",
            "null",
            "[]",
            "{\"error\":",
        ] {
            let error = with("generic", status, &[], body);
            let expected = match status {
                // What cannot be read may speak of the call.
                403 if !body.is_empty() => Invalid,
                _ => expected,
            };
            assert_eq!(
                (error.class, error.retryable),
                (expected, retryable),
                "{status}"
            );
            assert_eq!(error.wait, None, "{status} {body}");
        }
    }
}

#[test]
fn no_error_below_400() {
    let body = code("insufficient_quota").to_string();
    for status in [200, 204, 301, 399] {
        let status = StatusCode::from_u16(status).unwrap();
        let now = SystemTime::UNIX_EPOCH;
        assert_eq!(
            classify("openai", status, &HeaderMap::new(), body.as_bytes(), now),
            None
        );
    }
}

#[test]
fn words_of_money() {
    for word in [
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
    ] {
        assert_eq!(class("openai", 429, code(word)), Quota, "{word}");
        let by_type = json!({ "error": { "type": word, "code": null } });
        assert_eq!(class("somebody", 429, by_type), Quota, "{word}");
        assert_eq!(class("openai", 500, code(word)), Server, "{word}");
        assert_eq!(class("openai", 429, message(word)), RateLimit, "{word}");
    }
    for word in [
        "enforced_spend_limit_reached",
        "contract_spend_limit_reached",
    ] {
        let body = json!({ "error": {
            "type": "rate_limit_error", "message": "no", "details": { "error_code": word },
        }});
        assert_eq!(class("anthropic", 429, &body), Quota, "{word}");
        assert_eq!(class("somebody", 429, &body), Quota, "{word}");
        assert_eq!(class("openai", 429, &body), RateLimit, "{word}");
    }
    assert_eq!(class("anthropic", 402, code("billing_error")), Quota);
}

#[test]
fn texts_of_money() {
    let low = "Your credit balance is too low to access the Anthropic API.";
    let own = "You have reached your specified workspace API usage limits. You will";
    for text in [low, own] {
        assert_eq!(class("anthropic", 400, message(text)), Quota, "{text}");
        assert_eq!(class("anthropic", 404, message(text)), Invalid, "{text}");
        assert_eq!(class("openai", 400, message(text)), Invalid, "{text}");
        let quoted = format!("messages.0: bad text: {text}");
        assert_eq!(class("anthropic", 400, message(&quoted)), Invalid, "{text}");
    }
    let other = "You have reached your specified number of files";
    assert_eq!(class("anthropic", 400, message(other)), Invalid);
}

#[test]
fn never_fits() {
    let text = "Request too large for m on tokens per min (TPM): Limit 10, Requested 11.";
    for (provider, status) in [("openai", 429), ("groq", 413), ("somebody", 429)] {
        let error = with(provider, status, &[], message(text));
        assert_eq!((error.class, error.retryable), (RequestTooLarge, false));
        assert_eq!((error.limit, error.requested), (Some(10), Some(11)));
    }
    assert_eq!(class("openai", 400, message(text)), Invalid);
    assert_eq!(
        class("groq", 413, code("rate_limit_exceeded")),
        RequestTooLarge
    );
    assert_eq!(
        class("anthropic", 413, code("request_too_large")),
        RequestTooLarge
    );

    let more = "Rate limit reached on tokens per min: Limit 10, Used 0, Requested 11.";
    assert_eq!(class("openai", 429, message(more)), RequestTooLarge);
    let all = "Rate limit reached on tokens per min: Limit 10, Used 1, Requested 10.";
    assert_eq!(class("openai", 429, message(all)), RateLimit);
    let unknown = "Rate limit reached on tokens per min: Requested 10.";
    assert_eq!(class("openai", 429, message(unknown)), RateLimit);
}

#[test]
fn too_fast_or_too_full() {
    assert_eq!(class("openai", 429, code("slow_down")), Ramp);
    assert_eq!(class("openai", 503, code("slow_down")), Overloaded);
    assert_eq!(class("anthropic", 429, code("slow_down")), RateLimit);
    assert_eq!(class("anthropic", 429, code("ramp_limit_exceeded")), Ramp);
    assert_eq!(class("openai", 429, code("ramp_limit_exceeded")), RateLimit);
    assert_eq!(class("groq", 498, code("capacity_exceeded")), Overloaded);
    assert_eq!(class("groq", 400, code("capacity_exceeded")), Invalid);
    assert_eq!(class("openai", 498, code("capacity_exceeded")), Invalid);
    assert_eq!(
        class("anthropic", 500, code("overloaded_error")),
        Overloaded
    );
    assert_eq!(class("openai", 500, code("overloaded_error")), Server);
}

#[test]
fn context_and_content() {
    let openai = "This model's maximum context length is 4096 tokens. However, you";
    let long = "prompt is too long: 12 tokens > 10 maximum";
    let both = "input length and `max_tokens` exceed context limit: 9 + 2 > 10, decrease";
    let gemini = "The input token count (12) exceeds the maximum number of tokens allowed (10).";
    let by_model = |text: &str| format!("The model returned the following errors: {text}");
    let [bedrock, bedrock_both] = [by_model(long), by_model(both)];
    let bedrock_input = by_model("Input is too long for requested model.");
    let mistral = "Prompt contains 9 tokens, too large for model with 8 maximum context length";
    let llama = "request (9 tokens) exceeds the available context size (8 tokens)";
    let engine = "The decoder prompt (length 9) is longer than the maximum model length of 8.";
    for (provider, text) in [
        ("openai", openai),
        ("vllm", openai),
        ("anthropic", long),
        ("anthropic", both),
        ("gemini", gemini),
        ("bedrock", bedrock.as_str()),
        ("bedrock", bedrock_both.as_str()),
        ("bedrock", bedrock_input.as_str()),
        ("mistral", mistral),
        ("llamacpp", llama),
        ("vllm", engine),
    ] {
        let error = with(provider, 400, &[], message(text));
        assert_eq!(
            (error.class, error.retryable),
            (ContextLength, false),
            "{text}"
        );
        assert_eq!((error.limit, error.quantity), (None, None), "{text}");
        assert_eq!(class(provider, 422, message(text)), Invalid, "{text}");
    }
    assert_eq!(class("openai", 400, message(long)), Invalid);
    assert_eq!(
        class("anthropic", 400, message("my prompt is too long")),
        Invalid
    );
    assert_eq!(
        class("openai", 400, code("context_length_exceeded")),
        ContextLength
    );

    let inner = json!({ "error": { "innererror": { "code": "ResponsibleAIPolicyViolation" } } });
    assert_eq!(class("azure", 400, &inner), ContentFilter);
    assert_eq!(class("azure", 400, code("content_filter")), ContentFilter);
    assert_eq!(class("azure", 500, &inner), Server);
    let elsewhere = json!({ "error": { "param": "content_filter" } });
    assert_eq!(class("azure", 400, elsewhere), Invalid);
}

/// One caller's prompt is no reason to leave a key alone.
#[test]
fn a_403_may_be_about_the_content() {
    let flagged = json!({ "error": { "code": 403, "message": "Your input was flagged.", "metadata": {
        "reasons": ["violence"], "flagged_input": "…", "provider_name": "OpenAI", "model_slug": "m",
    }}});
    for provider in ["openrouter", "openai", "anthropic"] {
        let error = with(provider, 403, &[], &flagged);
        assert_eq!((error.class, error.retryable), (ContentFilter, false));
    }
    for key in ["reasons", "flagged_input"] {
        let one = json!({ "error": { "message": "no", "metadata": { key: "violence" } } });
        assert_eq!(class("openrouter", 403, &one), ContentFilter, "{key}");
        assert_eq!(class("openrouter", 502, &one), Server, "{key}");
    }
    for word in ["content_policy_violation", "content_filter", "refusal"] {
        assert_eq!(
            class("openrouter", 403, code(word)),
            ContentFilter,
            "{word}"
        );
        let metadata = json!({ "error": { "message": "no", "metadata": { "error_type": word } } });
        assert_eq!(class("openrouter", 403, metadata), ContentFilter, "{word}");
    }
    assert_eq!(
        class("openai", 400, code("content_policy_violation")),
        ContentFilter
    );
}

#[test]
fn openrouter_has_two_kinds_of_402() {
    let held = json!({ "error": { "code": 402, "message": "no", "metadata": {
        "limit_source": "openrouter_in_flight_budget",
    }}});
    let told = [("retry-after", "3")];
    let error = with("openrouter", 402, &told, &held);
    assert_eq!((error.class, error.retryable), (RateLimit, true));
    assert_eq!(class("openrouter", 402, &held), Quota);
    let error = with("openrouter", 402, &told, message("Insufficient credits."));
    assert_eq!((error.class, error.retryable), (Quota, false));
}

#[test]
fn the_provider_has_the_last_word_on_repeating() {
    let yes = [("x-should-retry", "true")];
    let no = [("x-should-retry", "false")];
    assert!(with("openai", 400, &yes, "").retryable);
    assert!(!with("openai", 429, &no, "").retryable);
    assert!(with("openai", 429, &[("x-should-retry", "perhaps")], "").retryable);
}

#[test]
fn headers_know_the_wait_better_than_texts() {
    let body = message("Please try again in 27.45s.");
    let wait = |headers: &[_]| with("groq", 429, headers, &body).wait.unwrap().as_millis();
    assert_eq!(wait(&[]), 27_450);
    assert_eq!(wait(&[("retry-after", "28")]), 28_000);
    assert_eq!(
        wait(&[("retry-after", "28"), ("retry-after-ms", "27451")]),
        27_451
    );
    assert_eq!(wait(&[("retry-after", "soon")]), 27_450);
    let text = json!({ "error": "Too many requests. Resets in: 45s.", "code": "x" });
    assert_eq!(with("xai", 429, &[], text).wait.unwrap().as_secs(), 45);
}

#[test]
fn only_what_may_pass_has_a_wait_in_its_text() {
    let body = message("messages.0: bad text: please try again in 5s");
    for (status, expected) in [(400, None), (402, None), (429, Some(5)), (500, Some(5))] {
        let wait = with("openai", status, &[], &body).wait;
        assert_eq!(wait.map(|wait| wait.as_secs()), expected, "{status}");
    }
    let told = with("openai", 400, &[("retry-after", "7")], &body).wait;
    assert_eq!(told, Some(Duration::from_secs(7)));
}

fn gemini(ids: &[(&str, &str)]) -> ProviderError {
    let violation = |(id, value): &(&str, &str)| json!({ "quotaId": id, "quotaValue": value });
    let violations: Vec<_> = ids.iter().map(violation).collect();
    let details = json!([{ "violations": violations }, { "retryDelay": "34.074824224s" }]);
    // As the compatible API wraps it.
    let body = json!([{ "error": { "status": "RESOURCE_EXHAUSTED", "details": details } }]);
    with("gemini", 429, &[], body)
}

#[test]
fn a_quota_of_a_minute_comes_back() {
    let error = gemini(&[("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "15")]);
    assert_eq!((error.class, error.retryable), (RateLimit, true));
    assert_eq!(error.wait, Some(Duration::from_millis(34_075)));
    assert_eq!(error.quantity, Some(ObservedQuantity::Requests));
    assert_eq!(
        (error.limit, error.window),
        (Some(15), Some(Duration::from_secs(60)))
    );
}

#[test]
fn a_quota_of_a_day_does_not_whatever_the_delay_says() {
    let minute = (
        "GenerateContentInputTokensPerModelPerMinute-FreeTier",
        "250000",
    );
    let day = ("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "200");
    for ids in [&[day][..], &[minute, day], &[day, minute]] {
        let error = gemini(ids);
        assert_eq!(
            (error.class, error.retryable, error.wait),
            (Quota, false, None)
        );
        assert_eq!(error.limit, Some(200));
    }
    let none = gemini(&[("GenerateContentInputTokensPerModelPerMinute-FreeTier", "0")]);
    assert_eq!((none.class, none.limit), (Quota, Some(0)));
    let unreadable = gemini(&[("SomethingElse", "many")]);
    assert_eq!((unreadable.class, unreadable.limit), (RateLimit, None));
}

#[test]
fn in_a_stream_words_decide_without_a_status() {
    let class = |provider, kind: &str, code: Option<&str>| {
        let error = StreamError {
            kind: kind.to_owned(),
            code: code.map(str::to_owned),
            message: String::new(),
            ..StreamError::default()
        };
        let error = ProviderError::in_stream(provider, &error);
        (error.class, error.retryable)
    };
    assert_eq!(
        class("anthropic", "overloaded_error", None),
        (Overloaded, true)
    );
    assert_eq!(
        class("anthropic", "rate_limit_error", None),
        (RateLimit, true)
    );
    assert_eq!(class("anthropic", "api_error", None), (Server, true));
    assert_eq!(
        class("openai", "x", Some("insufficient_quota")),
        (Quota, false)
    );
    assert_eq!(
        class("openai", "x", Some("rate_limit_exceeded")),
        (RateLimit, true)
    );
    assert_eq!(
        class("groq", "x", Some("rate_limit_exceeded")),
        (RateLimit, true)
    );
    assert_eq!(
        class("somebody", "x", Some("rate_limit_exceeded")),
        (RateLimit, true)
    );
    assert_eq!(
        class("vllm", "InternalServerError", Some("500")),
        (Server, true)
    );
    assert_eq!(
        class("vllm", "BadRequestError", Some("400")),
        (Invalid, false)
    );
    assert_eq!(class("openrouter", "", Some("429")), (RateLimit, true));
    assert_eq!(class("openrouter", "", Some("200")), (Server, true));
    assert_eq!(class("openai", "", None), (Server, true));
    let invalid = "invalid_request_error";
    assert_eq!(class("openai", invalid, None), (Invalid, false));
    assert_eq!(class("anthropic", invalid, Some("503")), (Overloaded, true));
}

#[test]
fn only_the_beginning_of_a_body_is_read() {
    let long = format!(
        r#"{{"error":{{"code":"slow_down","message":"{}"#,
        "x".repeat(BODY_CAP)
    );
    assert_eq!(class("openai", 429, long), Ramp);
    let late = format!(
        r#"{{"pad":"{}","error":{{"code":"slow_down"}}}}"#,
        "x".repeat(BODY_CAP)
    );
    assert_eq!(class("openai", 429, late), RateLimit);
}

#[test]
fn a_quota_names_the_day_when_it_is_there_again() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_338_930); // 2026-11-22T09:15:30Z
    let wait = |text: &str| {
        let text = format!("You have reached your specified API usage limits.{text}");
        let body = message(&text).to_string();
        let status = StatusCode::BAD_REQUEST;
        let error = classify("anthropic", status, &HeaderMap::new(), body.as_bytes(), now).unwrap();
        assert_eq!(error.class, Quota);
        error.wait.map(|wait| wait.as_secs())
    };
    let until = |text: &str| wait(&format!(" You will regain access on {text}"));
    assert_eq!(until("2026-12-01 at 00:00 UTC."), Some(744_270));
    assert_eq!(until("2026-11-22 at 10:00 UTC."), Some(2_670));
    assert_eq!(until("2026-11-23."), Some(53_070));
    assert_eq!(until("2026-11-01 at 00:00 UTC"), Some(0));
    for nonsense in ["Monday.", "2026-13-01.", "2026-12-01 at noon UTC", ""] {
        let known = until(nonsense);
        assert!(
            known.is_none() || nonsense.contains("noon"),
            "{nonsense}: {known:?}"
        );
    }
    assert_eq!(wait(""), None);
}
