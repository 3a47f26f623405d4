//! A key that is disabled spends nothing more, wherever its calls are by then; and what an admin's key is not.

use http::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    admin::{admin, ask, started},
    calls::chat,
    keys::Keyed,
    process::{Gateway, run, soon},
    upstream::Held,
};

/// A body in two parts.
const BODY: [&str; 2] = [r#"{"model":"sim-1","#, r#""messages":[]}"#];

/// Begins a call by this key, of whose body the second part is not there.
async fn begun(gateway: &Gateway, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(gateway.addr()).await.unwrap();
    let (length, first) = (BODY.concat().len(), BODY[0]);
    let begun = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{first}"
    );
    stream.write_all(begun.as_bytes()).await.unwrap();
    stream
}

/// Waits until so many calls are open.
async fn are_open(gateway: &Gateway, ops: &str, number: usize) {
    let listed = async {
        loop {
            let (_, said) = ask(gateway, Some(ops), (Method::GET, "/quota/calls"), None).await;
            if said["calls"].as_array().map(Vec::len) == Some(number) {
                break;
            }
        }
    };
    soon(listed).await;
}

/// Disables the key `ci`.
async fn disable(gateway: &Gateway, ops: &str) {
    let disable = (Method::POST, "/quota/keys/ci/disable");
    let (status, said) = ask(gateway, Some(ops), disable, None).await;
    assert_eq!((status, &said["state"]), (200, &json!("disabled")));
}

async fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn a_call_whose_body_still_comes_ends_with_its_key_and_is_not_sent() {
    let mut upstream = Held::start().await;
    let upstreams = format!("{{ openai: {{ url: 'http://{}' }} }}", upstream.addr);
    let mut keyed = Keyed::start(&upstreams, "{}").await;
    let ops = keyed.key(&["ops", "--role", "admin"]).await;
    let ci = keyed.key(&["ci"]).await;
    let other = keyed.key(&["other"]).await;
    let gateway = &keyed.gateway;
    let ended = begun(gateway, &ci).await;
    let mut kept = begun(gateway, &other).await;
    are_open(gateway, &ops, 2).await;

    disable(gateway, &ops).await;
    let ended = answer(ended).await;
    assert!(ended.starts_with("HTTP/1.1 409 "), "{ended}");
    assert!(ended.contains("cancelled"), "{ended}");
    assert!(upstream.is_unasked());

    // That of another key goes on.
    kept.write_all(BODY[1].as_bytes()).await.unwrap();
    let held = upstream.call().await;
    drop(held.json());
    let kept = answer(kept).await;
    assert!(kept.starts_with("HTTP/1.1 200 "), "{kept}");
    assert!(upstream.is_unasked());
}

#[tokio::test]
async fn a_call_that_fails_goes_to_no_other_target_once_its_key_has_ended() {
    let (mut bad, mut good) = (Held::start().await, Held::start().await);
    let [first, second] = [&bad, &good].map(|held| {
        format!(
            "{{ base_url: 'http://{}/v1', keys: [sk-of-it] }}",
            held.addr
        )
    });
    let routed = format!(
        "{{ retry: {{ max_attempts: 1 }}, failover: {{
            providers: {{ bad: {first}, good: {second} }},
            routes: {{ sim-1: [bad/sim-1, good/sim-1] }} }} }}"
    );
    let mut keyed = Keyed::start("{}", &routed).await;
    let ops = keyed.key(&["ops", "--role", "admin"]).await;
    let ci = keyed.key(&["ci"]).await;
    let gateway = &keyed.gateway;
    for has_ended in [false, true] {
        let call = chat(gateway, json!({})).header("x-quota-key", &ci);
        let sent = tokio::spawn(call.send());
        let held = bad.call().await;
        if has_ended {
            disable(gateway, &ops).await;
        }
        held.fails();
        if !has_ended {
            drop(good.call().await.json());
        }
        let answer = soon(sent).await.unwrap().unwrap();
        assert_eq!(answer.status(), if has_ended { 503 } else { 200 });
        assert!(bad.is_unasked() && good.is_unasked());
    }
}

#[tokio::test]
async fn a_call_that_fails_is_not_repeated_once_its_key_has_ended() {
    let mut upstream = Held::start().await;
    let upstreams = format!("{{ openai: {{ url: 'http://{}' }} }}", upstream.addr);
    let mut keyed = Keyed::start(&upstreams, "{}").await;
    let ops = keyed.key(&["ops", "--role", "admin"]).await;
    let ci = keyed.key(&["ci"]).await;
    let gateway = &keyed.gateway;
    for has_ended in [false, true] {
        let call = chat(gateway, json!({})).header("x-quota-key", &ci);
        let sent = tokio::spawn(call.send());
        let held = upstream.call().await;
        if has_ended {
            disable(gateway, &ops).await;
        }
        held.fails();
        if !has_ended {
            drop(upstream.call().await.json());
        }
        // What the attempt that was under way was answered, and not that it was cancelled.
        let answer = soon(sent).await.unwrap().unwrap();
        assert_eq!(answer.status(), if has_ended { 503 } else { 200 });
        assert!(upstream.is_unasked());
    }
}

#[tokio::test]
async fn nothing_is_granted_to_a_key_that_ends_before_its_claim_has_come() {
    let mut keyed = Keyed::start("{ local: { url: 'http://127.0.0.1:1' } }", "{}").await;
    let ops = keyed.key(&["ops", "--role", "admin"]).await;
    let ci = keyed.key(&["ci"]).await;
    let gateway = &keyed.gateway;
    let mut stream = TcpStream::connect(gateway.addr()).await.unwrap();
    let body = r#"{"input":1}"#;
    let length = body.len();
    let head = format!(
        "POST /quota/claims HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ci}\r\nconnection: close\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // Its key was looked at by then.
    let mut goes_on = [0; 25];
    soon(stream.read_exact(&mut goes_on)).await.unwrap();
    assert_eq!(&goes_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    disable(gateway, &ops).await;
    stream.write_all(body.as_bytes()).await.unwrap();
    let refused = answer(stream).await;
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    are_open(gateway, &ops, 0).await;
}

#[tokio::test]
async fn tags_do_not_narrow_an_admin_and_no_such_key_is_made() {
    let (keyed, _sim, ops) = started().await;
    let (gateway, state) = (&keyed.gateway, keyed.state.to_str().unwrap());
    let word = "sees and changes everything";
    let new = json!({ "name": "new", "role": "admin", "tags": { "team": "blue" } });
    let make = (Method::POST, "/quota/keys");
    let (status, said) = ask(gateway, Some(&ops), make, Some(new)).await;
    let detail = said["detail"].as_str().unwrap();
    assert!(status == 400 && detail.contains(word), "{said}");
    let create = |role| ["key", "create", "new", "--role", role, "--tag", "team=blue"];
    let (code, _, complaint) = admin(gateway, &ops, &create("admin")).await;
    assert!(code != 0 && complaint.contains(word), "{complaint}");
    let offline = [&["admin", "--state", state], &create("admin")[..]].concat();
    let output = run(&offline).await;
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains(word), "{complaint}");
    assert!(!output.status.success());
    // A viewer is narrowed by them.
    let (code, _, complaint) = admin(gateway, &ops, &create("viewer")).await;
    assert_eq!(code, 0, "{complaint}");
}
