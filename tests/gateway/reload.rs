//! C6: the file is read again on SIGHUP.
#![cfg(unix)]

use serde_json::json;

use crate::{
    calls::{chat, json_of},
    process::{Gateway, soon},
    upstream::Held,
};

#[tokio::test]
async fn c6_other_amounts_hold_at_once_what_counts_stays_and_a_bad_file_changes_nothing() {
    let mut upstream = Held::start().await;
    let address = format!("http://{}", upstream.addr);
    let limit = |n: u64| format!("{{ global: {{ max_requests_per_run: {n} }} }}");
    let mut gateway = Gateway::start(&address, &limit(1)).await;
    let sent = tokio::spawn(chat(&gateway, json!({})).send());
    upstream.call().await.answer().piece("{}");
    soon(sent).await.unwrap().unwrap();

    for (bad, says) in [
        ("{ global: { max_requests_per_run: 0 } }", "`amount` is 0"),
        (
            "{ global: { max_requests_per_run: 9 }, queue: { aging: 1s } }",
            "rate_limiting.queue.aging",
        ),
        ("[", "line"),
    ] {
        let said = gateway.reload(bad).await;
        assert!(
            said.starts_with("tower-quota: not reloaded, all is as it was: "),
            "{said}"
        );
        assert!(said.contains(says), "{bad}: {said}");
    }
    let elsewhere =
        "rate_limiting: { global: { max_requests_per_run: 9 } }\ngateway: { upstream: 'http://x' }";
    let said = gateway.reload_text(elsewhere).await;
    assert!(said.contains("`gateway` cannot change"), "{said}");
    let (status, body) = json_of(soon(chat(&gateway, json!({})).send()).await.unwrap()).await;
    assert_eq!(status, 429, "{body}");

    let said = gateway.reload(&limit(2)).await;
    assert_eq!(
        said,
        "tower-quota: reloaded; requests 2/run per run, before requests 1/run per run"
    );
    let sent = tokio::spawn(chat(&gateway, json!({})).send());
    upstream.call().await.answer().piece("{}");
    soon(sent).await.unwrap().unwrap();
    let (status, body) = json_of(soon(chat(&gateway, json!({})).send()).await.unwrap()).await;
    assert_eq!(status, 429, "two of two: {body}");
    assert_eq!(
        gateway.reload(&limit(2)).await,
        "tower-quota: reloaded; nothing is another"
    );

    let said = gateway
        .reload("{ global: { concurrent_requests: 9 } }")
        .await;
    assert_eq!(
        said,
        "tower-quota: reloaded; new: concurrency 9, gone: requests 2/run per run"
    );
    let sent = tokio::spawn(chat(&gateway, json!({})).send());
    upstream.call().await.answer().piece("{}");
    soon(sent).await.unwrap().unwrap();

    gateway.term().await;
    assert_eq!(gateway.ended().await.code(), Some(0));
}
