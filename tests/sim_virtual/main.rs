//! The simulated provider as a service, in virtual time and without sockets.
#![cfg(feature = "sim")]
#![allow(
    clippy::unwrap_used,
    reason = "the helpers of tests, too, fail by panicking"
)]

mod answers;
mod config;
mod dialects;
mod faults;
mod ledger;
mod limits;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower_quota::sim::{SimBody, SimConfig, SimError, SimLimit, Simulator};
use tower_service::Service;

const MINUTE: Duration = Duration::from_secs(60);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

async fn pass(time: Duration) {
    tokio::time::advance(time).await;
}

/// A simulator with these limits; its clock starts now.
fn limited(limits: impl Into<Vec<SimLimit>>) -> Simulator {
    started(SimConfig {
        limits: limits.into(),
        ..SimConfig::default()
    })
}

fn started(config: SimConfig) -> Simulator {
    let simulator = Simulator::new(config);
    simulator.now();
    simulator
}

/// A request to be sent.
#[derive(Clone)]
struct Call {
    path: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Value,
}

/// An OpenAI call with 10 tokens of text and no output cap.
fn chat() -> Call {
    Call {
        path: "/v1/chat/completions",
        headers: Vec::new(),
        body: json!({"model": "gpt", "messages": []}),
    }
    .text(10)
}

/// An Anthropic call with 10 tokens of text and an output cap of 100.
fn message() -> Call {
    Call {
        path: "/v1/messages",
        headers: Vec::new(),
        body: json!({"model": "claude", "messages": []}),
    }
    .text(10)
    .cap(100)
}

impl Call {
    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.body[name] = value.into();
        self
    }

    fn text(self, tokens: usize) -> Self {
        let text = "word".repeat(tokens);
        self.with("messages", json!([{"role": "user", "content": text}]))
    }

    fn cap(self, tokens: u64) -> Self {
        self.with("max_tokens", tokens)
    }

    fn model(self, model: &str) -> Self {
        self.with("model", model)
    }

    fn stream(self) -> Self {
        self.with("stream", true)
    }

    fn usage(self) -> Self {
        self.with("stream_options", json!({"include_usage": true}))
    }

    fn key(mut self, key: &str) -> Self {
        self.headers
            .push(("authorization", format!("Bearer {key}")));
        self
    }

    fn fault(mut self, fault: &str) -> Self {
        self.headers.push(("x-sim-fault", fault.to_owned()));
        self
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::post(self.path);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(self.body.to_string().into()).unwrap()
    }
}

struct Reply {
    status: u16,
    headers: HeaderMap,
    text: String,
    /// Whether the body ended without an error.
    whole: bool,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn number(&self, name: &str) -> u64 {
        self.header(name).unwrap().parse().unwrap()
    }

    /// The data of each event that is JSON.
    fn events(&self) -> Vec<Value> {
        let data = self
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "));
        data.filter_map(|data| serde_json::from_str(data).ok())
            .collect()
    }
}

/// Sends a call, and does not read the body of its answer.
async fn begin(simulator: &Simulator, call: &Call) -> Result<Response<SimBody>, SimError> {
    simulator.service().call(call.request()).await
}

/// Sends a call and reads the whole answer.
async fn send(simulator: &Simulator, call: &Call) -> Reply {
    read(begin(simulator, call).await.unwrap()).await
}

async fn read(response: Response<SimBody>) -> Reply {
    let (parts, mut body) = response.into_parts();
    let (mut text, mut whole) = (Vec::new(), true);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => text.extend(frame.into_data().unwrap()),
            Err(_) => whole = false,
        }
    }
    Reply {
        status: parts.status.as_u16(),
        headers: parts.headers,
        text: String::from_utf8(text).unwrap(),
        whole,
    }
}

async fn status(simulator: &Simulator, call: &Call) -> u16 {
    send(simulator, call).await.status
}
