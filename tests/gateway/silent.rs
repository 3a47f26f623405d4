//! Upstreams that take calls and do not answer.

use serde_json::json;

use crate::{
    calls::{chat, json_of},
    process::{Gateway, soon},
    upstream::Held,
};

#[tokio::test]
async fn an_upstream_that_does_not_begin_to_answer_has_failed_and_is_not_asked_again() {
    let mut upstream = Held::start().await;
    let text = format!(
        "gateway: {{ listen: '127.0.0.1:0', upstream: 'http://{}', answers_within: 3s }}\n\
         rate_limiting: {{ global: {{ concurrent_requests: 1 }}, retry: {{ max_attempts: 3 }} }}",
        upstream.addr
    );
    let gateway = Gateway::start_text("", &text).await;
    let call = || tokio::spawn(chat(&gateway, json!({})).send());
    let first = call();
    let held = upstream.call().await;
    let answer = soon(first).await.unwrap().unwrap();
    held.given_up().await;
    let help = answer.headers()["link"].to_str().unwrap().to_owned();
    assert!(help.contains("#upstream_silent>"), "{help}");
    let (status, body) = json_of(answer).await;
    assert_eq!(status, 504, "{body}");
    let message = body["error"]["message"].as_str().unwrap();
    assert!(
        message.ends_with("has not answered within 3 s: see `gateway.answers_within`"),
        "{message}"
    );
    assert!(upstream.is_unasked());
    // The next one has the only place.
    let next = call();
    drop(upstream.call().await.answer());
    assert_eq!(soon(next).await.unwrap().unwrap().status(), 200);
    assert!(upstream.is_unasked());
}
