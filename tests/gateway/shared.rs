//! Gateways that count on one server: what one has changed by hand another knows that changes something.

#[path = "../support/redis/mod.rs"]
mod servers;

use reqwest::Method;
use serde_json::{Value, json};
use servers::Server;

use crate::{admin::ask, keys::Keyed};

async fn post(keyed: &Keyed, token: &str, path: &str, body: Value) -> (u16, Value) {
    ask(
        &keyed.gateway,
        Some(token),
        (Method::POST, path),
        Some(body),
    )
    .await
}

#[tokio::test]
async fn what_one_has_paused_or_raised_just_now_another_ends_or_raises_further() {
    let server = Server::start(&[]);
    // Neither asks by itself meanwhile.
    let store = format!("{}?timeout=20s&silence=24h", server.url());
    let limits = format!("{{ store: '{store}', global: {{ rpm: 60 }} }}");
    let upstreams = "{ openai: { url: 'http://127.0.0.1:1' } }";
    let mut one = Keyed::start(upstreams, &limits).await;
    let mut other = Keyed::start(upstreams, &limits).await;
    let ops = ["ops", "--role", "admin"];
    let (ours, theirs) = (one.key(&ops).await, other.key(&ops).await);

    let scout = || json!({ "tags": { "agent": "scout" } });
    let (status, said) = post(&one, &ours, "/quota/pauses", scout()).await;
    assert_eq!(status, 200, "{said}");
    let (status, said) = post(&other, &theirs, "/quota/pauses/end", scout()).await;
    assert_eq!((status, &said["pauses"]), (200, &json!([])), "{said}");
    let (status, said) = post(&one, &ours, "/quota/pauses/end", scout()).await;
    assert_eq!(status, 404, "{said}");

    let raise =
        |from: u64, to: u64| json!({ "limit": format!("requests {from}/min"), "amount": to });
    let path = "/quota/limits/amount";
    let (status, said) = post(&one, &ours, path, raise(60, 70)).await;
    assert_eq!(status, 200, "{said}");
    let (status, said) = post(&other, &theirs, path, raise(70, 80)).await;
    assert_eq!(
        (status, &said["limits"]),
        (200, &json!(["requests 80/min"])),
        "{said}"
    );
    let (status, said) = post(&one, &ours, path, raise(70, 90)).await;
    assert_eq!(status, 404, "{said}");
}
