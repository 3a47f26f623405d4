//! OpenAI "Chat Completions", and what is compatible with it.
//!
//! Sources, all in OpenAI's documentation: API reference, "Create chat completion", "The chat
//! completion object", "The chat completion chunk object"; guides "Error codes" and "Streaming".
//! `reasoning_content` and `reasoning` are the names that DeepSeek and vLLM, and OpenRouter, give
//! to reasoning text.

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{
    super::{note::Note, walk::Scalar},
    Field, Spec,
};

pub(super) struct OpenAiChat;

impl Spec for OpenAiChat {
    fn provider(&self) -> Option<&'static str> {
        Some("openai")
    }

    fn serves(&self, path: &str, _headers: &HeaderMap) -> bool {
        path.ends_with("/chat/completions")
    }

    fn request(&self) -> &'static [(&'static [&'static str], Field)] {
        &[
            (&["model"], Field::Model),
            (&["max_completion_tokens"], Field::MaxOutput),
            (&["max_tokens"], Field::OldMaxOutput),
            (&["stream"], Field::Stream),
            (&["n"], Field::Choices),
            (&["messages"], Field::Text),
            (&["tools"], Field::Text),
            (&["functions"], Field::Text),
            (&["response_format"], Field::Text),
        ]
    }

    /// Usage comes in the body, or in one last chunk without choices if the request asked for it.
    /// The prompt includes cached tokens, the completion includes reasoning. An error may stand in
    /// a body or in any chunk.
    fn response(&self, path: &[&str], value: &Scalar<'_>, note: &mut Note) {
        match path {
            ["choices"] => note.closes = *value == Scalar::EmptyList,
            ["choices", "delta" | "message", rest @ ..] if is_output(rest) => note.add_text(value),
            ["usage", rest @ ..] => usage(rest, value, note),
            ["error"] | ["error", "message"] => note.error_message(value),
            ["error", "type"] => note.error_kind(value),
            ["error", "code"] => note.error_code(value),
            _ => {}
        }
    }

    fn end_mark(&self) -> Option<&'static [u8]> {
        Some(b"[DONE]")
    }

    fn error(&self, kind: &str, status: StatusCode, message: &str) -> (&'static str, Value) {
        let class = match status.as_u16() {
            401 => "authentication_error",
            402 => "insufficient_quota",
            403 => "permission_error",
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            _ => "server_error",
        };
        let error = json!({ "message": message, "type": class, "param": null, "code": kind });
        ("application/json", json!({ "error": error }))
    }
}

fn is_output(path: &[&str]) -> bool {
    matches!(
        path,
        ["content" | "refusal" | "reasoning_content" | "reasoning"]
            | ["content", "text"]
            | ["tool_calls", "function", "name" | "arguments"]
            | ["tool_calls", "custom", "name" | "input"]
            | ["function_call", "name" | "arguments"]
    )
}

fn usage(path: &[&str], value: &Scalar<'_>, note: &mut Note) {
    let counts = &mut note.counts;
    let slot = match path {
        ["prompt_tokens"] => &mut counts.input,
        ["prompt_tokens_details", "cached_tokens"] => &mut counts.cache_read,
        ["prompt_tokens_details", "cache_write_tokens"] => &mut counts.cache_write,
        ["completion_tokens"] => &mut counts.output,
        ["completion_tokens_details", "reasoning_tokens"] => &mut counts.reasoning,
        _ => return,
    };
    *slot = value.count().or(*slot);
}

#[cfg(test)]
mod tests {
    use super::{super::super::meter::read, *};

    fn note(json: &str) -> Note {
        read(&OpenAiChat, json.as_bytes()).unwrap()
    }

    #[test]
    fn counts_every_kind_of_generated_text() {
        let note = note(
            r#"{"choices":[{"delta":{"content":"1","refusal":"2","reasoning_content":"3",
            "reasoning":"4","function_call":{"name":"5","arguments":"6"},"tool_calls":[
            {"function":{"name":"7","arguments":"8"}},{"custom":{"name":"9","input":"0"}}]}},
            {"message":{"content":[{"type":"text","text":"1"}]}}]}"#,
        );
        assert_eq!(note.text, 11);
    }

    #[test]
    fn counts_no_text_that_was_not_generated() {
        let note = note(
            r#"{"id":"x","model":"m","choices":[{"index":0,"finish_reason":"stop",
            "logprobs":{"content":[{"token":"Hi"}]},"delta":{"role":"assistant","content":null,
            "tool_calls":[{"id":"call_1","type":"function"}]}}],"obfuscation":"xxxx"}"#,
        );
        assert_eq!(note, Note::default());
    }

    #[test]
    fn only_a_chunk_without_choices_closes_the_counts() {
        assert!(note(r#"{"usage":{"completion_tokens":1},"choices":[]}"#).closes);
        assert!(!note(r#"{"choices":[{}],"usage":{"completion_tokens":1}}"#).closes);
    }

    #[test]
    fn absurd_counts_are_not_reported() {
        let note = note(
            r#"{"usage":{"prompt_tokens":-1,"completion_tokens":1.5,
            "prompt_tokens_details":{"cached_tokens":1000000000001,"cache_write_tokens":"7"},
            "completion_tokens_details":null}}"#,
        );
        assert_eq!(note.counts, Default::default());
    }

    #[test]
    fn an_absurd_count_does_not_erase_a_sane_one() {
        let note = note(r#"{"usage":{"prompt_tokens":5,"prompt_tokens":-5}}"#);
        assert_eq!(note.counts.input, Some(5));
    }

    #[test]
    fn null_is_no_error() {
        assert_eq!(note(r#"{"error":null}"#).error, None);
        assert_eq!(
            note(r#"{"error":{"message":null,"code":null}}"#).error,
            None
        );
    }

    #[test]
    fn an_error_may_be_a_text_and_its_code_a_number() {
        assert_eq!(note(r#"{"error":"no"}"#).error.unwrap().message, "no");
        let error = note(r#"{"error":{"type":"InternalServerError","code":500}}"#)
            .error
            .unwrap();
        assert_eq!(error.kind, "InternalServerError");
        assert_eq!(error.code.as_deref(), Some("500"));
    }
}
