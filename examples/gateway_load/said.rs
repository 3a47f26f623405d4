//! What is asked and answered: the same bytes for everybody.

use http::{Request, header};
use http_body_util::Full;
use hyper::body::Bytes;

/// In tokens, of every answer.
pub(crate) const INPUT: u64 = 120;
pub(crate) const OUTPUT: u64 = 180;
/// Events of a stream that bring text.
const EVENTS: usize = 24;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// One answer of a kilobyte.
    Chat,
    /// The same as a stream.
    Stream,
    /// A stream that begins, and says nothing more.
    Held,
}

impl Kind {
    /// By what the upstream is asked.
    pub(crate) fn of(body: &[u8]) -> Self {
        let has = |word: &str| memchr::memmem::find(body, word.as_bytes()).is_some();
        if !has("\"stream\":true") {
            Kind::Chat
        } else if has("and wait") {
            Kind::Held
        } else {
            Kind::Stream
        }
    }
}

/// The call that a connection makes, whichever turn it is.
pub(crate) fn call(kind: Kind, connection: usize) -> Request<Full<Bytes>> {
    let stream = match kind {
        Kind::Chat => "",
        Kind::Stream | Kind::Held => ",\"stream\":true,\"stream_options\":{\"include_usage\":true}",
    };
    let wait = if kind == Kind::Held { " and wait" } else { "" };
    let body = format!(
        "{{\"model\":\"gpt-4o-mini\",\"max_tokens\":200,\"messages\":[{{\"role\":\"system\",\"content\":\"You are a careful \
         assistant.\"}},{{\"role\":\"user\",\"content\":\"{}{wait}\"}}]{stream}}}",
        "Tell me what the weather is like. ".repeat(12)
    );
    Request::post("/v1/chat/completions")
        .header(header::HOST, "localhost")
        .header(header::AUTHORIZATION, "Bearer sk-load")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "gateway_load")
        .header("x-quota-team", format!("team-{}", connection % 4))
        .header("x-quota-agent", format!("agent-{}", connection % 16))
        .body(Full::new(body.into()))
        .expect("is a request")
}

/// The answer to a call that is no stream.
pub(crate) fn answer() -> Bytes {
    let text = "It is fair, with a light wind from the west. ".repeat(14);
    let answer = serde_json::json!({
        "id": "chatcmpl-load", "object": "chat.completion", "created": 1_790_000_000, "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT,
            "prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0}
        }
    });
    answer.to_string().into()
}

/// The chunks of a stream, each an event.
pub(crate) fn events() -> Vec<Bytes> {
    let event = |choices: serde_json::Value, usage: serde_json::Value| {
        let event = serde_json::json!({
            "id": "chatcmpl-load", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": "gpt-4o-mini",
            "choices": choices, "usage": usage
        });
        Bytes::from(format!("data: {event}\n\n"))
    };
    let delta = |delta: serde_json::Value, finish: serde_json::Value| {
        let choice = serde_json::json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
        event(choice, serde_json::Value::Null)
    };
    let null = serde_json::Value::Null;
    let mut events = vec![delta(
        serde_json::json!({"role": "assistant", "content": ""}),
        null.clone(),
    )];
    let text = delta(serde_json::json!({"content": " light wind"}), null);
    events.extend(std::iter::repeat_n(text, EVENTS));
    events.push(delta(serde_json::json!({}), "stop".into()));
    let usage = serde_json::json!({
        "prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT
    });
    events.push(event(serde_json::json!([]), usage));
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
}
