//! Told waits: the time, and lines of headers.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use tower_quota::wire::{classify, go_duration, retry_after, should_retry};

use super::{input::Input, rate_headers::headers};

const TEN_YEARS: u64 = 10 * 365 * 86_400;

/// # Panics
/// Where a promise is broken.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let now = input.now();
    let headers = headers(input.0);
    let wait = retry_after(&headers, now);
    sane(wait);
    assert_eq!(wait, by_the_book(&headers, now), "{headers:?}");
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let told = text("x-should-retry").and_then(|word| word.parse::<bool>().ok());
    assert_eq!(should_retry(&headers), told);
    // A later caller waits for less, or as long.
    let later = retry_after(&headers, now + Duration::from_secs(1));
    assert!(wait.is_none() || later <= wait, "{wait:?}, then {later:?}");
    let body = input.0;
    for provider in ["openai", "gemini", "anthropic", "xai"] {
        let error = classify(provider, StatusCode::TOO_MANY_REQUESTS, &headers, body, now);
        let error = error.expect("a 429 is an error");
        sane(error.wait);
        assert!(
            wait.is_none() || error.wait.is_some() || !error.retryable,
            "{error:?}"
        );
    }
    for line in body.split(|byte| *byte == b'\n') {
        let Ok(text) = str::from_utf8(line) else {
            continue;
        };
        let duration = go_duration(text);
        sane(duration);
        near(duration, in_go(text), text);
    }
}

fn sane(wait: Option<Duration>) {
    let wait = wait.unwrap_or_default();
    assert!(wait <= Duration::from_secs(TEN_YEARS), "{wait:?}");
    assert_eq!(wait.subsec_nanos() % 1_000_000, 0, "whole milliseconds");
}

/// The same in other words.
fn by_the_book(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let seconds = |text: &str, times: f64| -> Option<Duration> {
        let seconds = text.parse::<f64>().ok()? * times;
        (seconds >= 0.0 && seconds <= TEN_YEARS as f64).then(|| in_millis(seconds))
    };
    let millis = |name| text(name).and_then(|text| seconds(text, 1e-3));
    let date = |text: &str| {
        let until = httpdate::parse_http_date(text).ok()?;
        let wait = until.duration_since(now).unwrap_or_default();
        (wait.as_secs() <= TEN_YEARS).then_some(wait)
    };
    let plain = || {
        let text = text("retry-after")?;
        seconds(text, 1.0).or_else(|| date(text))
    };
    let others = millis("retry-after-ms").or_else(|| millis("x-ms-retry-after-ms"));
    let others = others.or_else(|| millis("x-amz-retry-after"));
    others.or_else(plain)
}

/// Rounded up to a millisecond, by way of whole nanoseconds.
fn in_millis(seconds: f64) -> Duration {
    let nanos = Duration::from_secs_f64(seconds).as_nanos();
    Duration::from_millis(u64::try_from(nanos.div_ceil(1_000_000)).expect("ten years"))
}

/// A duration of Go's grammar in floats; nothing if it is none.
fn in_go(text: &str) -> Option<f64> {
    if text == "0" {
        return Some(0.0);
    }
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let (number, after) = rest.split_at(rest.find(|c| !is_number(c))?);
        let (unit, after) = after.split_at(after.find(is_number).unwrap_or(after.len()));
        let unit = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => return None,
        };
        // Digits on one side of one point are enough, for Go and for Rust.
        seconds += number.parse::<f64>().ok()? * unit;
        rest = after;
    }
    (!text.is_empty()).then_some(seconds)
}

/// Floats are not exact, and at the edge of what is taken for sane they may fall on the other side.
fn near(duration: Option<Duration>, seconds: Option<f64>, text: &str) {
    match (duration, seconds) {
        (Some(duration), Some(seconds)) => {
            let off = duration.as_secs_f64() - seconds;
            assert!(off > -1e-6 && off < 1e-3 + 1e-6, "{text}: {duration:?}");
        }
        (None, Some(seconds)) => assert!(seconds > 0.999 * TEN_YEARS as f64, "{text}"),
        (Some(_), None) => panic!("{text} is no duration"),
        (None, None) => {}
    }
}
