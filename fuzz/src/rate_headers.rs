//! Headers of rate limits: the provider, the time, and lines of `name: value`.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue};
use tower_quota::wire::rate_limits;

use super::input::Input;

const PROVIDERS: [&str; 10] = [
    "openai",
    "azure",
    "anthropic",
    "groq",
    "mistral",
    "together",
    "openrouter",
    "xai",
    "cohere",
    "somebody",
];
const MAX_COUNT: u64 = 1_000_000_000_000;
const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 86_400);

/// # Panics
/// Where a promise is broken.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let provider = input.one_of(&PROVIDERS);
    let now = input.now();
    let headers = headers(input.0);
    let limits = rate_limits(provider, &headers, now);
    for limit in &limits {
        let counts = [limit.limit, limit.remaining];
        assert!(
            counts.iter().flatten().all(|count| *count <= MAX_COUNT),
            "{limit:?}"
        );
        assert!(
            limit.reset.is_none_or(|reset| reset <= TEN_YEARS),
            "{limit:?}"
        );
        let window = limit.window.unwrap_or(Duration::from_secs(1));
        assert!(!window.is_zero() && window <= TEN_YEARS, "{limit:?}");
        let says_something = counts.iter().flatten().count() > 0 || limit.reset.is_some();
        assert!(says_something, "{limit:?}");
        let millis = limit.reset.unwrap_or_default().subsec_nanos() % 1_000_000;
        assert_eq!(millis, 0, "whole milliseconds: {limit:?}");
    }
    let loud = provider.to_ascii_uppercase();
    assert_eq!(rate_limits(&loud, &headers, now), limits, "in any case");
    in_any_order(provider, &headers, now);
    by_the_clock(provider, &headers, now);
}

/// Where headers stand, and what else there is, makes no difference.
fn in_any_order(provider: &str, headers: &HeaderMap, now: SystemTime) {
    let mut others = HeaderMap::new();
    others.insert("x-request-id", HeaderValue::from_static("r"));
    let mut all: Vec<_> = headers.iter().collect();
    all.reverse();
    for (name, value) in all {
        others.insert(name, value.clone());
    }
    let limits = rate_limits(provider, headers, now);
    assert_eq!(rate_limits(provider, &others, now), limits, "in any order");
}

/// A second later, nothing takes longer, and instants are a second nearer.
fn by_the_clock(provider: &str, headers: &HeaderMap, now: SystemTime) {
    const SECOND: Duration = Duration::from_secs(1);
    let limits = rate_limits(provider, headers, now);
    let later = rate_limits(provider, headers, now + SECOND);
    if limits.len() != later.len() {
        // An instant that was too far away came near enough.
        assert!(limits.len() < later.len());
        return;
    }
    for (limit, later) in limits.iter().zip(&later) {
        assert_eq!(
            (limit.limit, limit.remaining),
            (later.limit, later.remaining)
        );
        let (Some(before), Some(after)) = (limit.reset, later.reset) else {
            continue;
        };
        let is_instant = before != after;
        assert!(
            !is_instant || before - after == before.min(SECOND),
            "{before:?}, then {after:?}"
        );
    }
}

/// The lines that are headers. Of one name the first counts.
pub(crate) fn headers(text: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in text.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii_start());
        let name = HeaderName::from_bytes(name);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            headers.entry(name).or_insert(value);
        }
    }
    headers
}
