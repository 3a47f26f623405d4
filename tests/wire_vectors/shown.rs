//! What events show, by a look at their JSON that knows little of dialects: a count that owes nothing to the meter.

use serde_json::Value;

/// What some events show, by a look at their JSON that knows little of dialects.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shown {
    pub(crate) input: u64,
    pub(crate) output: u64,
    /// An error came before anything else was generated.
    pub(crate) failed_first: bool,
}

pub(crate) fn shown(events: &[&[u8]]) -> Shown {
    let (mut shown, mut text) = (Shown::default(), 0);
    for event in events {
        let Some(json) = json(event) else { continue };
        let kind = json["type"].as_str().unwrap_or_default();
        if !kind.starts_with("response.") || kind.ends_with(".delta") {
            text += text_of(&json);
        }
        let is_error = !json["error"].is_null() || !json["response"]["error"].is_null();
        let is_exception = event.windows(9).any(|part| part == b"exception");
        shown.failed_first |= (is_error || is_exception) && text == 0;
        reported(&json, &mut shown);
    }
    shown.output = shown.output.max(text.div_ceil(4));
    shown
}

fn json(event: &[u8]) -> Option<Value> {
    let start = event.iter().position(|&byte| byte == b'{')?;
    let end = event.iter().rposition(|&byte| byte == b'}')?;
    serde_json::from_slice(&event[start..=end]).ok()
}

fn text_of(value: &Value) -> u64 {
    match value {
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| match (key.as_str(), value) {
                ("text" | "content" | "delta", Value::String(text)) => text.len() as u64,
                (_, value) => text_of(value),
            })
            .sum(),
        Value::Array(list) => list.iter().map(text_of).sum(),
        _ => 0,
    }
}

fn reported(value: &Value, shown: &mut Shown) {
    match value {
        Value::Object(object) => {
            let count = |keys: &[&str]| -> u64 {
                keys.iter()
                    .filter_map(|key| object.get(*key)?.as_u64())
                    .sum()
            };
            for keys in [
                &["completion_tokens"][..],
                &["output_tokens"],
                &["outputTokens"],
                &["eval_count"],
                &["candidatesTokenCount", "thoughtsTokenCount"],
            ] {
                shown.output = shown.output.max(count(keys));
            }
            for keys in [
                &["prompt_tokens"][..],
                &["promptTokenCount"],
                &["prompt_eval_count"],
                &[
                    "input_tokens",
                    "cache_read_input_tokens",
                    "cache_creation_input_tokens",
                ],
                &[
                    "inputTokens",
                    "cacheReadInputTokens",
                    "cacheWriteInputTokens",
                ],
            ] {
                // Responses has cached tokens in its input, and no such keys beside it.
                shown.input = shown.input.max(count(keys));
            }
            object.values().for_each(|value| reported(value, shown));
        }
        Value::Array(list) => list.iter().for_each(|value| reported(value, shown)),
        _ => {}
    }
}

/// How many events are read where the caller does not: those before something is generated, and that.
pub(crate) fn begun(events: &[&[u8]]) -> usize {
    let decides = |kept: &usize| {
        let shown = shown(&events[..*kept]);
        shown.failed_first
            || events[..*kept]
                .iter()
                .filter_map(|event| json(event))
                .any(|json| text_of(&json) > 0)
    };
    (1..=events.len()).find(decides).unwrap_or(events.len())
}
