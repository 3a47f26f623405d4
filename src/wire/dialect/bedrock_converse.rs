//! Bedrock `Converse` and `ConverseStream`.
//!
//! Sources: Amazon Bedrock API reference, "Converse", "ConverseStream", "TokenUsage".

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::{
    super::{
        note::{Note, count, name},
        walk::Scalar,
    },
    Field, InUrl, Spec, bedrock,
};

pub(super) struct BedrockConverse;

impl Spec for BedrockConverse {
    fn provider(&self) -> Option<&'static str> {
        Some("bedrock")
    }

    fn serves(&self, path: &str, _headers: &HeaderMap) -> bool {
        self.in_url(path).model.is_some()
    }

    fn in_url(&self, path: &str) -> InUrl {
        bedrock::in_url(path, "/converse", "/converse-stream")
    }

    fn request(&self) -> &'static [(&'static [&'static str], Field)] {
        &[
            (&["inferenceConfig", "maxTokens"], Field::MaxOutput),
            (&["messages"], Field::Text),
            (&["system"], Field::Text),
            (&["toolConfig"], Field::Text),
            (&["promptVariables"], Field::Text),
        ]
    }

    fn headers(&self, headers: &HeaderMap) -> Option<Box<Note>> {
        Some(bedrock::headers(headers))
    }

    /// The events of the stream have no wrapping of their own: a piece of the answer is in
    /// `delta`, a tool that is called in `start`, and the last one has the usage.
    fn response(&self, path: &[&str], value: &Scalar<'_>, note: &mut Note) {
        match path {
            ["output", "message", "content", rest @ ..] | ["delta" | "start", rest @ ..] => {
                output(rest, value, note);
            }
            ["stopReason"] => name(&mut note.finish, value),
            ["usage", rest @ ..] => {
                note.done = true;
                usage(rest, value, note);
            }
            ["serviceTier", "type"] => name(&mut note.served.tier, value),
            ["performanceConfig", "latency"] => name(&mut note.served.speed, value),
            ["message"] => note.error_message(value),
            _ => {}
        }
    }

    fn idle(&self) -> &'static [&'static [&'static str]] {
        &[&["contentBlockIndex"], &["p"]]
    }

    fn error(&self, _kind: &str, status: StatusCode, message: &str) -> (&'static str, Value) {
        bedrock::error(status, message)
    }

    fn last_event(
        &self,
        _kind: &str,
        status: StatusCode,
        message: &str,
    ) -> (Option<&'static str>, Value) {
        bedrock::last_event(status, message)
    }
}

pub(super) fn output(path: &[&str], value: &Scalar<'_>, note: &mut Note) {
    match path {
        ["text"]
        | ["toolUse", "name"]
        | ["toolUse", "input", ..]
        | ["reasoningContent", "text"]
        | ["reasoningContent", "reasoningText", "text"] => note.add_text(value),
        ["reasoningContent", "signature" | "redactedContent"] | ["image", "source", "bytes"] => {
            note.add_other(value);
        }
        _ => {}
    }
}

/// The input leaves cached tokens out.
pub(super) fn usage(path: &[&str], value: &Scalar<'_>, note: &mut Note) {
    let counts = &mut note.counts;
    match path {
        ["inputTokens"] => count(&mut counts.uncached, value),
        ["outputTokens"] => count(&mut counts.output, value),
        ["cacheReadInputTokens" | "cacheReadInputTokenCount"] => {
            count(&mut counts.cache_read, value);
        }
        ["cacheWriteInputTokens" | "cacheWriteInputTokenCount"] => {
            count(&mut counts.cache_write, value);
        }
        ["cacheDetails", "ttl"] => {
            let is_long = value.text().map(|ttl| ttl == "1h");
            counts.cache_entry(is_long, None);
        }
        ["cacheDetails", "inputTokens"] => counts.cache_entry(None, value.count()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::read::read, *};

    fn note(json: &str) -> Note {
        read(&BedrockConverse, json.as_bytes()).unwrap()
    }

    #[test]
    fn counts_what_was_generated() {
        for (json, text) in [
            (
                r#"{"contentBlockIndex":0,"delta":{"text":"12"},"p":"abc"}"#,
                2,
            ),
            (r#"{"delta":{"toolUse":{"input":"{}"}}}"#, 2),
            (r#"{"start":{"toolUse":{"toolUseId":"x","name":"123"}}}"#, 3),
            (r#"{"delta":{"reasoningContent":{"text":"1"}}}"#, 1),
            (
                r#"{"output":{"message":{"role":"assistant","content":[{"text":"1"},{"toolUse":
                {"name":"2","input":{"a":"3"}}},{"reasoningContent":{"reasoningText":{"text":"4",
                "signature":"no"}}}]}}}"#,
                4,
            ),
            (r#"{"role":"assistant","p":"abcd"}"#, 0),
        ] {
            assert_eq!(note(json).text, text, "{json}");
        }
    }

    #[test]
    fn only_usage_ends_a_stream() {
        assert!(note(r#"{"usage":{"inputTokens":1,"outputTokens":2},"metrics":{}}"#).done);
        assert!(!note(r#"{"stopReason":"end_turn"}"#).done);
    }
}
