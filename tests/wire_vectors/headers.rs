//! Waits and limits in headers.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tower_quota::wire::{
    ObservedQuantity, classify, go_duration, rate_limits, retry_after, should_retry,
};

use crate::sample::{Sample, samples};

#[test]
fn waits_are_what_the_headers_say() {
    let mut found = 0;
    for sample in samples() {
        let wait = retry_after(&sample.headers, SystemTime::UNIX_EPOCH);
        let wait = wait.map(|wait| u64::try_from(wait.as_millis()).unwrap());
        if sample.headers.contains_key("retry-after") {
            assert_eq!(wait, expected_wait(&sample), "{}", sample.name);
            found += 1;
        } else {
            assert_eq!(wait, None, "{}", sample.name);
        }
        let told = sample
            .headers
            .contains_key("x-should-retry")
            .then_some(true);
        assert_eq!(should_retry(&sample.headers), told, "{}", sample.name);
    }
    assert!(found >= 4);
}

/// In milliseconds. Where there is a header in whole seconds, it is what the sidecar has from the
/// text of the body, rounded up.
pub(crate) fn expected_wait(sample: &Sample) -> Option<u64> {
    let expected = sample.expected["error"]["retry_after_ms"].as_u64()?;
    let has = |name| sample.headers.contains_key(name);
    let is_whole = has("retry-after") && !has("retry-after-ms");
    Some(if is_whole {
        expected.next_multiple_of(1_000)
    } else {
        expected
    })
}

/// 2026-11-22T09:15:20Z, before every reset in the samples.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_338_920)
}

pub(crate) fn millis(duration: Option<Duration>) -> Option<u64> {
    duration.map(|duration| u64::try_from(duration.as_millis()).unwrap())
}

pub(crate) fn quantity(sidecar: &Value) -> Option<ObservedQuantity> {
    Some(match sidecar.as_str()? {
        "requests" => ObservedQuantity::Requests,
        "tokens" => ObservedQuantity::Tokens,
        "input_tokens" => ObservedQuantity::InputTokens,
        "output_tokens" => ObservedQuantity::OutputTokens,
        other => panic!("no quantity {other}"),
    })
}

pub(crate) fn window(sidecar: &Value) -> Option<Duration> {
    Some(Duration::from_secs(match sidecar.as_str()? {
        "second" => 1,
        "10s" => 10,
        "minute" => 60,
        "day" => 86_400,
        "month" => 30 * 86_400,
        other => panic!("no window {other}"),
    }))
}

/// The sidecar has a time, or an instant on the day of the samples.
fn expected_reset(limit: &Value) -> Option<u64> {
    let Some(instant) = limit["reset_at"].as_str() else {
        return limit["reset_ms"].as_u64();
    };
    let time = instant.strip_prefix("2026-11-22T").unwrap();
    let date = format!("Sun, 22 Nov 2026 {} GMT", time.strip_suffix('Z').unwrap());
    let at = httpdate::parse_http_date(&date).unwrap();
    millis(Some(at.duration_since(now()).unwrap()))
}

#[test]
fn limits_are_what_the_sidecars_say() {
    let mut found = 0;
    for sample in samples() {
        let Sample { name, expected, .. } = &sample;
        let limits = rate_limits(sample.provider(), &sample.headers, now());
        let expected = expected["limits"].as_array().unwrap();
        assert_eq!(limits.len(), expected.len(), "{name}: {limits:?}");
        for (limit, expected) in limits.iter().zip(expected) {
            let quantity = quantity(&expected["dimension"]).unwrap();
            assert_eq!(limit.quantity, quantity, "{name}");
            assert_eq!(limit.window, window(&expected["window"]), "{name}");
            assert_eq!(limit.limit, expected["limit"].as_u64(), "{name}");
            assert_eq!(limit.remaining, expected["remaining"].as_u64(), "{name}");
            assert_eq!(millis(limit.reset), expected_reset(expected), "{name}");
            found += 1;
        }
    }
    assert!(found >= 25, "{found}");
}
#[test]
fn header_values() {
    // 2026-11-22T09:15:30Z
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_338_930);
    let in_header = |name: &'static str, value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        retry_after(&headers, now)
    };
    let reset = |provider: &str, name: &'static str, value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        rate_limits(provider, &headers, now).first()?.reset
    };
    let retry_info = |value: &str| {
        let body = format!(r#"{{"error":{{"details":[{{"retryDelay":"{value}"}}]}}}}"#);
        let status = StatusCode::TOO_MANY_REQUESTS;
        classify("gemini", status, &HeaderMap::new(), body.as_bytes(), now)?.wait
    };
    let vectors = include_str!("../wire/header-values.tsv");
    assert!(vectors.lines().count() > 27);
    for line in vectors.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (value, expected) = (
            columns[1],
            columns[2].parse().ok().map(Duration::from_millis),
        );
        let parsed = match columns[0] {
            "go-duration" => go_duration(value),
            "seconds" | "http-date" => in_header("retry-after", value),
            "millis" => in_header("retry-after-ms", value),
            "rfc3339" => reset("anthropic", "anthropic-ratelimit-requests-reset", value),
            "pb-duration" => retry_info(value),
            "unix-seconds" => reset("cohere", "x-ratelimit-reset", value),
            "bare-number-ms" => reset("azure", "x-ratelimit-reset-requests", value),
            format => panic!("no parser for {format}"),
        };
        assert_eq!(parsed, expected, "{line}");
    }
}
