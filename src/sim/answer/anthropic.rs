//! Messages: the whole answer, and the events of a stream.

use std::fmt::Write as _;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::{Story, request_id, tokens};

// Writing to a `BytesMut` cannot fail, so the results of `write!` are dropped.

/// The answer in one piece.
pub(super) fn whole(story: &Story) -> Bytes {
    let mut to = BytesMut::with_capacity(768);
    let Story { seq, model, .. } = story;
    let _ = write!(
        to,
        r#"{{"model":{model},"id":"msg_sim{seq:016x}","type":"message","role":"assistant","content":[{{"type":"text","text":""#
    );
    tokens(story, story.output, &mut to);
    let reason = reason(story);
    let _ = write!(to, r#""}}],"stop_reason":"{reason}","stop_sequence":null"#);
    usage(story, story.output, &mut to);
    to.put_u8(b'}');
    to.freeze()
}

/// The start of the message and of its only block, and a ping.
pub(super) fn opening(story: &Story, to: &mut BytesMut) {
    let Story { seq, model, .. } = story;
    let _ = write!(
        to,
        "event: message_start\ndata: {{\"type\":\"message_start\",\"message\":{{\"model\":{model},\"id\":\"msg_sim{seq:016x}\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null"
    );
    usage(story, story.output.min(1), to);
    to.put_slice(b"}}\n\nevent: content_block_start\n");
    to.put_slice(
        br#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    );
    to.put_slice(b"\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n");
}

/// A delta with so many tokens.
pub(super) fn content(story: &Story, count: u64, to: &mut BytesMut) {
    to.put_slice(b"event: content_block_delta\n");
    to.put_slice(
        br#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""#,
    );
    tokens(story, count, to);
    to.put_slice(b"\"}}\n\n");
}

/// The end of the block and of the message, with the usage of the whole.
pub(super) fn closing(story: &Story, to: &mut BytesMut) {
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

/// An error in the place of an event; no `message_stop` follows it.
pub(super) fn error(seq: u64, to: &mut BytesMut) {
    let id = request_id(seq);
    let _ = write!(
        to,
        "event: error\ndata: {{\"type\":\"error\",\"error\":{{\"details\":null,\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}},\"request_id\":\"{id}\"}}\n\n"
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
    if story.capped {
        "max_tokens"
    } else {
        "end_turn"
    }
}
