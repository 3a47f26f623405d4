//! OpenAI "Responses", which Azure, Groq, xAI and OpenRouter have too.
//!
//! Sources: OpenAI's API reference, "Create a model response", "The response object", "Streaming
//! events". That an `error` event may have its fields inside of `error` is known from recorded
//! streams.

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{
    super::{
        note::{Note, count, name},
        walk::Scalar,
    },
    Field, InUrl, Spec, openai,
};

pub(super) struct OpenAiResponses;

const PATH: &str = "/responses";
/// Makes a conversation shorter: the same model, input and usage.
const COMPACT: &str = "/compact";

/// Events may bring images.
const EVENT_CAP: usize = 8 * 1024 * 1024;

impl Spec for OpenAiResponses {
    fn provider(&self) -> Option<&'static str> {
        Some("openai")
    }

    fn serves(&self, path: &str, _headers: &HeaderMap) -> bool {
        let known = ["/v1/responses", "/openai/responses"];
        let plain = without_compact(path);
        known.iter().any(|known| plain.ends_with(known)) || self.in_url(path).model.is_some()
    }

    fn in_url(&self, path: &str) -> InUrl {
        openai::in_url(without_compact(path), PATH)
    }

    fn request(&self) -> &'static [(&'static [&'static str], Field)] {
        &[
            (&["model"], Field::Model),
            (&["max_output_tokens"], Field::MaxOutput),
            (&["stream"], Field::Stream),
            (&["background"], Field::Background),
            (&["input"], Field::Text),
            (&["instructions"], Field::Text),
            (&["prompt", "variables"], Field::Text),
            (&["tools"], Field::Text),
            (&["text", "format"], Field::Text),
        ]
    }

    /// A body is a response object, and so is `response` in the first and the last event; what
    /// comes between has pieces of text in `delta`, and repeats them when they are done.
    fn response(&self, path: &[&str], value: &Scalar<'_>, note: &mut Note) {
        match path {
            ["delta"] => note.add_text(value),
            ["partial_image_b64"] => note.add_other(value),
            ["item", "type"] => {
                note.has_content |= value
                    .text()
                    .is_some_and(|kind| !matches!(kind, "message" | "reasoning"));
            }
            // Told when the item begins and once more when it is done: rather twice than not at all.
            ["item", "name"] => note.add_text(value),
            ["type"] => {
                let failed = *value == Scalar::Text("response.failed");
                note.tells_failure |= failed;
                note.done |= failed
                    || matches!(
                        value.text(),
                        Some("response.completed" | "response.incomplete")
                    );
            }
            ["output", rest @ ..] if is_output(rest) => note.add_text(value),
            ["response", rest @ ..] => object(rest, value, note),
            ["error", ..] | ["message" | "code"] => openai::error(path, value, note),
            _ => object(path, value, note),
        }
    }

    fn idle(&self) -> &'static [&'static [&'static str]] {
        &[
            &["sequence_number"],
            &["item_id"],
            &["output_index"],
            &["content_index"],
            &["obfuscation"],
            &["id"],
            &["created_at"],
            &["completed_at"],
            &["output", "id"],
        ]
    }

    fn event_cap(&self) -> usize {
        EVENT_CAP
    }

    fn error(&self, kind: &str, status: StatusCode, message: &str) -> (&'static str, Value) {
        let error = openai::error_object(kind, status, message);
        ("application/json", json!({ "error": error }))
    }

    /// Documented are the flat fields; what SDKs raise is the object.
    fn last_event(
        &self,
        kind: &str,
        status: StatusCode,
        message: &str,
    ) -> (Option<&'static str>, Value) {
        let error = openai::error_object(kind, status, message);
        let event = json!({
            "type": "error", "code": kind, "message": message, "param": null,
            "sequence_number": 0, "error": error,
        });
        (Some("error"), event)
    }
}

fn without_compact(path: &str) -> &str {
    path.strip_suffix(COMPACT).unwrap_or(path)
}

fn is_output(path: &[&str]) -> bool {
    matches!(
        path,
        ["name" | "arguments" | "input" | "code"]
            | ["content" | "summary", "text"]
            | ["content", "refusal"]
    )
}

/// What the response object says. Its input includes cached tokens, its output reasoning.
fn object(path: &[&str], value: &Scalar<'_>, note: &mut Note) {
    match path {
        ["model" | "service_tier"] => openai::about(path[0], value, note),
        // Why it is incomplete says more, and comes later.
        ["status"] if !matches!(value.text(), Some("in_progress" | "queued" | "incomplete")) => {
            name(&mut note.finish, value);
        }
        ["incomplete_details", "reason"] => name(&mut note.finish, value),
        ["error", "code"] => note.error_code(value),
        ["error", "message"] => note.error_message(value),
        ["output", "type"] => tool(value, note),
        ["usage", rest @ ..] => usage(rest, value, note),
        _ => {}
    }
}

fn tool(value: &Scalar<'_>, note: &mut Note) {
    let extras = &mut note.extras;
    let count = match value.text() {
        Some("web_search_call") => &mut extras.web_searches,
        Some("file_search_call") => &mut extras.file_searches,
        Some("code_interpreter_call") => &mut extras.code_runs,
        Some("image_generation_call") => &mut extras.images,
        _ => return,
    };
    openai::one_more(count);
}

fn usage(path: &[&str], value: &Scalar<'_>, note: &mut Note) {
    let counts = &mut note.counts;
    match path {
        ["input_tokens"] => count(&mut counts.input, value),
        ["input_tokens_details", "cached_tokens"] => count(&mut counts.cache_read, value),
        ["input_tokens_details", "cache_write_tokens"] => count(&mut counts.cache_write, value),
        [
            "input_tokens_details",
            "cache_write_tokens_details",
            "ttl_12h_tokens",
        ] => count(&mut counts.cache_write_long, value),
        ["output_tokens"] => count(&mut counts.output, value),
        ["output_tokens_details", "reasoning_tokens"] => count(&mut counts.reasoning, value),
        ["total_tokens"] => count(&mut counts.total, value),
        [key] => openai::charges(key, value, note),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::read::read, *};

    fn note(json: &str) -> Note {
        read(&OpenAiResponses, json.as_bytes()).unwrap()
    }

    #[test]
    fn counts_text_once() {
        let delta = r#"{"type":"response.output_text.delta","delta":"12345","obfuscation":"xx"}"#;
        assert_eq!(note(delta).text, 5);
        for repeated in [
            r#"{"type":"response.output_text.done","text":"12345"}"#,
            r#"{"type":"response.output_item.done","item":{"type":"message","content":[{"text":"12345"}]}}"#,
            r#"{"type":"response.completed","response":{"output":[{"content":[{"text":"12345"}]}]}}"#,
        ] {
            assert_eq!(note(repeated).text, 0, "{repeated}");
        }
        let body = r#"{"output":[{"type":"reasoning","summary":[{"text":"1"}]},{"type":"message",
            "content":[{"type":"output_text","text":"2"},{"refusal":"3"}]},
            {"type":"function_call","name":"4","arguments":"5","call_id":"c"}]}"#;
        assert_eq!(note(body).text, 5);
    }

    #[test]
    fn the_name_of_a_tool_is_output() {
        let added = r#"{"type":"response.output_item.added","item":{"type":"function_call","name":"12345","arguments":""}}"#;
        let note = note(added);
        assert_eq!((note.text, note.has_content), (5, true));
    }

    #[test]
    fn terminal_events() {
        for (kind, done, tells_failure) in [
            ("response.completed", true, false),
            ("response.incomplete", true, false),
            ("response.failed", true, true),
            ("response.in_progress", false, false),
            ("error", false, false),
        ] {
            let note = note(&format!(r#"{{"type":"{kind}"}}"#));
            assert_eq!(
                (note.done, note.tells_failure),
                (done, tells_failure),
                "{kind}"
            );
        }
    }

    #[test]
    fn errors_flat_and_nested() {
        let flat = note(r#"{"type":"error","code":"c","message":"m","param":null}"#);
        let nested = note(r#"{"type":"error","error":{"type":"t","code":"c","message":"m"}}"#);
        for note in [flat, nested] {
            let error = note.error.unwrap();
            assert_eq!((error.code.as_deref(), &*error.message), (Some("c"), "m"));
        }
        assert_eq!(note(r#"{"error":null,"status":"completed"}"#).error, None);
    }

    #[test]
    fn counts_tools_of_the_provider() {
        let note = note(
            r#"{"output":[{"type":"web_search_call"},{"type":"web_search_call"},
            {"type":"code_interpreter_call","code":"x"},{"type":"message"}]}"#,
        );
        assert_eq!((note.extras.web_searches, note.extras.code_runs), (2, 1));
    }

    #[test]
    fn a_compaction_says_what_it_used() {
        let note = note(
            r#"{"id":"resp_1","object":"response.compaction","output":[{"type":"compaction",
            "encrypted_content":"x"}],"usage":{"input_tokens":139,"input_tokens_details":
            {"cached_tokens":7},"output_tokens":438,"total_tokens":577}}"#,
        );
        let counts = note.counts;
        assert_eq!((counts.input, counts.output), (Some(139), Some(438)));
        assert_eq!(counts.cache_read, Some(7));
    }

    #[test]
    fn why_it_is_incomplete() {
        let finish = |json: &str| note(json).finish;
        let incomplete = r#"{"response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}}"#;
        assert_eq!(finish(incomplete).as_deref(), Some("max_output_tokens"));
        assert_eq!(
            finish(r#"{"status":"completed"}"#).as_deref(),
            Some("completed")
        );
        assert_eq!(finish(r#"{"response":{"status":"in_progress"}}"#), None);
    }
}
