//! Bedrock `InvokeModel` and `InvokeModelWithResponseStream`: the JSON is the model vendor's.
//!
//! Sources: Amazon Bedrock API reference, "InvokeModel", "InvokeModelWithResponseStream",
//! "PayloadPart"; user guide, "Inference request parameters and response fields for foundation
//! models". The vendor is told by the shape, never by the name of the model, which may be an ARN.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::{
    super::{
        note::{Note, count, name},
        walk::{MAX_COUNT, Scalar},
    },
    Field, InUrl, Spec,
    anthropic_messages::AnthropicMessages,
    bedrock, bedrock_converse,
    openai_chat::OpenAiChat,
};

pub(super) struct BedrockInvoke;

impl Spec for BedrockInvoke {
    fn provider(&self) -> Option<&'static str> {
        Some("bedrock")
    }

    fn serves(&self, path: &str, _headers: &HeaderMap) -> bool {
        self.in_url(path).model.is_some()
    }

    fn in_url(&self, path: &str) -> InUrl {
        bedrock::in_url(path, "/invoke", "/invoke-with-response-stream")
    }

    fn request(&self) -> &'static [(&'static [&'static str], Field)] {
        &[
            // Anthropic, Mistral, Cohere; OpenAI; Nova; Llama; Titan.
            (&["max_tokens"], Field::MaxOutput),
            (&["max_completion_tokens"], Field::OldMaxOutput),
            (&["inferenceConfig", "maxTokens"], Field::OldMaxOutput),
            (&["inferenceConfig", "max_new_tokens"], Field::OldMaxOutput),
            (&["max_gen_len"], Field::OldMaxOutput),
            (
                &["textGenerationConfig", "maxTokenCount"],
                Field::OldMaxOutput,
            ),
            (&["messages"], Field::Text),
            (&["system"], Field::Text),
            (&["tools"], Field::Text),
            (&["toolConfig"], Field::Text),
            (&["prompt"], Field::Text),
            (&["inputText"], Field::Text),
            (&["message"], Field::Text),
            (&["chat_history"], Field::Text),
            (&["documents"], Field::Text),
            (&["texts"], Field::Text),
        ]
    }

    fn headers(&self, headers: &HeaderMap) -> Option<Box<Note>> {
        let mut note = bedrock::headers(headers);
        let counts = &mut note.counts;
        for (header, place) in [
            ("input-token-count", &mut counts.uncached),
            ("output-token-count", &mut counts.output),
            ("cache-read-input-token-count", &mut counts.cache_read),
            ("cache-write-input-token-count", &mut counts.cache_write),
        ] {
            let value = headers.get(format!("x-amzn-bedrock-{header}"));
            let tokens = value.and_then(|value| value.to_str().ok()?.trim().parse().ok());
            *place = tokens.filter(|tokens| *tokens <= MAX_COUNT);
        }
        // Only an answer that is not streamed has them.
        note.closes = counts.both();
        Some(note)
    }

    fn response(&self, path: &[&str], value: &Scalar<'_>, note: &mut Note) {
        match path {
            ["amazon-bedrock-invocationMetrics", key] => {
                note.done = true;
                metrics(key, value, note);
            }
            // Nova.
            ["output", "message", "content", rest @ ..]
            | ["contentBlockDelta", "delta", rest @ ..]
            | ["contentBlockStart", "start", rest @ ..] => {
                bedrock_converse::output(rest, value, note);
            }
            ["metadata", "usage", rest @ ..] => bedrock_converse::usage(rest, value, note),
            ["stopReason"] | ["messageStop", "stopReason"] => name(&mut note.finish, value),
            // Llama, Titan, Mistral, Cohere.
            ["generation" | "outputText" | "text"]
            | ["results", "outputText"]
            | ["outputs" | "generations" | "choices", "text"] => note.add_text(value),
            ["prompt_token_count" | "inputTextTokenCount"] => {
                count(&mut note.counts.uncached, value);
            }
            ["generation_token_count" | "totalOutputTextTokenCount"]
            | ["results", "tokenCount"] => count(&mut note.counts.output, value),
            ["finish_reason" | "completionReason"]
            | ["outputs" | "choices", "stop_reason"]
            | ["generations", "finish_reason"]
            | ["results", "completionReason"] => name(&mut note.finish, value),
            _ => {
                let done = note.done;
                bedrock_converse::usage(path.strip_prefix(&["usage"]).unwrap_or(&[]), value, note);
                AnthropicMessages.response(path, value, note);
                OpenAiChat.response(path, value, note);
                // The end of the vendor's stream is not yet the end of this one.
                note.done = done;
            }
        }
    }

    fn leave(&self, path: &[&str], note: &mut Note) {
        AnthropicMessages.leave(path, note);
    }

    /// The vendor's JSON is in base64.
    fn unwrapped<'d>(&self, data: &'d [u8]) -> Option<Cow<'d, [u8]>> {
        #[derive(Deserialize)]
        struct Part<'d> {
            #[serde(borrow)]
            bytes: Cow<'d, str>,
        }

        let part: Part<'d> = serde_json::from_slice(data).ok()?;
        STANDARD.decode(part.bytes.as_bytes()).ok().map(Cow::Owned)
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

/// In the last event. The input leaves cached tokens out.
fn metrics(key: &str, value: &Scalar<'_>, note: &mut Note) {
    let counts = &mut note.counts;
    match key {
        "inputTokenCount" => count(&mut counts.uncached, value),
        "outputTokenCount" => count(&mut counts.output, value),
        "cacheReadInputTokenCount" => count(&mut counts.cache_read, value),
        "cacheWriteInputTokenCount" => count(&mut counts.cache_write, value),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::{super::super::read::read, *};

    fn note(json: &str) -> Note {
        read(&BedrockInvoke, json.as_bytes()).unwrap()
    }

    #[test]
    fn the_shapes_of_vendors() {
        for (json, text, sides) in [
            (
                r#"{"content":[{"text":"1234"}],"usage":{"input_tokens":5,"output_tokens":6}}"#,
                4,
                (5, 6),
            ),
            (
                r#"{"generation":"1234","prompt_token_count":5,"generation_token_count":6}"#,
                4,
                (5, 6),
            ),
            (
                r#"{"inputTextTokenCount":5,"results":[{"tokenCount":6,"outputText":"1234"}]}"#,
                4,
                (5, 6),
            ),
            (
                r#"{"output":{"message":{"content":[{"text":"1234"}]}},"usage":{"inputTokens":5,"outputTokens":6}}"#,
                4,
                (5, 6),
            ),
            (
                r#"{"choices":[{"message":{"content":"1234"}}],"usage":{"prompt_tokens":5,"completion_tokens":6}}"#,
                4,
                (5, 6),
            ),
            (
                r#"{"outputs":[{"text":"1234","stop_reason":"stop"}],"amazon-bedrock-invocationMetrics":{"inputTokenCount":5,"outputTokenCount":6}}"#,
                4,
                (5, 6),
            ),
        ] {
            let note = note(json);
            let usage = note.counts.usage().unwrap();
            assert_eq!(
                (note.text, (usage.input, usage.output)),
                (text, sides),
                "{json}"
            );
        }
    }

    #[test]
    fn only_the_metrics_end_a_stream() {
        assert!(!note(r#"{"type":"message_stop"}"#).done);
        for end in [
            r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":1}}"#,
            r#"{"amazon-bedrock-invocationMetrics":{"inputTokenCount":1},"type":"message_stop"}"#,
        ] {
            assert!(note(end).done, "{end}");
        }
    }

    #[test]
    fn headers_have_the_counts_too() {
        let mut map = HeaderMap::new();
        for (name, value) in [
            ("x-amzn-bedrock-input-token-count", "17"),
            ("x-amzn-bedrock-output-token-count", "19"),
            ("x-amzn-bedrock-cache-read-input-token-count", "900"),
            ("x-amzn-bedrock-cache-write-input-token-count", "-1"),
        ] {
            map.insert(name, HeaderValue::from_static(value));
        }
        let note = BedrockInvoke.headers(&map).unwrap();
        let usage = note.counts.usage().unwrap();
        assert_eq!(
            (usage.input, usage.cache_read, usage.output),
            (917, 900, 19)
        );
        assert!(note.closes);
    }

    #[test]
    fn a_part_that_is_wrapped_wrongly_is_not_unwrapped() {
        let part = BedrockInvoke.unwrapped(br#"{"bytes":"e30=","p":"abc"}"#);
        assert_eq!(part.as_deref(), Some(&b"{}"[..]));
        for wrong in [r#"{"bytes":"e30"}"#, r#"{"bytes":5}"#, "{}", ""] {
            assert_eq!(BedrockInvoke.unwrapped(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
