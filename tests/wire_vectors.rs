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
    wire::{Dialect, Meter, Reading, go_duration, retry_after, should_retry},
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
        let is_anthropic = name.starts_with("anthropic");
        Sample {
            dialect: if is_anthropic {
                Dialect::AnthropicMessages
            } else {
                Dialect::OpenAiChat
            },
            headers,
            body: fs::read(path).unwrap(),
            expected: serde_json::from_slice(&fs::read(beside(".expect.json")).unwrap()).unwrap(),
            name,
        }
    }

    fn meter(&self) -> Meter {
        let status = u16::try_from(self.expected["status"].as_u64().unwrap()).unwrap();
        Meter::new(
            self.dialect,
            StatusCode::from_u16(status).unwrap(),
            &self.headers,
        )
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
        samples.len() >= 20,
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
    for sample in samples() {
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
            // A header in whole seconds rounds up what the sidecar has from the text of the body.
            let expected = sample.expected["error"]["retry_after_ms"].as_u64().unwrap();
            let is_exact = sample.headers.contains_key("retry-after-ms");
            let expected = if is_exact {
                expected
            } else {
                expected.next_multiple_of(1_000)
            };
            assert_eq!(wait, Some(expected), "{}", sample.name);
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

#[test]
fn header_values() {
    // 2026-11-22T09:15:30Z
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_338_930);
    let in_header = |name: &'static str, value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        retry_after(&headers, now)
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
