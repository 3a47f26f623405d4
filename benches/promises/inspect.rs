//! What it takes to read the facts of a request, beside reading all of it into a tree.

use std::hint::black_box;

use serde_json::{Value, json};
use tower_quota::wire::{Dialect, inspect};

use crate::measure::{Verdicts, by_turns, nanos, now};

/// Of the time that the tree takes.
const PROMISED: f64 = 0.5;
const ROUNDS: u32 = 60;
const SIZES: [(&str, usize); 2] = [("100 KB", 100 * 1024), ("1 MB", 1024 * 1024)];

/// As people and their tools write: lines, quotes, code, and letters that are not ASCII.
const TEXTS: [&str; 4] = [
    "Could you look at the failing test again? It says \"expected 3, found 4\", and I do not see why.\n\
     The change before it only renamed a function.\n",
    "fn sum(values: &[u64]) -> u64 {\n    values.iter().copied().fold(0, u64::saturating_add)\n}\n\n\
     #[test]\nfn nothing_is_nothing() {\n    assert_eq!(sum(&[]), 0, \"an empty sum\");\n}\n",
    "Natürlich. The quick answer — as far as the log goes — is that the second call is made before the first one has \
     been answered, so both of them see the same count. I would keep the claim until the answer is there.\n",
    "{\"path\": \"src/lib.rs\", \"lines\": [12, 40], \"why\": \"the re-exports\"}\n",
];

/// A text of about this many bytes: a message, or what a tool found.
fn text(bytes: usize, from: usize) -> String {
    let mut text = String::new();
    for part in TEXTS.iter().cycle().skip(from) {
        if text.len() >= bytes {
            return text;
        }
        text.push_str(part);
    }
    text
}

/// A payload of about this many bytes, in base64.
fn image(bytes: usize) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |at: usize| char::from(LETTERS[at.wrapping_mul(2_654_435_761) % LETTERS.len()]);
    (0..bytes).map(letter).collect()
}

struct Shape {
    name: &'static str,
    dialect: Dialect,
    /// A message, of the user's in every second place.
    message: fn(usize, String) -> Value,
    /// A message with an image.
    picture: fn(String) -> Value,
    body: fn(Vec<Value>) -> Value,
}

const SHAPES: [Shape; 3] = [
    Shape {
        name: "OpenAI chat",
        dialect: Dialect::OpenAiChat,
        message: |at, text| match at % 4 {
            0 => json!({ "role": "user", "content": text }),
            1 => {
                json!({ "role": "assistant", "content": null, "tool_calls": [{ "id": format!("call_{at}"),
                "type": "function", "function": { "name": "read", "arguments": "{\"path\":\"src/lib.rs\"}" } }] })
            }
            2 => {
                json!({ "role": "tool", "tool_call_id": format!("call_{}", at - 1), "content": text })
            }
            _ => json!({ "role": "assistant", "content": text }),
        },
        picture: |image| {
            json!({ "role": "user", "content": [{ "type": "text", "text": "What is this?" }, { "type": "image_url",
                "image_url": { "url": format!("data:image/png;base64,{image}"), "detail": "high" } }] })
        },
        body: |messages| {
            json!({ "model": "gpt-5.5", "max_completion_tokens": 4_096, "stream": true, "temperature": 0.2,
                "messages": messages, "tools": tools("function") })
        },
    },
    Shape {
        name: "Anthropic",
        dialect: Dialect::AnthropicMessages,
        message: |at, text| match at % 4 {
            0 => json!({ "role": "user", "content": [{ "type": "text", "text": text }] }),
            1 => {
                json!({ "role": "assistant", "content": [{ "type": "tool_use", "id": format!("toolu_{at}"),
                "name": "read", "input": { "path": "src/lib.rs", "lines": [12, 40] } }] })
            }
            2 => {
                json!({ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": format!("toolu_{}", at - 1),
                "content": text }] })
            }
            _ => json!({ "role": "assistant", "content": [{ "type": "text", "text": text }] }),
        },
        picture: |image| {
            json!({ "role": "user", "content": [{ "type": "image", "source": { "type": "base64",
                "media_type": "image/png", "data": image } }, { "type": "text", "text": "What is this?" }] })
        },
        body: |messages| {
            json!({ "model": "claude-opus-5-5", "max_tokens": 4_096, "stream": true, "messages": messages,
                "system": [{ "type": "text", "text": text(2_000, 0), "cache_control": { "type": "ephemeral" } }],
                "tools": tools("custom") })
        },
    },
    Shape {
        name: "Gemini",
        dialect: Dialect::Gemini,
        message: |at, text| match at % 4 {
            0 => json!({ "role": "user", "parts": [{ "text": text }] }),
            1 => json!({ "role": "model", "parts": [{ "functionCall": { "name": "read",
                "args": { "path": "src/lib.rs", "lines": [12, 40] } } }] }),
            2 => json!({ "role": "user", "parts": [{ "functionResponse": { "name": "read",
                "response": { "content": text } } }] }),
            _ => json!({ "role": "model", "parts": [{ "text": text }] }),
        },
        picture: |image| {
            json!({ "role": "user", "parts": [{ "inlineData": { "mimeType": "image/png", "data": image } },
                { "text": "What is this?" }] })
        },
        body: |messages| {
            json!({ "contents": messages, "systemInstruction": { "parts": [{ "text": text(2_000, 0) }] },
                "generationConfig": { "maxOutputTokens": 4_096, "temperature": 0.2 },
                "tools": [{ "functionDeclarations": tools("function") }] })
        },
    },
];

fn tools(kind: &str) -> Value {
    let tool = |name: &str| {
        json!({ "type": kind, "name": name, "description": text(300, 2), "parameters": { "type": "object",
            "properties": { "path": { "type": "string", "description": "Where it is, from the root of the project." },
                "lines": { "type": "array", "items": { "type": "integer" } } }, "required": ["path"] } })
    };
    Value::Array(["read", "write", "search", "run"].map(tool).to_vec())
}

impl Shape {
    /// Many messages of 100 to 2 000 bytes.
    fn talk(&self, bytes: usize) -> Vec<u8> {
        let mut messages = Vec::new();
        let mut left = bytes.saturating_sub(5_000);
        while left > 0 {
            let at = messages.len();
            let message = (self.message)(at, text(100 + at * 677 % 1_900, at));
            left = left.saturating_sub(message.to_string().len());
            messages.push(message);
        }
        (self.body)(messages).to_string().into_bytes()
    }

    /// One large image.
    fn look(&self, bytes: usize) -> Vec<u8> {
        let picture = (self.picture)(image(bytes.saturating_sub(5_000)));
        (self.body)(vec![picture]).to_string().into_bytes()
    }
}

pub(crate) fn run(verdicts: &mut Verdicts) {
    for shape in &SHAPES {
        for (size, bytes) in SIZES {
            for (what, body) in [
                ("messages", shape.talk(bytes)),
                ("an image", shape.look(bytes)),
            ] {
                let name = format!("inspect {} of {what}, {}, µs", size, shape.name);
                measure(verdicts, &name, shape.dialect, &body);
            }
        }
    }
}

fn measure(verdicts: &mut Verdicts, name: &str, dialect: Dialect, body: &[u8]) {
    let facts = inspect(dialect, body).expect("a request");
    assert_eq!(facts.max_output, Some(4_096), "it is read");
    let repeats = u32::try_from(2 * 1024 * 1024 / body.len()).expect("few");
    let [ours, tree] = by_turns(
        ROUNDS,
        [
            &mut || {
                nanos(repeats, || {
                    drop(black_box(inspect(dialect, black_box(body))));
                })
            },
            // Without the time that it takes to give the tree back.
            &mut || {
                let parse = |_| {
                    let start = now();
                    let tree = serde_json::from_slice::<Value>(black_box(body));
                    let time = start.elapsed();
                    assert!(black_box(tree).is_ok());
                    time.as_secs_f64() * 1e9
                };
                (0..repeats).map(parse).sum::<f64>() / f64::from(repeats)
            },
        ],
    );
    verdicts.ratio(name, ours / 1e3, tree / 1e3, PROMISED);
}
