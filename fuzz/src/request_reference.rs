//! The facts of a request by way of a tree, with nothing of the crate's own reading: what the fast way is held against.

use std::fmt::Write as _;

use serde_json::Value;
use tower_quota::wire::Dialect;

/// Model, cap, whether it streams, choices, estimate of the input.
pub(crate) type Facts = (Option<String>, Option<u64>, bool, u64, u64);

/// Keys of a path that are told apart.
const PATH: usize = 8;
/// Values nested deeper are passed over.
const NESTING: usize = 64;
const MAX_COUNT: u64 = 1_000_000_000_000;

struct Table {
    model: &'static str,
    /// The newer name, and older ones.
    caps: &'static [&'static str],
    choices: &'static [&'static str],
    stream: &'static str,
    texts: &'static [&'static str],
    /// Of these numbers are tokens as well.
    ids: &'static str,
}

const OPENAI_CHAT: Table = Table {
    model: "model",
    caps: &["max_completion_tokens", "max_tokens"],
    choices: &["n", "best_of"],
    stream: "stream",
    texts: &[
        "messages",
        "prompt",
        "suffix",
        "tools",
        "functions",
        "response_format",
    ],
    ids: "prompt",
};
const ANTHROPIC: Table = Table {
    model: "model",
    caps: &["max_tokens"],
    choices: &[],
    stream: "stream",
    texts: &["system", "messages", "tools"],
    ids: "",
};
const GEMINI: Table = Table {
    model: "",
    caps: &[
        "generationConfig.maxOutputTokens",
        "generation_config.max_output_tokens",
        "generationConfig.max_output_tokens",
        "generation_config.maxOutputTokens",
    ],
    choices: &[
        "generationConfig.candidateCount",
        "generation_config.candidate_count",
        "generationConfig.candidate_count",
        "generation_config.candidateCount",
    ],
    stream: "",
    texts: &[
        "contents",
        "systemInstruction",
        "system_instruction",
        "tools",
        "generationConfig.responseSchema",
        "generationConfig.response_schema",
        "generationConfig.responseJsonSchema",
        "generationConfig.response_json_schema",
        "generation_config.responseSchema",
        "generation_config.response_schema",
        "generation_config.responseJsonSchema",
        "generation_config.response_json_schema",
    ],
    ids: "",
};

/// The facts in the dialects that have a table here.
pub(crate) fn facts(dialect: Dialect, body: &Value) -> Option<Facts> {
    let table = match dialect {
        Dialect::OpenAiChat => OPENAI_CHAT,
        Dialect::AnthropicMessages => ANTHROPIC,
        Dialect::Gemini => GEMINI,
        _ => return None,
    };
    let mut all = Vec::new();
    values(body, &mut Vec::new(), 0, &mut all);
    let at = |place: &str| {
        let is_there = |path: &[&str]| path.iter().copied().eq(place.split('.'));
        let all = all
            .iter()
            .filter(|(path, _)| is_there(path) && !place.is_empty());
        all.map(|(_, value)| *value).collect::<Vec<_>>()
    };
    // Lists add nothing to a path: the last one counts of the newer name, the largest of the others.
    let count = |value: &Value| value.as_u64().filter(|count| *count <= MAX_COUNT);
    let newer = at(table.caps[0]).last().and_then(|value| count(value));
    let older = table.caps[1..].iter().flat_map(|place| at(place));
    let caps = older.filter_map(count).max().max(newer);
    let choices = table.choices.iter().flat_map(|place| at(place));
    let choices = choices
        .map(|value| count(value).unwrap_or(1))
        .max()
        .unwrap_or(1);
    let stream = at(table.stream)
        .into_iter()
        .filter_map(Value::as_bool)
        .next_back();
    let model = at(table.model).last().and_then(|value| value.as_str());
    let (mut bytes, mut tokens) = (0, 0);
    for (path, value) in &all {
        let is_at = |place: &str| {
            let place: Vec<&str> = place.split('.').collect();
            path.starts_with(&place)
        };
        if !table.texts.iter().any(|place| is_at(place)) {
            continue;
        }
        match value {
            Value::String(text) if is_payload(path, text) => tokens += 1_000,
            Value::String(text) => bytes += text.len() as u64,
            number if is_at(table.ids) && count(number).is_some() => tokens += 1,
            _ => {}
        }
    }
    let estimate = bytes.div_ceil(4) + tokens;
    Some((
        model.map(str::to_owned),
        caps,
        stream.unwrap_or(false),
        choices.max(1),
        estimate,
    ))
}

/// The values that have no parts, each with the keys above it.
fn values<'v>(
    value: &'v Value,
    path: &mut Vec<&'v str>,
    nesting: usize,
    found: &mut Vec<(Vec<&'v str>, &'v Value)>,
) {
    if nesting >= NESTING {
        return;
    }
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                path.push(key);
                values(value, path, nesting + 1, found);
                path.pop();
            }
        }
        Value::Array(elements) if !elements.is_empty() => {
            elements
                .iter()
                .for_each(|element| values(element, path, nesting + 1, found));
        }
        _ => found.push((path.iter().copied().take(PATH).collect(), value)),
    }
}

fn is_payload(path: &[&str], text: &str) -> bool {
    let head: Vec<u8> = text.bytes().take(256).collect();
    if head.starts_with(b"data:") {
        return String::from_utf8_lossy(&head).contains(";base64,");
    }
    let is_for_files = match path {
        [.., before, "data"] => {
            ["source", "input_audio", "inline_data", "inlineData"].contains(before)
        }
        [.., before, "bytes"] => *before == "source",
        _ => false,
    };
    let is_for_files = is_for_files || matches!(path.last(), Some(&("file_data" | "images")));
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(byte);
    is_for_files && !head.is_empty() && head.iter().all(is_base64)
}

/// The same JSON with every letter escaped.
pub(crate) fn escaped(value: &Value, json: &mut String) {
    let text = |text: &str, json: &mut String| {
        json.push('"');
        for unit in text.encode_utf16() {
            let _ = write!(json, "\\u{unit:04x}");
        }
        json.push('"');
    };
    match value {
        Value::String(string) => text(string, json),
        Value::Array(elements) => {
            json.push('[');
            for (at, element) in elements.iter().enumerate() {
                json.push_str(if at > 0 { "," } else { "" });
                escaped(element, json);
            }
            json.push(']');
        }
        Value::Object(members) => {
            json.push('{');
            for (at, (key, value)) in members.iter().enumerate() {
                json.push_str(if at > 0 { "," } else { "" });
                text(key, json);
                json.push(':');
                escaped(value, json);
            }
            json.push('}');
        }
        other => json.push_str(&other.to_string()),
    }
}
