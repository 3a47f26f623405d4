//! Whatever stands in errors and in rate-limit headers, nothing panics, and what is read of it is
//! sane.

// Helpers of tests are not seen as tests by the lint.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use proptest::{collection::vec, prelude::*};
use tower_quota::wire::{classify, rate_limits};

const PROVIDERS: [&str; 9] = [
    "openai",
    "azure",
    "anthropic",
    "groq",
    "mistral",
    "together",
    "openrouter",
    "cohere",
    "somebody",
];

/// Pieces of errors.
const SAID: [&str; 30] = [
    r#"{"error":{"message":""#,
    r#"","code":"rate_limit_exceeded","#,
    r#""type":"tokens","#,
    r#""details":[{"violations":[{"quotaId":""#,
    r#""quotaValue":"1","#,
    r#""retryDelay":"1s","#,
    r#""}]}]}}"#,
    r#"{"message":""#,
    r#""}"#,
    "Request too large ",
    "try again in ",
    "retry after ",
    "Resets in: ",
    "tokens ",
    "input ",
    "per ",
    "min",
    "/ ",
    "(actual/limit): ",
    "1/0",
    "Limit ",
    "Used: ",
    "Requested ",
    "1,000",
    "99999999999999999999 ",
    "1.5s",
    " seconds",
    "token rate limit pricing tier",
    r"\u00fc",
    "\u{fc}",
];

const MAX_COUNT: u64 = 1_000_000_000_000;

fn classify_all(body: &[u8]) {
    let ten_years = Duration::from_secs(10 * 365 * 86_400);
    for provider in PROVIDERS {
        for status in [200, 400, 402, 413, 429, 498, 503, 529] {
            let status = StatusCode::from_u16(status).unwrap();
            let now = SystemTime::UNIX_EPOCH;
            let error = classify(provider, status, &HeaderMap::new(), body, now);
            assert_eq!(error.is_some(), !status.is_success());
            let Some(error) = error else { continue };
            assert!(error.wait.is_none_or(|wait| wait <= ten_years));
            let counts = [error.limit, error.used, error.requested];
            assert!(counts.into_iter().flatten().all(|n| n <= MAX_COUNT));
        }
    }
}

fn in_json(text: &str) -> Vec<u8> {
    let error = serde_json::json!({ "error": { "message": text } });
    error.to_string().into_bytes()
}

proptest! {
    #[test]
    fn random_errors_do_no_harm(bytes in vec(any::<u8>(), 0..200), text in any::<String>()) {
        classify_all(&bytes);
        classify_all(&in_json(&text));
    }

    #[test]
    fn random_texts_of_errors_do_no_harm(pieces in vec(0..SAID.len(), 0..30)) {
        let text: String = pieces.iter().map(|piece| SAID[*piece]).collect();
        classify_all(text.as_bytes());
        classify_all(&in_json(&text));
    }

    #[test]
    fn random_limits_do_no_harm(
        junk in vec(any::<u8>(), 0..40),
        text in "[0-9TZ:.+smhd-]{0,30}",
        (limit, remaining, reset) in any::<(u64, u64, u32)>(),
    ) {
        let numbers = [limit.to_string(), remaining.to_string(), format!("{reset}ms")];
        let all = [
            numbers.each_ref().map(|number| number.as_bytes()),
            [&junk[..], text.as_bytes(), text.as_bytes()],
        ];
        for values in all {
            let mut headers = HeaderMap::new();
            for (part, value) in ["limit", "remaining", "reset"].into_iter().zip(values) {
                let Ok(value) = HeaderValue::from_bytes(value) else { continue };
                for name in [
                    format!("x-ratelimit-{part}"),
                    format!("x-ratelimit-{part}-requests"),
                    format!("x-ratelimit-{part}-tokens-month"),
                    format!("anthropic-ratelimit-tokens-{part}"),
                ] {
                    headers.insert(name.parse::<HeaderName>().unwrap(), value.clone());
                }
            }
            for provider in PROVIDERS {
                for now in [SystemTime::UNIX_EPOCH, SystemTime::now()] {
                    for limit in rate_limits(provider, &headers, now) {
                        let counts = [limit.limit, limit.remaining];
                        prop_assert!(counts.into_iter().flatten().all(|n| n <= MAX_COUNT));
                        prop_assert!(limit.window.is_none_or(|window| !window.is_zero()));
                    }
                }
            }
        }
    }

    #[test]
    fn random_instants_do_no_harm(
        (year, month, day) in (0_u16..=9_999, 0_u8..=99, 0_u8..=99),
        (hour, minute, second) in (0_u8..=99, 0_u8..=99, 0_u8..=99),
        end in "(Z|[+-][0-9]{2}:[0-9]{2}|[.][0-9]{0,12}Z|)",
    ) {
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{end}");
        let mut headers = HeaderMap::new();
        headers.insert("anthropic-ratelimit-tokens-reset", text.parse().unwrap());
        let _ = rate_limits("anthropic", &headers, SystemTime::UNIX_EPOCH);
    }
}
