//! OpenAI "Embeddings", and what is compatible with it (Azure, Mistral, Together, vLLM, Ollama).
//!
//! Source: OpenAI's API reference, "Create embeddings".

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{
    super::{
        note::{Note, count},
        walk::Scalar,
    },
    Field, InUrl, Spec, openai,
};

pub(super) struct OpenAiEmbeddings;

const PATH: &str = "/embeddings";

impl Spec for OpenAiEmbeddings {
    fn provider(&self) -> Option<&'static str> {
        Some("openai")
    }

    fn serves(&self, path: &str, _headers: &HeaderMap) -> bool {
        // Gemini's compatible API is at `/v1beta/openai/…`.
        path.ends_with("/v1/embeddings")
            || path.ends_with("/openai/embeddings")
            || self.in_url(path).model.is_some()
    }

    fn in_url(&self, path: &str) -> InUrl {
        openai::in_url(path, PATH)
    }

    /// The input may be texts, tokens, or lists of tokens.
    fn request(&self) -> &'static [(&'static [&'static str], Field)] {
        &[
            (&["model"], Field::Model),
            (&["input"], Field::TextOrTokens),
        ]
    }

    fn generates(&self) -> bool {
        false
    }

    /// The input is all there is. Some say only the total.
    fn response(&self, path: &[&str], value: &Scalar<'_>, note: &mut Note) {
        match path {
            ["usage", "prompt_tokens" | "total_tokens"] => {
                note.counts.output_may_be_absent = true;
                count(&mut note.counts.input, value);
            }
            ["usage", key] => openai::charges(key, value, note),
            ["model"] => openai::about("model", value, note),
            _ => openai::error(path, value, note),
        }
    }

    fn error(&self, kind: &str, status: StatusCode, message: &str) -> (&'static str, Value) {
        let error = openai::error_object(kind, status, message);
        ("application/json", json!({ "error": error }))
    }
}
