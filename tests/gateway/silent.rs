//! Upstreams that take calls and do not answer.

use serde_json::json;

use crate::{
    calls::{chat, json_of},
    process::{Gateway, soon},
    upstream::Held,
};

#[tokio::test]
async fn an_upstream_that_does_not_begin_to_answer_has_failed() {
    let mut upstream = Held::start().await;
    let text = format!(
        "gateway: {{ listen: '127.0.0.1:0', upstream: 'http://{}', answers_within: 200ms }}\n\
         rate_limiting: {{ global: {{ concurrent_requests: 2 }} }}",
        upstream.addr
    );
    let gateway = Gateway::start_text("", &text).await;
    let stream = tokio::spawn(chat(&gateway, json!({"stream": true})).send());
    let answering = upstream.call().await.sse();
    let stream = soon(stream).await.unwrap().unwrap();

    // Two calls, one after the other, have the second place.
    for _ in 0..2 {
        let call = tokio::spawn(chat(&gateway, json!({})).send());
        let held = upstream.call().await;
        held.given_up().await;
        let answer = soon(call).await.unwrap().unwrap();
        let help = answer.headers()["link"].to_str().unwrap().to_owned();
        assert!(help.contains("#upstream_silent>"), "{help}");
        let (status, body) = json_of(answer).await;
        assert_eq!(status, 504, "{body}");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(
            message.ends_with("has not answered within 0.2 s: see `gateway.answers_within`"),
            "{message}"
        );
    }
    // One that has begun is in no hurry.
    answering.piece("data: [DONE]\n\n");
    drop(answering);
    assert_eq!(soon(stream.text()).await.unwrap(), "data: [DONE]\n\n");
}
