//! Chat completions: the whole answer, and the pieces of a stream.

use std::fmt::Write as _;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::{Story, tokens};

// Writing to a `BytesMut` cannot fail, so the results of `write!` are dropped.

/// The answer in one piece.
pub(super) fn whole(story: &Story) -> Bytes {
    let mut to = BytesMut::with_capacity(768);
    let Story {
        seq,
        created,
        model,
        ..
    } = story;
    let _ = write!(
        to,
        r#"{{"id":"chatcmpl-sim{seq:016x}","object":"chat.completion","created":{created},"model":{model},"choices":[{{"index":0,"message":{{"role":"assistant","content":""#
    );
    tokens(story, story.output, &mut to);
    let reason = reason(story);
    let _ = write!(
        to,
        r#"","refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"{reason}"}}]"#
    );
    if story.usage {
        to.put_slice(br#","usage":"#);
        usage(story, &mut to);
    }
    to.put_slice(br#","service_tier":"default","system_fingerprint":"fp_sim"}"#);
    to.freeze()
}

/// The first chunk: the role, and no content yet.
pub(super) fn opening(story: &Story, to: &mut BytesMut) {
    head(story, to);
    to.put_slice(
        br#"{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}"#,
    );
    tail(story, to);
}

/// A chunk with so many tokens.
pub(super) fn content(story: &Story, count: u64, to: &mut BytesMut) {
    head(story, to);
    to.put_slice(br#"{"index":0,"delta":{"content":""#);
    tokens(story, count, to);
    to.put_slice(br#""},"logprobs":null,"finish_reason":null}"#);
    tail(story, to);
}

/// The last chunks: the reason, the usage where it was asked for, and the end mark.
pub(super) fn closing(story: &Story, to: &mut BytesMut) {
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

/// An error in the place of a chunk; no end mark follows it.
pub(super) fn error(to: &mut BytesMut) {
    to.put_slice(
        br#"data: {"error":{"message":"The server had an error while processing your request.","type":"server_error","param":null,"code":null}}"#,
    );
    to.put_slice(b"\n\n");
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
    if story.capped { "length" } else { "stop" }
}
