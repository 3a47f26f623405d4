//! Usage, what is said besides, and limits, whole.

use serde_json::Value;
use tower_quota::{
    Money,
    usage::Usage,
    wire::{Dialect, Meter, Reading, Stage},
};

use crate::sample::{Sample, samples};

fn expected_usage(sidecar: &Value) -> Option<Usage> {
    let count = |key: &str| sidecar[key].as_u64().unwrap_or(0);
    let mut usage = Usage::new(count("input_total"), count("output_total"));
    usage.cache_read = count("cache_read");
    usage.cache_write = count("cache_write");
    usage.cache_write_long = count("cache_write_1h");
    usage.reasoning = count("reasoning");
    sidecar.is_object().then_some(usage)
}

/// What stands in the sidecar besides the usage, or follows from it.
fn check_further(name: &str, sidecar: &Value, reading: &Reading) {
    let usage = reading.usage.unwrap();
    let extras = reading.extras;
    let cached = usage.cache_read + usage.cache_write;
    let cost = |cost: Money| Value::from(cost.as_nanos() as f64 / 1e9);
    for (key, expected) in sidecar.as_object().unwrap() {
        let found: Value = match key.as_str() {
            // Compared as a whole.
            "input_total" | "output_total" | "cache_read" | "cache_write" | "cache_write_1h"
            | "reasoning" | "partial" => continue,
            "input_uncached" => (usage.input - cached).into(),
            "cache_write_5m" => (usage.cache_write - usage.cache_write_long).into(),
            "total_reported" => usage.total().into(),
            "itpm_counted" => (usage.input - usage.cache_read).into(),
            "billed_input" => extras.billed_input.into(),
            "billed_output" => extras.billed_output.into(),
            "tool_use_input" => extras.tool_input.into(),
            "server_tool_web_search" => extras.web_searches.into(),
            "extra_iterations" => serde_json::json!({
                "input": extras.compaction_input, "output": extras.compaction_output,
            }),
            "cost_usd" => reading.cost.map(cost).into(),
            other => panic!("{name}: nothing checks {other}"),
        };
        if !expected.is_null() {
            assert_eq!(&found, expected, "{name}: {key}");
        }
    }
}

#[test]
fn readings_are_what_the_sidecars_say() {
    let mut checked = 0;
    for sample in samples() {
        let Sample { name, expected, .. } = &sample;
        let reading = sample.read([&sample.body[..]]);
        assert_eq!(reading.usage, expected_usage(&expected["usage"]), "{name}");
        if expected["usage"].is_object() {
            check_further(name, &expected["usage"], &reading);
        }
        assert_eq!(reading.bytes, sample.body.len() as u64, "{name}");
        if let Some(complete) = expected["complete"].as_bool() {
            assert_eq!(reading.complete, complete, "{name}");
        }
        let is_partial = expected["usage"]["partial"] == true;
        let is_final = reading.usage.is_some() && !is_partial;
        assert_eq!(reading.usage_is_final, is_final, "{name}");
        assert_eq!(
            reading.finish.as_deref(),
            expected["finish"].as_str(),
            "{name}"
        );
        assert_eq!(
            reading.model.as_deref(),
            expected["model"].as_str(),
            "{name}"
        );

        let error = &expected["error"];
        assert_eq!(reading.error.is_some(), error.is_object(), "{name}");
        if let Some(found) = reading.error {
            let kind = error["type"].as_str().or(error["status"].as_str());
            if let Some(kind) = kind {
                assert_eq!(found.kind, kind, "{name}");
            }
            let code = match error.get("code") {
                // Not stated: it is what the provider sent, if anything.
                None => found
                    .code
                    .clone()
                    .filter(|code| sent(&sample).contains(code)),
                Some(Value::Null) => None,
                Some(Value::String(code)) => Some(code.clone()),
                Some(code) => Some(code.to_string()),
            };
            assert_eq!(found.code, code, "{name}");
            assert!(!found.message.is_empty(), "{name}");
            assert!(reading.output_seen < 4, "{name}");
        }
        checked += 1;
    }
    assert_eq!(checked, samples().len());
}

fn sent(sample: &Sample) -> String {
    format!(
        "{}{:?}",
        String::from_utf8_lossy(&sample.body),
        sample.headers
    )
}

#[test]
fn text_is_seen_without_usage() {
    let seen = |name: &str| {
        let all = samples();
        let sample = all.iter().find(|sample| sample.name == name).unwrap();
        sample.read([&sample.body[..]]).output_seen
    };
    for (name, text) in [
        ("openai-chat-stream-cut.sse", "Seven bridges."),
        ("openai-chat-stream-error.sse", "Seven"),
        ("openai-responses-stream.sse", "Forty-two."),
        ("openai-responses.json", "Forty-two."),
        ("openai-embeddings.json", ""),
        ("anthropic-stream.sse", "North by northwest."),
        ("anthropic-message.json", "The tide turns at six."),
        ("anthropic-refusal.json", ""),
        ("gemini-stream.sse", "There are three layers."),
        ("gemini-blocked.json", ""),
        ("bedrock-converse-stream.bin", "Slate and chalk."),
        ("bedrock-converse-stream-throttled.bin", "Slate"),
        ("bedrock-invoke-anthropic.json", "Chalk."),
        ("cohere-chat.json", "Quartz."),
        ("ollama-stream.ndjson", "Tuff."),
        ("groq-stream.sse", "Flint."),
        ("openrouter-stream.sse", "Hi."),
    ] {
        assert_eq!(seen(name), (text.len() as u64).div_ceil(4), "{name}");
    }
}

#[test]
fn what_is_said_of_service_and_price() {
    let reading = |name: &str| {
        let all = samples();
        let sample = all.iter().find(|sample| sample.name == name).unwrap();
        sample.read([&sample.body[..]])
    };
    let tier = |name: &str| reading(name).served.tier.unwrap_or_default();
    assert_eq!(
        tier("openai-responses-stream.sse"),
        "default",
        "asked for as auto"
    );
    assert_eq!(tier("groq-chat.json"), "on_demand");
    assert_eq!(tier("anthropic-stream.sse"), "standard");
    let anthropic = reading("anthropic-stream.sse").served;
    assert_eq!(anthropic.geography.as_deref(), Some("global"));
    let xai = reading("xai-chat.json").cost.unwrap();
    assert_eq!(xai.as_nanos(), 117_650);
}

/// The same events as a list, which is how they come without `alt=sse`.
#[test]
fn a_list_of_events_says_the_same() {
    let all = samples();
    let sample = all
        .iter()
        .find(|sample| sample.name == "gemini-stream.sse")
        .unwrap();
    let text = String::from_utf8(sample.body.clone()).unwrap();
    let events: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .collect();
    assert_eq!(events.len(), 3);
    let list = format!("[{}\r\n]\n", events.join("\n,\r\n"));
    let whole = sample.read([&sample.body[..]]);
    for size in [1, 2, 7, 100, list.len()] {
        let mut headers = http::HeaderMap::new();
        headers.insert(
            "content-type",
            http::HeaderValue::from_static("application/json"),
        );
        let mut meter = Meter::new(Dialect::Gemini, sample.status(), &headers);
        assert_eq!(meter.stage("gemini"), Stage::Preamble);
        for chunk in list.as_bytes().chunks(size) {
            meter.push(chunk);
        }
        assert!(meter.is_stream());
        assert_eq!(meter.stage("gemini"), Stage::Content);
        let mut reading = meter.reading();
        reading.bytes = whole.bytes;
        assert_eq!(reading, whole, "also without a signal of the end");
    }
}
