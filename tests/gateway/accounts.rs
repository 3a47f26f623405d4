//! Callers with keys of their own have accounts of their own: what a provider says of one holds back nobody else.

use serde_json::{Value, json};
use tower_quota::sim::{SimConfig, Simulator};

use crate::{
    calls::{client, json_of},
    process::{Gateway, soon},
};

const TOLD: &str = "status=429;retry-after=3600";

/// A chat with this key, which waits for a second at most; with this fault, where the upstream knows any.
async fn chat(gateway: &Gateway, key: &str, fault: &str) -> (u16, Value) {
    let call = client()
        .post(gateway.url("/v1/chat/completions"))
        .bearer_auth(key)
        .header("x-quota-deadline", "1s")
        .header("x-sim-fault", fault)
        .body(json!({"model": "sim-1", "max_tokens": 9, "messages": []}).to_string());
    json_of(soon(call.send()).await.unwrap()).await
}

#[tokio::test]
async fn a_told_wait_holds_back_whoever_has_the_same_key_and_nobody_else() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let gateway = Gateway::start(&sim.base_url(), "{ retry: { max_attempts: 1 } }").await;
    let (status, _) = chat(&gateway, "sk-first", TOLD).await;
    assert_eq!((status, sim.ledger().attempts()), (429, 1));

    let (status, body) = chat(&gateway, "sk-second", "").await;
    assert_eq!((status, sim.ledger().attempts()), (200, 2), "{body}");

    let (status, body) = chat(&gateway, "sk-first", "").await;
    assert_eq!((status, sim.ledger().attempts()), (429, 2), "{body}");
    let message = body["error"]["message"].as_str().unwrap();
    let named = "cooldown of provider=openai, api_key=caller-";
    assert!(message.contains(named), "{message}");
    assert!(!message.contains("sk-first"), "{message}");
}

#[tokio::test]
async fn what_the_upstream_does_not_look_at_makes_nobody_else_of_a_caller() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let limits = "{ limits: [{ quantity: requests, amount: 1, every: 1h, per: [api_key] }] }";
    let gateway = Gateway::start(&sim.base_url(), limits).await;
    for (junk, expected) in [("first", 200), ("second", 429), ("third", 429)] {
        let call = client()
            .post(gateway.url("/v1/chat/completions?key=junk"))
            .bearer_auth("sk-first")
            .header("x-goog-api-key", junk)
            .header("x-api-key", junk)
            .header("openai-project", junk)
            .header("x-quota-deadline", "1s")
            .body(json!({"model": "sim-1", "max_tokens": 9, "messages": []}).to_string());
        let (status, body) = json_of(soon(call.send()).await.unwrap()).await;
        assert_eq!(status, expected, "{junk}: {body}");
    }
    assert_eq!(chat(&gateway, "sk-second", "").await.0, 200);
}

#[tokio::test]
async fn a_told_wait_holds_back_all_whose_calls_go_with_the_key_of_the_gateway() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let text = format!(
        "rate_limiting: {{ retry: {{ max_attempts: 1 }} }}
gateway:
  listen: '127.0.0.1:0'
  upstreams: {{ openai: {{ url: '{}', key: sk-ours }} }}
",
        sim.base_url()
    );
    let gateway = Gateway::start_text("", &text).await;
    let (status, _) = chat(&gateway, "sk-first", TOLD).await;
    assert_eq!(status, 429);
    let (status, body) = chat(&gateway, "sk-second", "").await;
    assert_eq!((status, sim.ledger().attempts()), (429, 1), "{body}");
    let message = body["error"]["message"].as_str().unwrap();
    let named = "cooldown of provider=openai, model=sim-1";
    assert!(message.contains(named), "{message}");
}
