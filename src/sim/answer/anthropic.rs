//! Messages: the whole answer, and the events of a stream.

use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};
use serde_json::{Value, json};

use super::request_id;
use super::story::{Called, Form, Story};

// Writing to a `BytesMut` cannot fail, so the results of `write!` are dropped.

pub(super) struct Message;

impl Form for Message {
    fn whole(&self, story: &Story, to: &mut BytesMut) {
        let Story { seq, model, .. } = story;
        let _ = write!(
            to,
            r#"{{"model":{model},"id":"msg_sim{seq:016x}","type":"message","role":"assistant","content":["#
        );
        match &story.call {
            Some(called) => {
                let _ = write!(to, "{}", block(story, called, &called.tool.arguments));
            }
            None => {
                to.put_slice(br#"{"type":"text","text":""#);
                story.text(to);
                to.put_slice(b"\"}");
            }
        }
        let reason = reason(story);
        let _ = write!(to, r#"],"stop_reason":"{reason}","stop_sequence":null"#);
        usage(story, story.output, to);
        to.put_u8(b'}');
    }

    /// The start of the message and of its only block, and a ping. The block of a call has its name, which is content.
    fn opening(&self, story: &Story, to: &mut BytesMut) {
        let Story { seq, model, .. } = story;
        let _ = write!(
            to,
            "event: message_start\ndata: {{\"type\":\"message_start\",\"message\":{{\"model\":{model},\"id\":\"msg_sim{seq:016x}\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null"
        );
        usage(story, story.output.min(1), to);
        to.put_slice(b"}}\n\n");
        if story.call.is_none() {
            start(&json!({"type": "text", "text": ""}), to);
        }
        to.put_slice(b"event: ping\ndata: {\"type\":\"ping\"}\n\n");
    }

    fn content(&self, story: &Story, index: u64, to: &mut BytesMut) {
        if let Some(called) = &story.call {
            if index == 0 {
                start(&block(story, called, &json!({})), to);
            }
            let piece = Value::from(called.piece(index, story.chunks));
            let _ = write!(
                to,
                "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"input_json_delta\",\"partial_json\":{piece}}}}}\n\n"
            );
            return;
        }
        to.put_slice(b"event: content_block_delta\n");
        to.put_slice(
            br#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""#,
        );
        story.chunk(index, to);
        to.put_slice(b"\"}}\n\n");
    }

    /// The end of the block and of the message, with the usage of the whole.
    fn closing(&self, story: &Story, to: &mut BytesMut) {
        let reason = reason(story);
        to.put_slice(
            b"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
        );
        let _ = write!(
            to,
            "event: message_delta\ndata: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"{reason}\",\"stop_sequence\":null}}"
        );
        if story.usage {
            let (input, output) = (story.prompt, story.output);
            let _ = write!(
                to,
                r#","usage":{{"input_tokens":{input},"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":{output}}}"#
            );
        }
        to.put_slice(b"}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    }

    fn error(&self, story: &Story, _: Option<u64>, to: &mut BytesMut) {
        let id = request_id(story.seq);
        let _ = write!(
            to,
            "event: error\ndata: {{\"type\":\"error\",\"error\":{{\"details\":null,\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}},\"request_id\":\"{id}\"}}\n\n"
        );
    }
}

/// The block of a call.
fn block(story: &Story, called: &Called, input: &Value) -> Value {
    let id = format!("toolu_sim{:016x}", story.seq);
    json!({"type": "tool_use", "id": id, "name": called.tool.name, "input": input})
}

fn start(block: &Value, to: &mut BytesMut) {
    let _ = write!(
        to,
        "event: content_block_start\ndata: {{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{block}}}\n\n"
    );
}

fn usage(story: &Story, output: u64, to: &mut BytesMut) {
    if !story.usage {
        return;
    }
    let input = story.prompt;
    let _ = write!(
        to,
        r#","usage":{{"input_tokens":{input},"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0}},"output_tokens":{output},"service_tier":"standard","inference_geo":"global"}}"#
    );
}

fn reason(story: &Story) -> &'static str {
    match (&story.call, story.capped()) {
        (Some(_), _) => "tool_use",
        (None, true) => "max_tokens",
        (None, false) => "end_turn",
    }
}
