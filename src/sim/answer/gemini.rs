//! Generated content: the whole answer, and the pieces of a stream, which are answers themselves.
//!
//! Nothing opens a stream and nothing but the reason in the last piece ends it. Every piece has the usage so far. A call of
//! a tool comes in one piece.

use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};
use serde_json::{Value, json};

use super::story::{Form, Story};

// Writing to a `BytesMut` cannot fail, so the results of `write!` are dropped.

pub(super) struct Content;

impl Form for Content {
    fn whole(&self, story: &Story, to: &mut BytesMut) {
        let part = match &story.call {
            Some(_) => called(story),
            None => json!({"text": story.string(None)}),
        };
        let _ = write!(
            to,
            "{}",
            answer(story, &part, story.output, Some(reason(story)))
        );
    }

    fn opening(&self, story: &Story, to: &mut BytesMut) {
        if story.list {
            to.put_u8(b'[');
        }
    }

    fn content(&self, story: &Story, index: u64, to: &mut BytesMut) {
        let part = match &story.call {
            Some(_) => called(story),
            None => json!({"text": story.string(Some(index))}),
        };
        let so_far = story.generated(index + 1);
        put(story, &answer(story, &part, so_far, None), index == 0, to);
    }

    fn closing(&self, story: &Story, to: &mut BytesMut) {
        let last = answer(
            story,
            &json!({"text": ""}),
            story.output,
            Some(reason(story)),
        );
        put(story, &last, story.chunks == 0, to);
        if story.list {
            to.put_slice(b"\n]");
        }
    }

    fn error(&self, story: &Story, after: Option<u64>, to: &mut BytesMut) {
        let message = "The model is overloaded. Please try again later.";
        let error = json!({"error": {"code": 503, "message": message, "status": "UNAVAILABLE"}});
        if after.is_none() {
            self.opening(story, to);
        }
        put(story, &error, after.is_none_or(|sent| sent == 0), to);
        if story.list {
            to.put_slice(b"\n]");
        }
    }

    fn calls_at_once(&self) -> bool {
        true
    }
}

/// A piece as an event, or as an element of a list.
fn put(story: &Story, piece: &Value, first: bool, to: &mut BytesMut) {
    let _ = match (story.list, first) {
        (false, _) => write!(to, "data: {piece}\r\n\r\n"),
        (true, true) => write!(to, "{piece}"),
        (true, false) => write!(to, "\n,\r\n{piece}"),
    };
}

fn answer(story: &Story, part: &Value, output: u64, reason: Option<&str>) -> Value {
    let model: Value = serde_json::from_str(&story.model).unwrap_or_default();
    let mut candidate = json!({"content": {"parts": [part], "role": "model"}, "index": 0});
    if let Some(reason) = reason {
        candidate["finishReason"] = Value::from(reason);
    }
    let mut answer = json!({
        "candidates": [candidate], "modelVersion": model, "responseId": format!("sim{:016x}", story.seq)
    });
    if story.usage {
        let prompt = story.prompt;
        answer["usageMetadata"] = json!({
            "promptTokenCount": prompt,
            "candidatesTokenCount": output,
            "totalTokenCount": prompt + output,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}]
        });
    }
    answer
}

fn called(story: &Story) -> Value {
    let call = story.call.as_ref().map(|called| &called.tool);
    json!({"functionCall": call.map(|call| json!({"name": call.name, "args": call.arguments}))})
}

fn reason(story: &Story) -> &'static str {
    if story.capped() { "MAX_TOKENS" } else { "STOP" }
}
