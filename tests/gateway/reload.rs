//! C6: the file is read again on SIGHUP.
#![cfg(unix)]

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::unix::pipe, process::Command};

use crate::{
    admin::ask,
    calls::{chat, client, json_of},
    keys::Keyed,
    process::{Gateway, run, soon, tower_quota},
    told::waiting,
    upstream::{Held, echo},
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

/// The end of this pipe to write to, as soon as somebody reads.
async fn read_by_somebody(path: &str) -> pipe::Sender {
    let opened = async {
        loop {
            // There is nothing to wait on: whoever opens a pipe that nobody reads is refused.
            match pipe::OpenOptions::new().open_sender(path) {
                Ok(end) => return end,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(1)).await,
            }
        }
    };
    soon(opened).await
}

#[tokio::test]
async fn c6_a_hangup_that_comes_before_it_listens_ends_nothing_and_is_heard_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quota.yaml");
    let path = path.to_str().unwrap();
    let made = Command::new("mkfifo").arg(path).status().await;
    assert!(made.unwrap().success());
    let text =
        "rate_limiting: {}\ngateway: { upstream: 'http://127.0.0.1:1', listen: '127.0.0.1:0' }";

    // As long as nothing comes through the pipe it reads its configuration.
    let child = tower_quota(&["serve", "--config", path]).spawn().unwrap();
    let mut end = read_by_somebody(path).await;
    let pid = child.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-HUP", &pid]).status().await;
    assert!(sent.unwrap().success());
    end.write_all(text.as_bytes()).await.unwrap();
    drop(end);
    let mut gateway = Gateway::started(child).await;

    let mut end = read_by_somebody(path).await;
    end.write_all(text.as_bytes()).await.unwrap();
    drop(end);
    assert_eq!(
        gateway.complaint().await,
        "tower-quota: reloaded; nothing is another"
    );
    gateway.term().await;
    assert_eq!(gateway.ended().await.code(), Some(0));
}

#[tokio::test]
async fn keys_are_taken_though_the_configuration_is_not() {
    let upstreams = format!("{{ mine: {{ url: 'http://{}' }} }}", echo().await);
    let mut keyed = Keyed::start(&upstreams, "{}").await;
    let state = keyed.state.to_str().unwrap();
    let made = run(&["admin", "--state", state, "key", "create", "new"]).await;
    assert!(made.status.success(), "{made:?}");
    let token = String::from_utf8(made.stdout).unwrap();

    let mut said = keyed.gateway.reload_text("rate_limiting: [").await;
    while !said.contains("reloaded") {
        said = keyed.gateway.complaint().await;
    }
    let begins = "tower-quota: not reloaded, all is as it was but for the keys, read again: ";
    assert!(said.starts_with(begins), "{said}");
    let url = keyed.gateway.url("/v1/chat/completions");
    let call = client().post(url).bearer_auth(token.trim());
    let call = call.body(r#"{"model":"sim-1","max_tokens":9,"messages":[]}"#);
    let answer = soon(call.send()).await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
}

/// What the audit log has of keys: whose, what it was, what it is, and by whom.
async fn noted_of_keys(gateway: &Gateway, token: &str) -> Vec<String> {
    let asked = (Method::GET, "/quota/audit");
    let (_, said) = ask(gateway, Some(token), asked, None).await;
    let audit = said["audit"].as_array().unwrap().iter();
    let of_keys = audit.filter(|entry| entry["what"] == "key");
    let word = |entry: &Value, name: &str| entry[name].as_str().unwrap_or("-").to_owned();
    let words = |entry: &Value| ["subject", "old", "new", "by"].map(|name| word(entry, name));
    of_keys.map(|entry| words(entry).join(" ")).collect()
}

#[tokio::test]
async fn what_is_done_to_the_file_of_keys_is_noted_and_ends_calls_that_wait() {
    let mut upstream = Held::start().await;
    let upstreams = format!("{{ mine: {{ url: 'http://{}' }} }}", upstream.addr);
    let mut keyed = Keyed::start(&upstreams, "{ global: { concurrent_requests: 1 } }").await;
    let ops = keyed.key(&["ops", "--role", "admin"]).await;
    let (mut calls, mut held) = (Vec::new(), None);
    for name in ["first", "leaked", "stale", "good"] {
        let token = keyed.key(&[name]).await;
        let call = chat(&keyed.gateway, json!({})).header("x-quota-key", token);
        calls.push(tokio::spawn(call.send()));
        if held.is_none() {
            held = Some(upstream.call().await);
        }
        waiting(&keyed.gateway, &ops, calls.len() - 1).await;
    }
    let [first, leaked, stale, good] = <[_; 4]>::try_from(calls).unwrap();
    let mut expected = ["first", "leaked", "stale", "good"]
        .map(|name| format!("{name} - caller this program"))
        .to_vec();
    expected.insert(0, "ops - admin this program".to_owned());
    assert_eq!(noted_of_keys(&keyed.gateway, &ops).await, expected);

    let state = keyed.state.to_str().unwrap().to_owned();
    let offline = async |verb: &str, name: &str| {
        let done = run(&["admin", "--state", &state, "key", verb, name]).await;
        assert!(done.status.success(), "{done:?}");
    };
    offline("disable", "leaked").await;
    let said = keyed.gateway.hangup().await;
    assert!(said.contains("reloaded; nothing is another"), "{said}");
    let ended = soon(leaked).await.unwrap().unwrap();
    let (status, body) = json_of(ended).await;
    assert_eq!((status, &body["error"]["code"]), (409, &json!("cancelled")));
    expected.push("leaked enabled disabled this program".to_owned());
    assert_eq!(noted_of_keys(&keyed.gateway, &ops).await, expected);
    assert_eq!(waiting(&keyed.gateway, &ops, 2).await.len(), 3);

    // Along with the next change that somebody makes.
    offline("delete", "stale").await;
    let asked = (Method::POST, "/quota/keys");
    let more = Some(json!({ "name": "more" }));
    let (status, said) = ask(&keyed.gateway, Some(&ops), asked, more).await;
    assert_eq!((status, &said["warning"]), (201, &Value::Null), "{said}");
    let ended = soon(stale).await.unwrap().unwrap();
    assert_eq!(ended.status().as_u16(), 409);
    expected.push("stale caller - this program".to_owned());
    expected.push("more - caller ops".to_owned());
    keyed.gateway.hangup().await;
    let noted = noted_of_keys(&keyed.gateway, &ops).await;
    assert_eq!(noted, expected, "each once");

    drop(held.unwrap().answer());
    assert_eq!(soon(first).await.unwrap().unwrap().status(), 200);
    drop(upstream.call().await.answer());
    assert_eq!(soon(good).await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn a_file_of_keys_that_is_gone_is_said_and_its_keys_hold_while_all_else_is_taken() {
    let upstreams = format!("{{ mine: {{ url: 'http://{}' }} }}", echo().await);
    let mut keyed = Keyed::start(&upstreams, "{}").await;
    let token = keyed.key(&["ci"]).await;
    std::fs::remove_file(&keyed.state).unwrap();
    let state = keyed.state.display().to_string();
    let gateway = &mut keyed.gateway;
    for (limits, says) in [
        ("[", "not reloaded, all is as it was: "),
        (
            "{ global: { concurrent_requests: 9 } }",
            "reloaded; new: concurrency 9",
        ),
    ] {
        let text = format!(
            "rate_limiting: {limits}
gateway: {{ listen: '127.0.0.1:0', state: '{state}', upstreams: {upstreams} }}"
        );
        let gone = gateway.reload_text(&text).await;
        assert!(gone.contains("is gone"), "{gone}");
        let said = gateway.complaint().await;
        let begins = format!("tower-quota: {says}");
        assert!(said.starts_with(&begins), "{said}");
        let call = chat(gateway, json!({})).header("x-quota-key", &token);
        assert_eq!(soon(call.send()).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn c6_a_budget_that_comes_has_a_forecast_and_sums_as_those_that_were_there() {
    let upstreams = format!("{{ mine: {{ url: 'http://{}' }} }}", echo().await);
    let mut keyed = Keyed::start(&upstreams, "{}").await;
    let ops = keyed.key(&["ops", "--role", "admin"]).await;
    let costs = (Method::GET, "/quota/costs?by=provider,model");
    let (status, said) = ask(&keyed.gateway, Some(&ops), costs.clone(), None).await;
    assert_eq!(status, 400, "{said}");

    let state = keyed.state.display();
    let text = format!(
        "rate_limiting: {{ budgets: [{{ amount: 10, every: day, when: {{ provider: mine, model: sim-1 }} }}] }}
gateway: {{ listen: '127.0.0.1:0', state: '{state}', upstreams: {upstreams} }}"
    );
    let mut said = keyed.gateway.reload_text(&text).await;
    while !said.contains("reloaded") {
        said = keyed.gateway.complaint().await;
    }
    assert!(said.contains("reloaded; new: cost $10.00"), "{said}");
    let status = (Method::GET, "/quota/status");
    let (_, status) = ask(&keyed.gateway, Some(&ops), status, None).await;
    let budget = &status["budgets"][0];
    assert!(budget["pace_per_hour"].is_string(), "{status}");
    assert!(!budget["ends"].is_null(), "{status}");
    let (status, said) = ask(&keyed.gateway, Some(&ops), costs, None).await;
    assert_eq!(status, 200, "{said}");
}
