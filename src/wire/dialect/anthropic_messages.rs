//! Anthropic "Messages".
//!
//! Sources, all in Anthropic's documentation: API reference, "Messages", "Streaming messages",
//! "Errors", "Versions"; "Claude on Vertex AI", where the model is in the URL; "Compaction", "Advisor
//! tool", "Refusals and fallback".

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{
    super::{
        note::{Note, count, name},
        walk::Scalar,
    },
    Field, InUrl, Spec,
};
use crate::usage::Usage;

pub(super) struct AnthropicMessages;

/// Stands on Vertex where else a model does: what it counts costs nothing.
const COUNT_TOKENS: &str = "count-tokens";

impl Spec for AnthropicMessages {
    fn provider(&self) -> Option<&'static str> {
        Some("anthropic")
    }

    fn serves(&self, path: &str, headers: &HeaderMap) -> bool {
        let is_own = path.ends_with("/v1/messages") && headers.contains_key("anthropic-version");
        is_own || self.in_url(path).model.is_some()
    }

    fn in_url(&self, path: &str) -> InUrl {
        let model = |suffix| InUrl::model(path, "/publishers/anthropic/models/", suffix);
        let named = model(":rawPredict").or_else(|| model(":streamRawPredict"));
        InUrl {
            model: named.filter(|named| named != COUNT_TOKENS),
            // The body says so there too.
            stream: None,
        }
    }

    fn request(&self) -> &'static [(&'static [&'static str], Field)] {
        &[
            (&["model"], Field::Model),
            (&["max_tokens"], Field::MaxOutput),
            (&["stream"], Field::Stream),
            (&["system"], Field::Text),
            (&["messages"], Field::Text),
            (&["tools"], Field::Text),
        ]
    }

    /// The input count leaves cached tokens out; the output count includes thinking. A stream
    /// starts with first counts (`message_start`), and the event that names the stop reason
    /// (`message_delta`) has the last ones, of which all but the output may be missing.
    fn response(&self, path: &[&str], value: &Scalar<'_>, note: &mut Note) {
        match path {
            ["type"] => note.done |= *value == Scalar::Text("message_stop"),
            ["delta", "stop_reason"] => {
                note.closes = value.text().is_some();
                name(&mut note.finish, value);
            }
            ["stop_reason"] => name(&mut note.finish, value),
            ["content" | "content_block" | "delta", rest @ ..] if is_output(rest) => {
                note.add_text(value);
            }
            ["content_block", "data"] | ["delta", "signature"] => note.add_other(value),
            ["model"] | ["message", "model"] => name(&mut note.model, value),
            ["usage", rest @ ..] | ["message", "usage", rest @ ..] => usage(rest, value, note),
            ["error", "message"] => note.error_message(value),
            ["error", "type"] => note.error_kind(value),
            ["error", "details", "error_code"] => note.error_code(value),
            _ => {}
        }
    }

    fn leave(&self, path: &[&str], note: &mut Note) {
        if matches!(
            path,
            ["usage", "iterations"] | ["message", "usage", "iterations"]
        ) {
            note.iterations.close();
        }
    }

    fn idle(&self) -> &'static [&'static [&'static str]] {
        &[&["index"], &["id"]]
    }

    fn error(&self, kind: &str, status: StatusCode, message: &str) -> (&'static str, Value) {
        let class = match status.as_u16() {
            400 => "invalid_request_error",
            401 => "authentication_error",
            402 => "billing_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            504 => "timeout_error",
            529 => "overloaded_error",
            _ => "api_error",
        };
        let details = json!({ "error_code": kind });
        let error = json!({ "type": class, "message": message, "details": details });
        (
            "application/json",
            json!({ "type": "error", "error": error }),
        )
    }

    fn last_event(
        &self,
        kind: &str,
        status: StatusCode,
        message: &str,
    ) -> (Option<&'static str>, Value) {
        (Some("error"), self.error(kind, status, message).1)
    }
}

/// What the model wrote in a block or a piece of one. What tools of the server found (`content`)
/// and passages that are cited (`citations`) are not output.
fn is_output(path: &[&str]) -> bool {
    matches!(
        path,
        ["text" | "thinking" | "name" | "partial_json"] | ["input", ..]
    )
}

fn usage(path: &[&str], value: &Scalar<'_>, note: &mut Note) {
    let counts = &mut note.counts;
    match path {
        ["input_tokens"] => count(&mut counts.uncached, value),
        ["cache_read_input_tokens"] => count(&mut counts.cache_read, value),
        ["cache_creation_input_tokens"] => count(&mut counts.cache_write, value),
        ["cache_creation", "ephemeral_1h_input_tokens"] => {
            count(&mut counts.cache_write_long, value);
        }
        ["output_tokens"] => count(&mut counts.output, value),
        ["output_tokens_details", "thinking_tokens"] => count(&mut counts.reasoning, value),
        ["iterations", rest @ ..] => iteration(rest, value, note),
        ["server_tool_use", key] => tool(key, value, note),
        ["service_tier"] => name(&mut note.served.tier, value),
        ["speed"] => name(&mut note.served.speed, value),
        ["inference_geo"] => name(&mut note.served.geography, value),
        _ => {}
    }
}

/// One time that a model was asked for the answer.
fn iteration(path: &[&str], value: &Scalar<'_>, note: &mut Note) {
    match path {
        ["type"] => name(&mut note.iterations.open().kind, value),
        ["model"] => name(&mut note.iterations.open().model, value),
        _ => {
            if let Some(tokens) = value.count() {
                used(path, tokens, &mut note.iterations.open().usage);
            }
        }
    }
}

/// A count of one iteration, of which the input leaves cached tokens out as well.
fn used(path: &[&str], tokens: u64, usage: &mut Usage) {
    let more = |count: &mut u64| *count = count.saturating_add(tokens);
    match path {
        ["input_tokens"] => more(&mut usage.input),
        ["cache_read_input_tokens"] => {
            more(&mut usage.input);
            more(&mut usage.cache_read);
        }
        ["cache_creation_input_tokens"] => {
            more(&mut usage.input);
            more(&mut usage.cache_write);
        }
        ["cache_creation", "ephemeral_1h_input_tokens"] => more(&mut usage.cache_write_long),
        ["output_tokens"] => more(&mut usage.output),
        _ => {}
    }
}

fn tool(key: &str, value: &Scalar<'_>, note: &mut Note) {
    let extras = &mut note.extras;
    let uses = match key {
        "web_search_requests" => &mut extras.web_searches,
        "web_fetch_requests" => &mut extras.web_fetches,
        "code_execution_requests" => &mut extras.code_runs,
        _ => return,
    };
    *uses = value.count().unwrap_or(*uses);
}

#[cfg(test)]
mod tests {
    use super::{super::super::read::read, *};

    fn note(json: &str) -> Note {
        read(&AnthropicMessages, json.as_bytes()).unwrap()
    }

    #[test]
    fn counts_every_kind_of_generated_text() {
        let body = note(
            r#"{"content":[{"type":"text","text":"1"},{"type":"thinking","thinking":"2"},
            {"type":"tool_use","name":"3","input":{"a":"4","b":["5",{"c":"6"}]}}]}"#,
        );
        assert_eq!(body.text, 6);
        assert_eq!(note(r#"{"content_block":{"name":"1","input":{}}}"#).text, 1);
        assert_eq!(
            note(r#"{"delta":{"type":"x","text":"1","thinking":"2"}}"#).text,
            2
        );
        assert_eq!(note(r#"{"delta":{"partial_json":"1"}}"#).text, 1);
    }

    #[test]
    fn counts_no_text_that_was_not_generated() {
        let body = note(
            r#"{"type":"message","id":"x","content":[{"type":"web_search_tool_result","content":
            [{"url":"u","title":"t","text":"x"}]},{"text":"","citations":[{"cited_text":"c"}]}]}"#,
        );
        assert_eq!(body, Note::default());
        let delta = note(r#"{"delta":{"type":"signature_delta","signature":"abcd"},"index":0}"#);
        assert_eq!(
            (delta.text, delta.has_content),
            (0, true),
            "but it was generated"
        );
    }

    #[test]
    fn only_the_delta_with_a_stop_reason_closes_the_counts() {
        assert!(note(r#"{"delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":5}}"#).closes);
        assert!(!note(r#"{"delta":{"stop_reason":null},"usage":{"output_tokens":5}}"#).closes);
    }

    #[test]
    fn tokens_of_iterations_are_apart_from_the_whole_by_their_kinds() {
        let advisor =
            r#""model":"b","input_tokens":70,"cache_read_input_tokens":9,"output_tokens":2"#;
        let message = r#""cache_creation":{"ephemeral_5m_input_tokens":1,"ephemeral_1h_input_tokens":3},
            "cache_creation_input_tokens":4,"input_tokens":5,"output_tokens":6"#;
        // Fields come in any order, and some are not there.
        for entries in [
            format!(r#"{{"type":"message",{message}}},{{"type":"advisor_message",{advisor}}}"#),
            format!(r#"{{{message},"type":"message"}},{{{advisor},"type":"advisor_message"}}"#),
        ] {
            let usage = format!(r#"{{"input_tokens":5,"iterations":[{entries}]}}"#);
            for json in [
                format!(r#"{{"usage":{usage}}}"#),
                format!(r#"{{"message":{{"usage":{usage}}}}}"#),
            ] {
                let note = note(&json);
                assert_eq!((note.counts.uncached, note.counts.output), (Some(5), None));
                let told = note.iterations.into_told();
                let names: Vec<_> = told
                    .iter()
                    .map(|told| (told.kind.as_deref(), told.model.as_deref()))
                    .collect();
                let expected = [
                    (Some("message"), None),
                    (Some("advisor_message"), Some("b")),
                ];
                assert_eq!(names, expected, "{json}");
                let mut usage = Usage::new(9, 6);
                (usage.cache_write, usage.cache_write_long) = (4, 3);
                assert_eq!(told[0].usage, usage, "{json}");
                let mut usage = Usage::new(79, 2);
                usage.cache_read = 9;
                assert_eq!(told[1].usage, usage, "{json}");
            }
        }
    }

    #[test]
    fn iterations_that_say_nothing_are_none() {
        for nothing in [
            "null",
            "[]",
            "[{}]",
            "5",
            r#"[{"type":null,"input_tokens":-1}]"#,
        ] {
            let note = note(&format!(r#"{{"usage":{{"iterations":{nothing}}}}}"#));
            assert!(note.iterations.is_empty(), "{nothing}");
        }
    }

    #[test]
    fn only_message_stop_ends_a_stream() {
        assert!(note(r#"{"type":"message_stop"}"#).done);
        assert!(!note(r#"{"type":"message_delta"}"#).done);
        assert!(!note(r#"{"delta":{"type":"message_stop"}}"#).done);
    }
}
