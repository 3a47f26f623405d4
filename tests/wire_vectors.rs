//! What providers send (`tests/wire/`), with what should be read from them.
//!
//! `X` is a body, `X.headers` its headers, `X.expect.json` what to find. Values are invented, shapes
//! are documented ones.

// Helpers of tests are not seen as tests by the lint.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use proptest::prelude::*;
use serde_json::Value;
use tower_quota::{
    usage::Usage,
    wire::{
        Dialect, ErrorClass, Meter, ObservedQuantity, ProviderError, Reading, classify,
        go_duration, rate_limits, retry_after, should_retry,
    },
};

struct Sample {
    name: String,
    dialect: Dialect,
    headers: HeaderMap,
    body: Vec<u8>,
    expected: Value,
}

impl Sample {
    fn load(path: &Path) -> Sample {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let beside = |suffix: &str| path.with_file_name(format!("{name}{suffix}"));
        let mut headers: HeaderMap = fs::read_to_string(beside(".headers"))
            .unwrap_or_default()
            .lines()
            .map(|line| {
                let (name, value) = line.split_once(": ").unwrap();
                (
                    name.parse::<HeaderName>().unwrap(),
                    value.parse::<HeaderValue>().unwrap(),
                )
            })
            .collect();
        let is_stream = path.extension().unwrap() == "sse";
        let content_type = if is_stream {
            "text/event-stream"
        } else {
            "application/json"
        };
        headers.insert("content-type", HeaderValue::from_static(content_type));
        let expected: Value =
            serde_json::from_slice(&fs::read(beside(".expect.json")).unwrap()).unwrap();
        let is_error = expected["error"].is_object();
        Sample {
            dialect: match expected["provider"].as_str().unwrap() {
                "anthropic" => Dialect::AnthropicMessages,
                "cohere" | "gemini" => Dialect::Generic,
                // Its errors have a shape of their own.
                "mistral" if is_error => Dialect::Generic,
                _ => Dialect::OpenAiChat,
            },
            headers,
            body: fs::read(path).unwrap(),
            expected,
            name,
        }
    }

    fn provider(&self) -> &str {
        self.expected["provider"].as_str().unwrap()
    }

    fn status(&self) -> StatusCode {
        let status = u16::try_from(self.expected["status"].as_u64().unwrap()).unwrap();
        StatusCode::from_u16(status).unwrap()
    }

    fn error(&self, provider: &str) -> Option<ProviderError> {
        if self.status().is_success() {
            let error = self.read([&self.body[..]]).error;
            error.map(|error| ProviderError::in_stream(provider, &error))
        } else {
            let now = SystemTime::UNIX_EPOCH;
            classify(provider, self.status(), &self.headers, &self.body, now)
        }
    }

    fn meter(&self) -> Meter {
        Meter::new(self.dialect, self.status(), &self.headers)
    }

    fn read<'a>(&self, chunks: impl IntoIterator<Item = &'a [u8]>) -> Reading {
        let mut meter = self.meter();
        for chunk in chunks {
            meter.push(chunk);
        }
        meter.end();
        meter.reading()
    }
}

fn samples() -> Vec<Sample> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_body = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        !name.ends_with(".expect.json") && (name.ends_with(".json") || name.ends_with(".sse"))
    };
    let samples: Vec<Sample> = files
        .filter(is_body)
        .map(|path| Sample::load(&path))
        .collect();
    assert!(
        samples.len() >= 40,
        "the samples are not where they should be"
    );
    samples
}

fn expected_usage(sidecar: &Value) -> Option<Usage> {
    let count = |key: &str| sidecar[key].as_u64().unwrap_or(0);
    let mut usage = Usage::new(count("input_total"), count("output_total"));
    usage.cache_read = count("cache_read");
    usage.cache_write = count("cache_write");
    usage.reasoning = count("reasoning");
    sidecar.is_object().then_some(usage)
}

#[test]
fn readings_are_what_the_sidecars_say() {
    let is_read = |sample: &Sample| sample.dialect != Dialect::Generic;
    for sample in samples().into_iter().filter(is_read) {
        let Sample { name, expected, .. } = &sample;
        let reading = sample.read([&sample.body[..]]);
        assert_eq!(reading.usage, expected_usage(&expected["usage"]), "{name}");
        assert_eq!(reading.bytes, sample.body.len() as u64, "{name}");
        if let Some(complete) = expected["complete"].as_bool() {
            assert_eq!(reading.complete, complete, "{name}");
        }
        let is_partial = expected["usage"]["partial"] == true;
        let is_final = reading.usage.is_some() && !is_partial;
        assert_eq!(reading.usage_is_final, is_final, "{name}");

        let error = &expected["error"];
        assert_eq!(reading.error.is_some(), error.is_object(), "{name}");
        if let Some(found) = reading.error {
            if let Some(kind) = error["type"].as_str() {
                assert_eq!(found.kind, kind, "{name}");
            }
            let code = match &error["code"] {
                Value::Null => None,
                Value::String(code) => Some(code.clone()),
                code => Some(code.to_string()),
            };
            assert_eq!(found.code, code, "{name}");
            assert!(!found.message.is_empty(), "{name}");
            assert!(reading.output_seen < 4, "{name}");
        }
    }
}

#[test]
fn text_is_seen_without_usage() {
    let seen = |name: &str| {
        let sample = samples()
            .into_iter()
            .find(|sample| sample.name == name)
            .unwrap();
        sample.read([&sample.body[..]]).output_seen
    };
    assert_eq!(seen("openai-chat-stream-cut.sse"), 4, "Seven bridges.");
    assert_eq!(seen("openai-chat-stream-error.sse"), 2, "Seven");
    assert_eq!(seen("anthropic-stream.sse"), 5, "North by northwest.");
    assert_eq!(seen("anthropic-message.json"), 6, "The tide turns at six.");
    assert_eq!(seen("anthropic-refusal.json"), 0);
}

#[test]
fn a_cut_anywhere_makes_no_difference() {
    for sample in samples() {
        let whole = sample.read([&sample.body[..]]);
        for cut in 0..=sample.body.len() {
            let (left, right) = sample.body.split_at(cut);
            assert_eq!(
                sample.read([left, right]),
                whole,
                "{} cut at {cut}",
                sample.name
            );
        }
        assert_eq!(sample.read(sample.body.chunks(1)), whole, "{}", sample.name);
    }
}

#[test]
fn a_stream_that_breaks_off_never_knows_more_than_a_whole_one() {
    for sample in samples()
        .into_iter()
        .filter(|sample| sample.name.ends_with(".sse"))
    {
        let whole = sample.read([&sample.body[..]]);
        let mut before = Reading::default();
        let mut meter = sample.meter();
        for byte in &sample.body {
            meter.push(&[*byte]);
            let now = meter.reading();
            assert!(now.output_seen >= before.output_seen, "{}", sample.name);
            let input = |reading: &Reading| reading.usage.unwrap_or_default().input;
            assert!(input(&now) >= input(&before), "{}", sample.name);
            assert!(now.complete >= before.complete, "{}", sample.name);
            before = now;
        }
        assert_eq!(before, whole, "{}", sample.name);
    }
}

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
fn expected_wait(sample: &Sample) -> Option<u64> {
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

fn millis(duration: Option<Duration>) -> Option<u64> {
    duration.map(|duration| u64::try_from(duration.as_millis()).unwrap())
}

fn quantity(sidecar: &Value) -> Option<ObservedQuantity> {
    Some(match sidecar.as_str()? {
        "requests" => ObservedQuantity::Requests,
        "tokens" => ObservedQuantity::Tokens,
        "input_tokens" => ObservedQuantity::InputTokens,
        "output_tokens" => ObservedQuantity::OutputTokens,
        other => panic!("no quantity {other}"),
    })
}

fn window(sidecar: &Value) -> Option<Duration> {
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
fn errors_are_what_the_sidecars_say() {
    let mut found = 0;
    for sample in samples() {
        let (name, expected) = (&sample.name, &sample.expected["error"]);
        let error = sample.error(sample.provider());
        assert_eq!(error.is_some(), expected.is_object(), "{name}");
        let Some(error) = error else { continue };
        let class = match expected["class"].as_str().unwrap() {
            "rate_limit" => ErrorClass::RateLimit,
            "ramp" => ErrorClass::Ramp,
            "request_too_large" => ErrorClass::RequestTooLarge,
            "quota" => ErrorClass::Quota,
            "overloaded" => ErrorClass::Overloaded,
            "context_length" => ErrorClass::ContextLength,
            "content_filter" => ErrorClass::ContentFilter,
            "server" => ErrorClass::Server,
            other => panic!("no class {other}"),
        };
        assert_eq!(error.class, class, "{name}");
        assert_eq!(error.retryable, expected["retryable"], "{name}");
        assert_eq!(millis(error.wait), expected_wait(&sample), "{name}");
        assert_eq!(error.quantity, quantity(&expected["dimension"]), "{name}");
        assert_eq!(error.window, window(&expected["window"]), "{name}");
        assert_eq!(error.limit, expected["limit"].as_u64(), "{name}");
        assert_eq!(error.used, expected["used"].as_u64(), "{name}");
        assert_eq!(error.requested, expected["requested"].as_u64(), "{name}");
        found += 1;
        // Nothing is lost where the provider is not known.
        assert_eq!(sample.error("somebody"), Some(error), "{name}");
    }
    assert!(found >= 20, "{found}");
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
    let vectors = include_str!("wire/header-values.tsv");
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

proptest! {
    #[test]
    fn random_chunks_make_no_difference(cuts in proptest::collection::vec(0_usize..4_000, 0..20)) {
        for sample in samples() {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % sample.body.len()).collect();
            cuts.push(0);
            cuts.push(sample.body.len());
            cuts.sort_unstable();
            let chunks = cuts.windows(2).map(|ends| &sample.body[ends[0]..ends[1]]);
            prop_assert_eq!(sample.read(chunks), sample.read([&sample.body[..]]));
        }
    }
}
