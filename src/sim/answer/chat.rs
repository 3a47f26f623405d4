//! Chat completions: the whole answer, and the chunks of a stream.

use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};
use serde_json::{Value, json};

use super::story::{Called, Form, Story};

// Writing to a `BytesMut` cannot fail, so the results of `write!` are dropped.

pub(super) struct Chat;

impl Form for Chat {
    fn whole(&self, story: &Story, to: &mut BytesMut) {
        let Story {
            seq,
            created,
            model,
            ..
        } = story;
        let _ = write!(
            to,
            r#"{{"id":"chatcmpl-sim{seq:016x}","object":"chat.completion","created":{created},"model":{model},"choices":[{{"index":0,"message":{{"role":"assistant","content":"#
        );
        match &story.call {
            Some(called) => {
                let calls = json!([started(story, called, &called.text)]);
                let _ = write!(to, r#"null,"tool_calls":{calls}"#);
            }
            None => {
                to.put_u8(b'"');
                story.text(to);
                to.put_u8(b'"');
            }
        }
        let reason = reason(story);
        let _ = write!(
            to,
            r#","refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"{reason}"}}]"#
        );
        if story.usage {
            to.put_slice(br#","usage":"#);
            usage(story, to);
        }
        to.put_slice(br#","service_tier":"default","system_fingerprint":"fp_sim"}"#);
    }

    /// The role, and no content yet.
    fn opening(&self, story: &Story, to: &mut BytesMut) {
        head(story, to);
        let content = if story.call.is_some() { "null" } else { "\"\"" };
        let _ = write!(
            to,
            r#"{{"index":0,"delta":{{"role":"assistant","content":{content},"refusal":null}},"logprobs":null,"finish_reason":null}}"#
        );
        tail(story, to);
    }

    fn content(&self, story: &Story, index: u64, to: &mut BytesMut) {
        head(story, to);
        to.put_slice(br#"{"index":0,"delta":{"#);
        match &story.call {
            Some(called) => {
                let piece = called.piece(index, story.chunks);
                let call = match index {
                    0 => started(story, called, piece),
                    _ => json!({"function": {"arguments": piece}}),
                };
                let _ = write!(to, r#""tool_calls":[{}]"#, indexed(call));
            }
            None => {
                to.put_slice(br#""content":""#);
                story.chunk(index, to);
                to.put_u8(b'"');
            }
        }
        to.put_slice(br#"},"logprobs":null,"finish_reason":null}"#);
        tail(story, to);
    }

    /// The reason, the usage where it was asked for, and the end mark.
    fn closing(&self, story: &Story, to: &mut BytesMut) {
        head(story, to);
        let reason = reason(story);
        let _ = write!(
            to,
            r#"{{"index":0,"delta":{{}},"logprobs":null,"finish_reason":"{reason}"}}"#
        );
        tail(story, to);
        if story.usage {
            head(story, to);
            to.put_slice(br#"],"usage":"#);
            usage(story, to);
            to.put_slice(b"}\n\n");
        }
        to.put_slice(b"data: [DONE]\n\n");
    }

    fn error(&self, _: &Story, _: Option<u64>, to: &mut BytesMut) {
        to.put_slice(
            br#"data: {"error":{"message":"The server had an error while processing your request.","type":"server_error","param":null,"code":null}}"#,
        );
        to.put_slice(b"\n\n");
    }
}

/// A call with its name, and so much of its arguments.
fn started(story: &Story, called: &Called, arguments: &str) -> Value {
    let function = json!({"name": called.tool.name, "arguments": arguments});
    json!({"id": format!("call_sim{:016x}", story.seq), "type": "function", "function": function})
}

fn indexed(mut call: Value) -> Value {
    call["index"] = Value::from(0);
    call
}

fn head(story: &Story, to: &mut BytesMut) {
    let Story {
        seq,
        created,
        model,
        ..
    } = story;
    let _ = write!(
        to,
        r#"data: {{"id":"chatcmpl-sim{seq:016x}","object":"chat.completion.chunk","created":{created},"model":{model},"service_tier":"default","system_fingerprint":"fp_sim","choices":["#
    );
}

fn tail(story: &Story, to: &mut BytesMut) {
    let tail: &[u8] = match story.usage {
        true => b"],\"usage\":null}\n\n",
        false => b"]}\n\n",
    };
    to.put_slice(tail);
}

fn usage(story: &Story, to: &mut BytesMut) {
    let (input, output) = (story.prompt, story.output);
    let total = input + output;
    let _ = write!(
        to,
        r#"{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{total},"prompt_tokens_details":{{"cached_tokens":0,"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}}"#
    );
}

fn reason(story: &Story) -> &'static str {
    match (&story.call, story.capped()) {
        (Some(_), _) => "tool_calls",
        (None, true) => "length",
        (None, false) => "stop",
    }
}
