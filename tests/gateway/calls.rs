//! Calls as programs make them.

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::process::Gateway;

/// A client that asks nobody but the gateway.
pub(crate) fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// A chat, with these fields in its body.
pub(crate) fn chat(gateway: &Gateway, more: Value) -> RequestBuilder {
    let mut body = json!({
        "model": "sim-1", "messages": [{"role": "user", "content": "Say something."}],
    });
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more);
    }
    client()
        .post(gateway.url("/v1/chat/completions"))
        .header("authorization", "Bearer sk-caller")
        .header("content-type", "application/json")
        .body(body.to_string())
}

/// An answer's status and its body as JSON.
pub(crate) async fn json_of(answer: reqwest::Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    (status, body)
}
