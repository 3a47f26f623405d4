//! Cohere "Chat", version 2.
//!
//! Source: Cohere's API reference, "Chat", "Chat with Streaming", "Errors".

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{
    super::{
        note::{Note, count, name},
        walk::Scalar,
    },
    Field, Spec,
};

pub(super) struct CohereChat;

impl Spec for CohereChat {
    fn provider(&self) -> Option<&'static str> {
        Some("cohere")
    }

    fn serves(&self, path: &str, _headers: &HeaderMap) -> bool {
        path.ends_with("/v2/chat")
    }

    fn request(&self) -> &'static [(&'static [&'static str], Field)] {
        &[
            (&["model"], Field::Model),
            (&["max_tokens"], Field::MaxOutput),
            (&["stream"], Field::Stream),
            (&["messages"], Field::Text),
            (&["tools"], Field::Text),
            (&["documents"], Field::Text),
            (&["response_format"], Field::Text),
        ]
    }

    /// An event has in `delta` what a body has at the outermost level.
    fn response(&self, path: &[&str], value: &Scalar<'_>, note: &mut Note) {
        match path.strip_prefix(&["delta"]).unwrap_or(path) {
            ["message", rest @ ..] if is_output(rest) => note.add_text(value),
            ["finish_reason"] => name(&mut note.finish, value),
            ["usage", rest @ ..] => usage(rest, value, note),
            ["message" | "error"] => note.error_message(value),
            ["code"] => note.code_beside(value),
            ["type"] => note.done |= *value == Scalar::Text("message-end"),
            _ => {}
        }
    }

    fn idle(&self) -> &'static [&'static [&'static str]] {
        &[&["index"], &["id"]]
    }

    fn error(&self, kind: &str, _status: StatusCode, message: &str) -> (&'static str, Value) {
        let body = json!({ "message": message, "code": kind });
        ("application/json", body)
    }

    fn last_event(
        &self,
        kind: &str,
        _status: StatusCode,
        message: &str,
    ) -> (Option<&'static str>, Value) {
        let delta = json!({ "finish_reason": "ERROR", "error": message, "code": kind });
        let event = json!({ "type": "message-end", "delta": delta });
        (Some("message-end"), event)
    }
}

fn is_output(path: &[&str]) -> bool {
    matches!(
        path,
        ["content", "text" | "thinking"]
            | ["tool_plan"]
            | ["tool_calls", "function", "name" | "arguments"]
    )
}

/// Two accounts: what the model read and wrote, with what was cached; and what is charged.
pub(super) fn usage(path: &[&str], value: &Scalar<'_>, note: &mut Note) {
    let counts = &mut note.counts;
    match path {
        ["tokens", "input_tokens"] => count(&mut counts.input, value),
        ["tokens", "output_tokens"] => count(&mut counts.output, value),
        ["cached_tokens"] => count(&mut counts.cache_read, value),
        ["billed_units", "input_tokens"] => count(&mut counts.billed_input, value),
        ["billed_units", "image_tokens"] => count(&mut counts.billed_images, value),
        ["billed_units", "output_tokens"] => count(&mut counts.billed_output, value),
        ["billed_units", "images"] => {
            note.extras.images = value.count().unwrap_or(note.extras.images);
        }
        ["billed_units", "search_units"] => {
            note.extras.search_units = value.count().unwrap_or(note.extras.search_units);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::read::read, *};

    fn note(json: &str) -> Note {
        read(&CohereChat, json.as_bytes()).unwrap()
    }

    #[test]
    fn counts_what_was_generated() {
        for (json, text) in [
            (
                r#"{"type":"content-start","delta":{"message":{"content":{"type":"text","text":""}}}}"#,
                0,
            ),
            (
                r#"{"type":"content-delta","delta":{"message":{"content":{"text":"12"}}}}"#,
                2,
            ),
            (
                r#"{"type":"content-delta","delta":{"message":{"content":{"thinking":"1"}}}}"#,
                1,
            ),
            (
                r#"{"type":"tool-plan-delta","delta":{"message":{"tool_plan":"123"}}}"#,
                3,
            ),
            (
                r#"{"delta":{"message":{"tool_calls":{"id":"x","function":{"name":"1","arguments":"2"}}}}}"#,
                2,
            ),
            (r#"{"delta":{"message":{"citations":{"text":"no"}}}}"#, 0),
            (
                r#"{"message":{"role":"assistant","content":[{"type":"text","text":"12"}]}}"#,
                2,
            ),
        ] {
            assert_eq!(note(json).text, text, "{json}");
        }
    }

    #[test]
    fn the_end_of_a_stream() {
        let end = note(
            r#"{"type":"message-end","delta":{"finish_reason":"COMPLETE","usage":{"billed_units":
            {"input_tokens":1,"output_tokens":2},"tokens":{"input_tokens":70,"output_tokens":3}}}}"#,
        );
        let usage = end.counts.usage().unwrap();
        assert!(end.done && end.error.is_none());
        assert_eq!((usage.input, usage.output), (70, 3));
        let extras = end.counts.extras(&Default::default());
        assert_eq!(
            (extras.billed_input, extras.billed_output),
            (Some(1), Some(2))
        );
    }

    #[test]
    fn what_is_charged_stands_in_for_what_was_read() {
        let end = note(r#"{"usage":{"billed_units":{"input_tokens":1,"output_tokens":2}}}"#);
        let usage = end.counts.usage().unwrap();
        assert_eq!((usage.input, usage.output), (1, 2));
        assert!(end.counts.both());
    }

    #[test]
    fn images_that_are_charged_are_input_with_a_price_of_its_own() {
        for (billed, input) in [
            (r#""input_tokens":3,"image_tokens":258"#, 261),
            (r#""image_tokens":258,"input_tokens":3"#, 261),
            (r#""image_tokens":258"#, 258),
        ] {
            let note = note(&format!(r#"{{"usage":{{"billed_units":{{{billed}}}}}}}"#));
            let extras = note.counts.extras(&note.extras);
            assert_eq!(note.counts.usage().unwrap().input, input, "{billed}");
            assert_eq!(
                (extras.billed_input, extras.image_input),
                (Some(input), 258)
            );
        }
        let alone = note(r#"{"usage":{"billed_units":{"images":2}}}"#);
        assert_eq!((alone.counts.usage(), alone.extras.images), (None, 2));
    }

    #[test]
    fn a_message_that_is_a_text_is_an_error() {
        assert_eq!(
            note(r#"{"id":"x","message":"m"}"#).error.unwrap().message,
            "m"
        );
        assert_eq!(note(r#"{"id":"x","message":{"content":[]}}"#).error, None);
    }
}
