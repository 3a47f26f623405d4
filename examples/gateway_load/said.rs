//! What is asked and answered: the same bytes for everybody.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use http::{Request, header};
use http_body_util::Full;
use hyper::body::Bytes;

/// In tokens, of every answer.
pub(crate) const INPUT: u64 = 120;
pub(crate) const OUTPUT: u64 = 180;
const AGENTS: usize = 16;
/// Of a long call, in bytes.
const HISTORY: usize = 64 << 10;
/// Events of a stream that bring text.
const EVENTS: usize = 24;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// One answer of a kilobyte.
    Chat,
    /// The same as a stream.
    Stream,
    /// As a chat, of an agent that has been at work for a while: all that was said is sent again, and something new.
    Long,
    /// A stream that begins, and says nothing more.
    Held,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Chat => "chat",
            Kind::Stream => "stream",
            Kind::Long => "long",
            Kind::Held => "held",
        }
    }

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

/// A call that a connection makes. Long ones end with what nobody has said before, in this process.
pub(crate) fn call(kind: Kind, connection: usize) -> Request<Full<Bytes>> {
    let stream = match kind {
        Kind::Chat | Kind::Long => "",
        Kind::Stream | Kind::Held => ",\"stream\":true,\"stream_options\":{\"include_usage\":true}",
    };
    let weather = || "Tell me what the weather is like. ".repeat(12);
    let (before, last) = match kind {
        Kind::Chat | Kind::Stream => ("", weather()),
        Kind::Held => ("", weather() + " and wait"),
        Kind::Long => (history(connection % AGENTS), news(connection)),
    };
    let body = format!(
        "{{\"model\":\"gpt-4o-mini\",\"max_tokens\":200,\"messages\":[{{\"role\":\"system\",\"content\":\"You are a careful \
         assistant.\"}},{before}{{\"role\":\"user\",\"content\":\"{last}\"}}]{stream}}}"
    );
    Request::post("/v1/chat/completions")
        .header(header::HOST, "localhost")
        .header(header::AUTHORIZATION, "Bearer sk-load")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "gateway_load")
        .header("x-quota-team", format!("team-{}", connection % 4))
        .header("x-quota-agent", format!("agent-{}", connection % AGENTS))
        .body(Full::new(body.into()))
        .expect("is a request")
}

/// What comes next.
fn news(connection: usize) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!(
        "Run {number} of agent {connection}: 3 of 41 tests fail. The first says \\\"expected {number}, found {}\\\", in a file \
         that nobody has changed since the last run.\\nLook into that before anything else, and say what you find.",
        number * 7
    )
}

/// What an agent has said and was answered: questions, and files with their lines and quotes.
fn history(agent: usize) -> &'static str {
    static ALL: [OnceLock<String>; AGENTS] = [const { OnceLock::new() }; AGENTS];
    ALL[agent].get_or_init(|| {
        let mut said = String::new();
        for number in 0.. {
            let lines = (0..20).map(|line| {
                format!("    let value_{line} = read(\\\"file {number} of agent {agent}\\\", {line})?;\\n")
            });
            said += &format!(
                "{{\"role\":\"user\",\"content\":\"What does part {number} of the work of agent {agent} do, and why?\"}},\
                 {{\"role\":\"assistant\",\"content\":\"It reads what it needs:\\n{}\"}},",
                lines.collect::<String>()
            );
            if said.len() >= HISTORY {
                break;
            }
        }
        said
    })
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
