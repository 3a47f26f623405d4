//! What passes and what does not: bodies, headers, failures.

use http::HeaderMap;
use serde_json::{Value, json};
use tower_quota::sim::{Outcome, SimConfig, Simulator};

use crate::{
    calls::{chat, client, json_of},
    ports::taken,
    process::{Gateway, soon},
    upstream::{Held, echo},
};

#[tokio::test]
async fn a_chat_passes_with_the_callers_own_key() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let gateway = Gateway::start(&sim.base_url(), "{}").await;
    let answer = chat(&gateway, json!({"max_tokens": 200})).send().await;
    let (status, body) = json_of(answer.unwrap()).await;
    assert_eq!(status, 200);
    assert_eq!(body["usage"]["completion_tokens"], 20);
    let ledger = sim.ledger();
    assert_eq!(&*ledger.entries()[0].key, "sk-caller");
    assert_eq!((ledger.attempts(), ledger.ok()), (1, 1));

    let models = client().get(gateway.url("/v1/models")).send().await;
    let (status, body) = json_of(models.unwrap()).await;
    assert_eq!((status, &body["data"][0]["id"]), (200, &json!("sim-1")));
}

#[tokio::test]
async fn a_streamed_chat_passes_whole() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let gateway = Gateway::start(&sim.base_url(), "{}").await;
    let answer = chat(&gateway, json!({"stream": true}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let text = answer.text().await.unwrap();
    assert!(text.starts_with("data: {"), "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(sim.ledger().entries()[0].outcome, Outcome::Completed);
}

#[tokio::test]
async fn each_chunk_of_a_stream_arrives_before_the_next_is_written() {
    let mut upstream = Held::start().await;
    let gateway = Gateway::start(&format!("http://{}", upstream.addr), "{}").await;
    let call = tokio::spawn(chat(&gateway, json!({"stream": true})).send());
    let answering = upstream.call().await.answer();
    let mut answer = soon(call).await.unwrap().unwrap();
    for text in [
        "data: {\"a\":1}\n\n",
        "data: half",
        " and half\n\n",
        "data: [DONE]\n\n",
    ] {
        answering.piece(text);
        let chunk = soon(answer.chunk()).await.unwrap();
        assert_eq!(chunk.as_deref(), Some(text.as_bytes()));
    }
    drop(answering);
    assert_eq!(soon(answer.chunk()).await.unwrap(), None);
}

#[tokio::test]
async fn a_caller_that_hangs_up_is_hung_up_on_the_upstream() {
    let mut upstream = Held::start().await;
    let limits = "{ global: { concurrent_requests: 1 } }";
    let gateway = Gateway::start(&format!("http://{}", upstream.addr), limits).await;
    let call = tokio::spawn(chat(&gateway, json!({"stream": true})).send());
    let answering = upstream.call().await.answer();
    answering.piece("data: {}\n\n");
    let answer = soon(call).await.unwrap().unwrap();
    drop(answer);
    answering.given_up().await;
    // And its place is free again.
    let next = tokio::spawn(chat(&gateway, json!({})).send());
    drop(upstream.call().await.answer());
    assert_eq!(soon(next).await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn headers_of_a_connection_end_here_both_ways() {
    let upstream = echo().await;
    let gateway = Gateway::start(&format!("http://{upstream}/base/"), "{}").await;
    let answer = client()
        .post(gateway.url("/v1/any%20thing?x=1&y"))
        .header("connection", "x-hop, close")
        .header("x-hop", "1")
        .header("keep-alive", "timeout=5")
        .header("proxy-authorization", "Basic x")
        .header("te", "trailers")
        .header("upgrade", "websocket")
        .header("x-quota-agent", "scout")
        .header("x-quota-user", "me")
        .header("x-quota-team", "us")
        .header("x-quota-run", "1")
        .header("x-quota-priority", "-3")
        .header("authorization", "Bearer sk-caller")
        .header("accept-encoding", "br")
        .header("x-kept", "yes")
        .body("four")
        .send()
        .await
        .unwrap();
    let headers = answer.headers().clone();
    let (status, seen) = json_of(answer).await;
    assert_eq!(status, 200);
    let expected = json!({
        "method": "POST",
        "path": "/base/v1/any%20thing?x=1&y",
        "headers": {
            "host": upstream.to_string(),
            "authorization": "Bearer sk-caller",
            "accept": "*/*",
            "accept-encoding": "br",
            "content-length": "4",
            "x-kept": "yes",
        },
        "length": 4,
    });
    assert_eq!(seen, expected);
    assert_eq!(headers["x-kept"], "yes");
    let gone = |name: &str| !HeaderMap::contains_key(&headers, name);
    assert!(gone("x-hop") && gone("keep-alive") && gone("proxy-authenticate") && gone("upgrade"));
}

#[tokio::test]
async fn a_websocket_is_refused_and_is_not_passed_on_as_a_plain_call() {
    let gateway = Gateway::start(&format!("http://{}", echo().await), "{}").await;
    let ask = |protocol: &'static str| {
        client()
            .get(gateway.url("/v1/realtime?model=gpt-realtime"))
            .header("connection", "Upgrade")
            .header("upgrade", protocol)
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .send()
    };
    let answer = soon(ask("WebSocket")).await.unwrap();
    // SDKs would repeat what begins with a 5.
    assert_eq!(answer.headers()["x-should-retry"], "false");
    let (status, body) = json_of(answer).await;
    let error = &body["error"];
    assert_eq!((status, &error["code"]), (501, &json!("no_websocket")));
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("/quota/claims"), "{message}");
    // Any other protocol may be passed over (RFC 9110, section 7.8).
    let (status, _) = json_of(soon(ask("h2c")).await.unwrap()).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_compressed_body_is_refused_where_it_would_be_read_and_passes_elsewhere() {
    let gateway = Gateway::start(&format!("http://{}", echo().await), "{}").await;
    let post = |path: &str, coding: &'static str, body: &'static str| {
        let call = client()
            .post(gateway.url(path))
            .header("content-type", "application/json")
            .header("content-encoding", coding)
            .body(body);
        async move { json_of(soon(call.send()).await.unwrap()).await }
    };
    let metered = "/v1/chat/completions";
    for coding in ["gzip", "identity, br"] {
        let (status, body) = post(metered, coding, "\u{1f}").await;
        let error = &body["error"];
        assert_eq!((status, &error["code"]), (415, &json!("body_compressed")));
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("content-encoding"), "{message}");
    }
    let plain = r#"{"model":"sim-1","messages":[]}"#;
    assert_eq!(post(metered, "Identity", plain).await.0, 200);
    let (status, seen) = post("/v1/files", "gzip", "\u{1f}").await;
    let coding = &seen["headers"]["content-encoding"];
    assert_eq!((status, coding), (200, &json!("gzip")));
}

#[tokio::test]
async fn a_large_body_passes() {
    let gateway = Gateway::start(&format!("http://{}", echo().await), "{}").await;
    let length = 40 << 20;
    let call = client()
        .put(gateway.url("/v1/files"))
        .body(vec![b'x'; length]);
    let (status, seen) = json_of(call.send().await.unwrap()).await;
    assert_eq!((status, &seen["length"]), (200, &json!(length)));
}

#[tokio::test]
async fn a_header_that_makes_no_sense_is_refused_by_name() {
    let upstream = echo().await;
    let gateway = Gateway::start(&format!("http://{upstream}"), "{}").await;
    let refused = |name: &'static str, value: &'static str| {
        let call = chat(&gateway, json!({})).header(name, value).send();
        async move {
            let (status, body) = json_of(call.await.unwrap()).await;
            assert_eq!(status, 400, "{body}");
            assert_eq!(body["error"]["type"], "invalid_request_error");
            body["error"]["message"].as_str().unwrap().to_owned()
        }
    };
    assert_eq!(
        refused("x-quota-priority", "high").await,
        "the header x-quota-priority is not a whole number from -1000 to 1000"
    );
    let misspelt = refused("x-quota-agnet", "scout").await;
    assert!(misspelt.contains("x-quota-agnet"), "{misspelt}");
}

#[tokio::test]
async fn an_upstream_that_is_down_is_a_502_in_the_callers_error_shape() {
    let (_taken, addr) = taken();
    let gateway = Gateway::start(&format!("http://{addr}"), "{}").await;
    let (status, body) = json_of(chat(&gateway, json!({})).send().await.unwrap()).await;
    assert_eq!(status, 502);
    let error = &body["error"];
    assert_eq!(error["type"], "server_error");
    assert_eq!(error["code"], "upstream_not_reached");
    let message = error["message"].as_str().unwrap();
    let expected = format!("the upstream http://{addr} could not be reached: ");
    assert!(message.starts_with(&expected), "{message}");
    assert!(!message.contains("sk-caller"));

    let other = client()
        .get(gateway.url("/v1/models"))
        .send()
        .await
        .unwrap();
    let (status, body) = json_of(other).await;
    assert_eq!(
        (status, &body["error"]["code"]),
        (502, &json!("upstream_not_reached"))
    );
    let other = client().get(gateway.url("/x")).send().await.unwrap();
    assert_eq!(other.headers()["content-type"], "application/problem+json");
    let (status, body) = json_of(other).await;
    assert_eq!((status, &body["status"]), (502, &Value::from(502)));

    let health = client().get(gateway.url("/healthz")).send().await.unwrap();
    assert_eq!(health.status(), 200);
    assert_eq!(health.text().await.unwrap(), "ok");
}

#[tokio::test]
async fn an_upstream_that_hangs_up_is_a_502_too() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let gateway = Gateway::start(&sim.base_url(), "{}").await;
    let call = chat(&gateway, json!({})).header("x-sim-fault", "drop");
    let (status, body) = json_of(call.send().await.unwrap()).await;
    assert_eq!(status, 502);
    assert_eq!(body["error"]["code"], "upstream_broke_off", "{body}");
    assert_eq!(
        sim.ledger().attempts(),
        3,
        "it may have been billed, and is repeated all the same"
    );
}

#[tokio::test]
async fn is_no_way_to_another_host() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let gateway = Gateway::start(&format!("http://{}", echo().await), "{}").await;
    let ask = async |line: &str| {
        let mut stream = tokio::net::TcpStream::connect(gateway.addr())
            .await
            .unwrap();
        let request = format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon(stream.read_to_string(&mut answer)).await.unwrap();
        answer
    };
    for line in ["CONNECT other:443", "OPTIONS *"] {
        let answer = ask(line).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("no proxy to any host"), "{answer}");
    }
    let answer = ask("GET http://other:1/v1/x").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("\"/v1/x\""), "{answer}");
}
