//! Ollama's own `chat` and `generate`, which stream unless they are told not to.
//!
//! Source: Ollama's documentation, "API".

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{
    super::{
        note::{Note, count, name},
        walk::Scalar,
    },
    Field, Spec,
};

pub(super) struct Ollama;

impl Spec for Ollama {
    fn provider(&self) -> Option<&'static str> {
        Some("ollama")
    }

    /// Much has a path that ends so; Ollama has nothing before it.
    fn serves(&self, path: &str, _headers: &HeaderMap) -> bool {
        matches!(path, "/api/chat" | "/api/generate")
    }

    fn request(&self) -> &'static [(&'static [&'static str], Field)] {
        &[
            (&["model"], Field::Model),
            (&["options", "num_predict"], Field::MaxOutput),
            (&["stream"], Field::Stream),
            (&["messages"], Field::Text),
            (&["tools"], Field::Text),
            (&["prompt"], Field::Text),
            (&["suffix"], Field::Text),
            (&["system"], Field::Text),
            (&["images"], Field::Text),
            (&["format"], Field::Text),
        ]
    }

    fn streams_unasked(&self) -> bool {
        true
    }

    fn usage_key(&self) -> &'static [u8] {
        b"\"prompt_eval_count\""
    }

    /// The input is left out where the whole prompt was cached: it is then not known.
    fn response(&self, path: &[&str], value: &Scalar<'_>, note: &mut Note) {
        match path {
            ["response" | "thinking"]
            | ["message", "content" | "thinking"]
            | ["message", "tool_calls", "function", "name"]
            | ["message", "tool_calls", "function", "arguments", ..] => note.add_text(value),
            ["done"] => note.done |= *value == Scalar::Bool(true),
            ["done_reason"] => name(&mut note.finish, value),
            ["prompt_eval_count"] => count(&mut note.counts.input, value),
            ["eval_count"] => count(&mut note.counts.output, value),
            ["model"] => name(&mut note.model, value),
            ["error"] => note.error_message(value),
            ["code"] => note.code_beside(value),
            _ => {}
        }
    }

    fn idle(&self) -> &'static [&'static [&'static str]] {
        &[&["created_at"]]
    }

    fn error(&self, kind: &str, _status: StatusCode, message: &str) -> (&'static str, Value) {
        (
            "application/json",
            json!({ "error": message, "code": kind }),
        )
    }
}
