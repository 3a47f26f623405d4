//! OpenAI "Chat Completions", the older "Completions", and what is compatible with them.
//!
//! Sources: OpenAI's documentation: API reference, "Create chat completion", "The chat completion
//! object", "The chat completion chunk object", "Create completion"; guides "Error codes" and
//! "Streaming". What others add is told by its shape, not by who sends it:
//!
//! - `reasoning_content` and `reasoning` (DeepSeek, xAI and vLLM; OpenRouter), `thinking` (Mistral)
//!   are reasoning text;
//! - `prompt_cache_hit_tokens` (DeepSeek), `num_cached_tokens`, `prompt_token_details` (Mistral),
//!   `timings` (llama.cpp), `x_groq` (Groq) are usage;
//! - a total that is more than both sides has reasoning that is not in the output (xAI, Google);
//! - `cost` (OpenRouter) and `cost_in_usd_ticks` (xAI) are charges.

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{
    super::{
        note::{Note, count, name},
        walk::Scalar,
    },
    Field, InUrl, Spec, openai,
};

pub(super) struct OpenAiChat;

const PATH: &str = "/chat/completions";
const OLD_PATH: &str = "/completions";

/// Chunks may bring images (OpenRouter).
const EVENT_CAP: usize = 8 * 1024 * 1024;

impl Spec for OpenAiChat {
    fn provider(&self) -> Option<&'static str> {
        Some("openai")
    }

    fn serves(&self, path: &str, _headers: &HeaderMap) -> bool {
        let known = [
            PATH,
            "/v1/completions",
            "/fim/completions",
            // DeepSeek, of code that is filled in; Mistral, of agents.
            "/beta/completions",
            "/agents/completions",
        ];
        known.iter().any(|known| path.ends_with(known)) || self.in_url(path).model.is_some()
    }

    fn in_url(&self, path: &str) -> InUrl {
        let suffix = if path.ends_with(PATH) { PATH } else { OLD_PATH };
        openai::in_url(path, suffix)
    }

    fn event_cap(&self) -> usize {
        EVENT_CAP
    }

    fn request(&self) -> &'static [(&'static [&'static str], Field)] {
        &[
            (&["model"], Field::Model),
            (&["max_completion_tokens"], Field::MaxOutput),
            (&["max_tokens"], Field::OldMaxOutput),
            (&["stream"], Field::Stream),
            (&["n"], Field::Choices),
            (&["best_of"], Field::Choices),
            (&["messages"], Field::Text),
            (&["prompt"], Field::TextOrTokens),
            (&["suffix"], Field::Text),
            (&["tools"], Field::Text),
            (&["functions"], Field::Text),
            (&["response_format"], Field::Text),
        ]
    }

    /// Usage comes in the body, or in one last chunk without choices if the request asked for it,
    /// or in the chunk that finishes. The prompt includes cached tokens, the completion includes
    /// reasoning. An error may stand in a body or in any chunk.
    fn response(&self, path: &[&str], value: &Scalar<'_>, note: &mut Note) {
        match path {
            ["choices"] => note.closes = *value == Scalar::EmptyList,
            ["choices", "delta" | "message", rest @ ..] => output(rest, value, note),
            ["choices", "text"] => note.add_text(value),
            ["choices", "finish_reason"] => name(&mut note.finish, value),
            ["usage", rest @ ..] | ["x_groq", "usage", rest @ ..] => usage(rest, value, note),
            ["timings", key] => timings(key, value, note),
            ["x_groq", "error"] => note.error_message(value),
            ["model" | "service_tier"] => openai::about(path[0], value, note),
            _ => openai::error(path, value, note),
        }
    }

    fn idle(&self) -> &'static [&'static [&'static str]] {
        &[
            &["id"],
            &["created"],
            &["obfuscation"],
            &["p"],
            &["choices", "index"],
            &["choices", "delta", "tool_calls", "index"],
            &["choices", "delta", "tool_calls", "id"],
            &["choices", "message", "tool_calls", "id"],
        ]
    }

    fn end_mark(&self) -> Option<&'static [u8]> {
        Some(openai::DONE)
    }

    fn error(&self, kind: &str, status: StatusCode, message: &str) -> (&'static str, Value) {
        let error = openai::error_object(kind, status, message);
        ("application/json", json!({ "error": error }))
    }
}

fn output(path: &[&str], value: &Scalar<'_>, note: &mut Note) {
    match path {
        ["audio", "data"] | ["images", "image_url", "url"] => note.add_other(value),
        [list @ ("executed_tools" | "annotations"), "type"] => openai::tool(list, value, note),
        _ if is_output(path) => note.add_text(value),
        _ => {}
    }
}

fn is_output(path: &[&str]) -> bool {
    matches!(
        path,
        ["content" | "refusal" | "reasoning_content" | "reasoning"]
            | ["content", "text"]
            | ["content", "thinking", "text"]
            | ["audio", "transcript"]
            | ["tool_calls", "function", "name" | "arguments"]
            | ["tool_calls", "custom", "name" | "input"]
            | ["function_call", "name" | "arguments"]
    )
}

pub(super) fn usage(path: &[&str], value: &Scalar<'_>, note: &mut Note) {
    let counts = &mut note.counts;
    match path {
        ["prompt_tokens"] => count(&mut counts.input, value),
        [
            "prompt_tokens_details" | "prompt_token_details",
            "cached_tokens",
        ]
        | ["num_cached_tokens" | "prompt_cache_hit_tokens"] => count(&mut counts.cache_read, value),
        ["prompt_tokens_details", "cache_write_tokens"] => count(&mut counts.cache_write, value),
        [
            "prompt_tokens_details",
            "cache_write_tokens_details",
            "ttl_12h_tokens",
        ] => count(&mut counts.cache_write_long, value),
        // Audio that is counted in seconds is not in the tokens of the prompt.
        ["prompt_audio_seconds"] => counts.surplus_is_input = value.count() > Some(0),
        ["completion_tokens"] => count(&mut counts.output, value),
        ["completion_tokens_details", "reasoning_tokens"] => count(&mut counts.reasoning, value),
        ["total_tokens"] => count(&mut counts.total, value),
        [
            "prompt_tokens_details" | "completion_tokens_details",
            "audio_tokens" | "image_tokens",
        ] => modality(path, value, note),
        [key] => openai::charges(key, value, note),
        _ => {}
    }
}

/// What has a price of its own.
fn modality(path: &[&str], value: &Scalar<'_>, note: &mut Note) {
    let extras = &mut note.extras;
    let place = match path {
        ["prompt_tokens_details", "audio_tokens"] => &mut extras.audio_input,
        ["completion_tokens_details", "audio_tokens"] => &mut extras.audio_output,
        ["completion_tokens_details", "image_tokens"] => &mut extras.image_output,
        _ => return,
    };
    *place = value.count().unwrap_or(*place);
}

/// llama.cpp says without being asked what it read, apart from its cache, and wrote.
fn timings(key: &str, value: &Scalar<'_>, note: &mut Note) {
    let counts = &mut note.counts;
    match key {
        "cache_n" => count(&mut counts.cache_read, value),
        "prompt_n" => count(&mut counts.uncached, value),
        "predicted_n" => counts.output = counts.output.or(value.count()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::read::read, *};

    fn note(json: &str) -> Note {
        read(&OpenAiChat, json.as_bytes()).unwrap()
    }

    #[test]
    fn counts_every_kind_of_generated_text() {
        let note = note(
            r#"{"choices":[{"delta":{"content":"1","refusal":"2","reasoning_content":"3",
            "reasoning":"4","function_call":{"name":"5","arguments":"6"},"tool_calls":[
            {"function":{"name":"7","arguments":"8"}},{"custom":{"name":"9","input":"0"}}]}},
            {"message":{"content":[{"type":"text","text":"1"},{"type":"thinking","thinking":[
            {"type":"text","text":"2"}]}],"audio":{"transcript":"3","data":"QUJD"}}}]}"#,
        );
        assert_eq!(note.text, 13);
        assert!(note.has_content);
    }

    #[test]
    fn counts_no_text_that_was_not_generated() {
        let note = note(
            r#"{"id":"x","model":"m","choices":[{"index":0,"finish_reason":"stop",
            "logprobs":{"content":[{"token":"Hi"}]},"delta":{"role":"assistant","content":null,
            "tool_calls":[{"id":"call_1","type":"function"}]}}],"obfuscation":"xxxx"}"#,
        );
        assert!(note.text == 0 && !note.has_content && note.error.is_none());
        assert_eq!(note.finish.as_deref(), Some("stop"));
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

    #[test]
    fn an_error_may_be_bare() {
        let error =
            note(r#"{"object":"error","message":"m","type":"t","param":null,"code":"1300"}"#)
                .error
                .unwrap();
        assert_eq!(
            (&*error.kind, error.code.as_deref(), &*error.message),
            ("t", Some("1300"), "m")
        );
        let error = note(r#"{"code":"resource-exhausted","error":"no"}"#)
            .error
            .unwrap();
        assert_eq!(error.code.as_deref(), Some("resource-exhausted"));
        assert_eq!(note(r#"{"type":"t","code":5}"#).error, None);
    }

    #[test]
    fn usage_as_others_spell_it() {
        let usage = |json: &str| {
            let usage = note(json).counts.usage().unwrap();
            (usage.input, usage.cache_read, usage.output)
        };
        for (json, expected) in [
            (
                r#"{"usage":{"prompt_tokens":9,"completion_tokens":2,"prompt_cache_hit_tokens":4}}"#,
                (9, 4, 2),
            ),
            (
                r#"{"usage":{"prompt_tokens":9,"num_cached_tokens":4,"completion_tokens":2}}"#,
                (9, 4, 2),
            ),
            (
                r#"{"x_groq":{"usage":{"prompt_tokens":9,"completion_tokens":2}}}"#,
                (9, 0, 2),
            ),
            (
                r#"{"timings":{"cache_n":4,"prompt_n":5,"predicted_n":2}}"#,
                (9, 4, 2),
            ),
            (
                r#"{"usage":{"prompt_tokens":4,"completion_tokens":635,"total_tokens":3264,"prompt_audio_seconds":203}}"#,
                (2_629, 0, 635),
            ),
        ] {
            assert_eq!(usage(json), expected, "{json}");
        }
    }

    #[test]
    fn what_has_a_price_of_its_own() {
        let note = note(
            r#"{"usage":{"prompt_tokens_details":{"audio_tokens":3,"image_tokens":4},
            "completion_tokens_details":{"audio_tokens":2,"image_tokens":7}}}"#,
        );
        let extras = note.extras;
        assert_eq!(
            (extras.audio_input, extras.audio_output, extras.image_output),
            (3, 2, 7)
        );
    }

    #[test]
    fn tokens_that_are_kept_long_in_the_cache() {
        let note = note(
            r#"{"usage":{"prompt_tokens":9,"prompt_tokens_details":{"cache_write_tokens":7,
            "cache_write_tokens_details":{"ttl_30m_tokens":2,"ttl_12h_tokens":5}}}}"#,
        );
        let usage = note.counts.usage().unwrap();
        assert_eq!((usage.cache_write, usage.cache_write_long), (7, 5));
    }
}
