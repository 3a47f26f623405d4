//! However a body is cut, and wherever it breaks off.

use proptest::prelude::*;
use serde_json::Value;
use tower_quota::wire::{HideUsage, Reading, Stage};

use crate::sample::{Sample, samples};

/// M1: every dialect.
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

fn streams() -> Vec<Sample> {
    let streams: Vec<Sample> = samples().into_iter().filter(Sample::is_stream).collect();
    assert!(streams.len() >= 19, "{}", streams.len());
    streams
}

#[test]
fn a_stream_that_breaks_off_never_knows_more_than_a_whole_one() {
    for sample in streams() {
        let whole = sample.read([&sample.body[..]]);
        let mut before = Reading::default();
        let mut streamed = 0;
        let mut meter = sample.meter();
        for byte in &sample.body {
            meter.push(&[*byte]);
            let now = meter.reading();
            assert!(now.output_seen >= before.output_seen, "{}", sample.name);
            let input = |reading: &Reading| reading.usage.unwrap_or_default().input;
            assert!(input(&now) >= input(&before), "{}", sample.name);
            assert!(now.complete >= before.complete, "{}", sample.name);
            assert!(meter.output_streamed() >= streamed, "{}", sample.name);
            streamed = meter.output_streamed();
            before = now;
        }
        meter.end();
        assert_eq!(meter.reading(), whole, "{}", sample.name);
    }
}

/// Whether an event shows text: a look at its JSON that knows nothing of dialects.
fn shows_text(event: &[u8]) -> bool {
    fn text(value: &Value) -> bool {
        match value {
            Value::Object(object) => object.iter().any(|(key, value)| {
                let is_text = matches!(key.as_str(), "text" | "content" | "delta");
                (is_text && value.as_str().is_some_and(|text| !text.is_empty())) || text(value)
            }),
            Value::Array(list) => list.iter().any(text),
            _ => false,
        }
    }

    let start = event.iter().position(|&byte| byte == b'{');
    let end = event.iter().rposition(|&byte| byte == b'}');
    let json = start.zip(end).map(|(start, end)| &event[start..=end]);
    json.and_then(|json| serde_json::from_slice(json).ok())
        .is_some_and(|value| text(&value))
}

#[test]
fn a_stream_that_breaks_off_after_an_event_is_never_free_and_never_absurd() {
    let mut cuts = 0;
    for sample in streams() {
        let name = &sample.name;
        let events = sample.events();
        let whole = sample.read([&sample.body[..]]);
        let truth = whole.usage.unwrap_or_default();
        for kept in 0..=events.len() {
            let mut meter = sample.meter();
            events[..kept].iter().for_each(|event| meter.push(event));
            let reading = meter.reading();
            let usage = reading.usage.unwrap_or_default();
            if events[..kept].iter().any(|event| shows_text(event)) {
                assert!(reading.output_seen > 0, "{name} after {kept}");
                assert!(meter.output_streamed() > 0, "{name} after {kept}");
                assert_eq!(
                    meter.stage("somebody"),
                    Stage::Content,
                    "{name} after {kept}"
                );
            } else {
                assert_eq!(reading.output_seen, 0, "{name} after {kept}");
                assert_ne!(
                    meter.stage("somebody"),
                    Stage::Content,
                    "{name} after {kept}"
                );
            }
            assert!(
                reading.output_seen <= truth.output.max(whole.output_seen),
                "{name}"
            );
            assert!(usage.output <= truth.output, "{name} after {kept}");
            assert!(usage.input <= truth.input, "{name} after {kept}");
            cuts += 1;
        }
    }
    assert!(cuts >= 100, "{cuts}");
}

/// A plain look again: what the request added is all that is missing.
#[test]
fn usage_that_was_asked_for_is_hidden() {
    let all = samples();
    let find = |name: &str| all.iter().find(|sample| sample.name == name).unwrap();
    let sample = find("openai-chat-stream.sse");
    let without: String = String::from_utf8(sample.body.clone())
        .unwrap()
        .split_inclusive("\n\n")
        .filter(|event| !event.contains(r#""choices":[]"#))
        .map(|event| event.replace(r#""usage":null,"#, ""))
        .collect();
    assert!(without.len() < sample.body.len() && !without.contains("usage"));
    for size in 1..=sample.body.len() {
        assert_eq!(hidden(&sample.body, size), without.as_bytes(), "{size}");
    }
    // It was not asked for, so nothing is hidden.
    for name in [
        "openai-chat-stream-nousage.sse",
        "groq-stream.sse",
        "openrouter-stream.sse",
    ] {
        assert_eq!(hidden(&find(name).body, 100), find(name).body, "{name}");
    }
}

fn hidden(body: &[u8], size: usize) -> Vec<u8> {
    let mut hide = HideUsage::default();
    let mut shown = Vec::new();
    for chunk in body.chunks(size) {
        shown.extend_from_slice(&hide.push(chunk));
    }
    shown.extend_from_slice(&hide.end());
    shown
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
