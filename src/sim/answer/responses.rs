//! Responses: the whole answer, and the events of a stream.

use std::fmt::Write as _;

use bytes::BytesMut;
use serde_json::{Value, json};

use super::story::{Called, Form, Story};

// Writing to a `BytesMut` cannot fail, so the results of `write!` are dropped.

pub(super) struct Response;

impl Form for Response {
    fn whole(&self, story: &Story, to: &mut BytesMut) {
        let _ = write!(to, "{}", ended(story));
    }

    /// The response and, where it is of text, its only item and part, which are empty yet. The item of a call has its name,
    /// which is content.
    fn opening(&self, story: &Story, to: &mut BytesMut) {
        let begun = object(story, "in_progress", &json!([]), &Value::Null);
        let mut events = Events { next: 0, to };
        events.put("response.created", json!({"response": begun}));
        events.put("response.in_progress", json!({"response": begun}));
        if story.call.is_none() {
            let added =
                json!({"output_index": 0, "item": message(story, "in_progress", &json!([]))});
            events.put("response.output_item.added", added);
            let part = json!({"output_index": 0, "content_index": 0, "item_id": item_id(story), "part": part("")});
            events.put("response.content_part.added", part);
        }
    }

    fn content(&self, story: &Story, index: u64, to: &mut BytesMut) {
        let mut events = Events {
            next: before(story) + index,
            to,
        };
        let Some(called) = &story.call else {
            let delta = json!({
                "output_index": 0, "content_index": 0, "item_id": item_id(story),
                "delta": story.string(Some(index)), "logprobs": []
            });
            return events.put("response.output_text.delta", delta);
        };
        if index == 0 {
            events.next -= 1;
            let added = json!({"output_index": 0, "item": call(story, called, "in_progress", "")});
            events.put("response.output_item.added", added);
        }
        let piece = called.piece(index, story.chunks);
        let delta = json!({"output_index": 0, "item_id": item_id(story), "delta": piece});
        events.put("response.function_call_arguments.delta", delta);
    }

    fn closing(&self, story: &Story, to: &mut BytesMut) {
        let next = before(story) + story.chunks;
        let mut events = Events { next, to };
        let id = item_id(story);
        match &story.call {
            Some(called) => {
                let done = json!({
                    "output_index": 0, "item_id": id, "arguments": called.text, "name": called.tool.name
                });
                events.put("response.function_call_arguments.done", done);
            }
            None => {
                let text = story.string(None);
                let done = json!({
                    "output_index": 0, "content_index": 0, "item_id": id, "text": text, "logprobs": []
                });
                events.put("response.output_text.done", done);
                let done = json!({
                    "output_index": 0, "content_index": 0, "item_id": id, "part": part(&text)
                });
                events.put("response.content_part.done", done);
            }
        }
        let done = json!({"output_index": 0, "item": item(story)});
        events.put("response.output_item.done", done);
        let last = if story.capped() {
            "response.incomplete"
        } else {
            "response.completed"
        };
        events.put(last, json!({"response": ended(story)}));
    }

    /// An event, and a response that has failed.
    fn error(&self, story: &Story, after: Option<u64>, to: &mut BytesMut) {
        let next = match after {
            None => 0,
            // The item of a call has not been added yet.
            Some(0) if story.call.is_some() => before(story) - 1,
            Some(sent) => before(story) + sent,
        };
        let mut events = Events { next, to };
        let message = "The server had an error while processing your request.";
        let error = json!({"type": "server_error", "code": "server_error", "message": message, "param": null});
        events.put("error", json!({"error": error}));
        let mut failed = object(story, "failed", &json!([]), &Value::Null);
        failed["error"] = json!({"code": "server_error", "message": message});
        events.put("response.failed", json!({"response": failed}));
    }
}

/// Writes events, and numbers them.
struct Events<'a> {
    next: u64,
    to: &'a mut BytesMut,
}

impl Events<'_> {
    fn put(&mut self, kind: &str, mut event: Value) {
        event["type"] = Value::from(kind);
        event["sequence_number"] = Value::from(self.next);
        self.next += 1;
        let _ = write!(self.to, "event: {kind}\ndata: {event}\n\n");
    }
}

/// How many events stand before the first delta.
fn before(story: &Story) -> u64 {
    if story.call.is_some() { 3 } else { 4 }
}

/// The response as it is in the end.
fn ended(story: &Story) -> Value {
    let (input, output) = (story.prompt, story.output);
    let usage = json!({
        "input_tokens": input,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input + output
    });
    let usage = if story.usage { usage } else { Value::Null };
    let status = status(story);
    let mut object = object(story, status, &json!([item(story)]), &usage);
    if story.capped() {
        object["incomplete_details"] = json!({"reason": "max_output_tokens"});
    }
    object
}

fn object(story: &Story, status: &str, output: &Value, usage: &Value) -> Value {
    let model: Value = serde_json::from_str(&story.model).unwrap_or_default();
    json!({
        "id": format!("resp_sim{:016x}", story.seq), "object": "response", "created_at": story.created,
        "status": status, "background": false, "error": null, "incomplete_details": null,
        "instructions": null, "max_output_tokens": story.cap, "max_tool_calls": null, "model": model,
        "output": output, "parallel_tool_calls": true, "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null}, "service_tier": "default", "store": true,
        "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [],
        "top_p": 1.0, "truncation": "disabled", "usage": usage, "user": null, "metadata": {}
    })
}

/// The only item of the output, whole.
fn item(story: &Story) -> Value {
    match &story.call {
        Some(called) => call(story, called, "completed", &called.text),
        None => message(story, status(story), &json!([part(&story.string(None))])),
    }
}

fn status(story: &Story) -> &'static str {
    if story.capped() {
        "incomplete"
    } else {
        "completed"
    }
}

fn message(story: &Story, status: &str, content: &Value) -> Value {
    let id = item_id(story);
    json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": content})
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
}

fn call(story: &Story, called: &Called, status: &str, arguments: &str) -> Value {
    json!({
        "id": item_id(story), "type": "function_call", "status": status, "arguments": arguments,
        "call_id": format!("call_sim{:016x}", story.seq), "name": called.tool.name
    })
}

fn item_id(story: &Story) -> String {
    let kind = if story.call.is_some() { "fc" } else { "msg" };
    format!("{kind}_sim{:016x}", story.seq)
}
