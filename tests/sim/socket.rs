//! The simulated provider behind a real socket.
#![cfg(feature = "sim")]

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower_quota::sim::{Outcome, SimConfig, SimLimit, SimServer, Simulator};

/// Longer than any test may take.
const NEVER: Duration = Duration::from_secs(3_600);

fn client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

fn chat(server: &SimServer, more: Value) -> Request<Full<Bytes>> {
    let mut body = json!({
        "model": "gpt", "max_tokens": 200, "messages": [{"role": "user", "content": "four"}]
    });
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more);
    }
    let url = format!("{}/v1/chat/completions", server.base_url());
    Request::post(url).body(body.to_string().into()).unwrap()
}

fn with_fault(mut request: Request<Full<Bytes>>, fault: &'static str) -> Request<Full<Bytes>> {
    let value = http::HeaderValue::from_static(fault);
    request.headers_mut().insert("x-sim-fault", value);
    request
}

async fn limited(limits: Vec<SimLimit>) -> SimServer {
    let config = SimConfig {
        limits,
        ..SimConfig::default()
    };
    Simulator::start(config).await.unwrap()
}

#[tokio::test]
async fn answers_and_refuses_over_one_connection() {
    let server = limited(vec![SimLimit::requests(1, NEVER)]).await;
    let client = client();
    let answer = client.request(chat(&server, json!({}))).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["x-ratelimit-remaining-requests"], "0");
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["usage"]["completion_tokens"], 20);

    let refused = client.request(chat(&server, json!({}))).await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "3600");
    refused.into_body().collect().await.unwrap();
    let ledger = server.ledger();
    assert_eq!(
        (ledger.attempts(), ledger.ok(), ledger.refused()),
        (2, 1, 1)
    );
}

#[tokio::test]
async fn streams_to_another_client() {
    let server = limited(Vec::new()).await;
    let url = format!("{}/v1/messages", server.base_url());
    let body = r#"{"model":"claude","max_tokens":200,"messages":[],"stream":true}"#;
    let answer = reqwest::Client::new()
        .post(url)
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let text = answer.text().await.unwrap();
    assert!(text.starts_with("event: message_start\n"));
    assert!(text.ends_with("data: {\"type\":\"message_stop\"}\n\n"));
    let ledger = server.ledger();
    assert_eq!(ledger.entries()[0].outcome, Outcome::Completed);
    assert_eq!(ledger.billed().output, 20);
}

#[tokio::test]
async fn closes_the_connection_of_a_dropped_call_and_serves_the_next() {
    let server = limited(Vec::new()).await;
    let client = client();
    let dropped = with_fault(chat(&server, json!({})), "drop");
    assert!(client.request(dropped).await.is_err());
    let next = client.request(chat(&server, json!({}))).await.unwrap();
    assert_eq!(next.status(), StatusCode::OK);
    let ledger = server.ledger();
    assert_eq!(ledger.entries()[0].status, None);
    assert_eq!(ledger.entries()[0].outcome, Outcome::Spoilt);
}

#[tokio::test]
async fn breaks_off_whole_and_streamed_bodies_with_an_error() {
    let server = limited(Vec::new()).await;
    let client = client();
    for more in [json!({}), json!({"stream": true})] {
        let broken = with_fault(chat(&server, more.clone()), "broken-stream");
        let answer = client.request(broken).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.into_body().collect().await.is_err());
        let unbroken = client.request(chat(&server, more)).await.unwrap();
        assert!(unbroken.into_body().collect().await.is_ok());
    }
    server.simulator().idle().await;
    assert_eq!(server.ledger().ok(), 2);
}

#[tokio::test]
async fn notices_a_client_that_hangs_up_in_the_midst_of_a_stream() {
    let config = SimConfig {
        limits: vec![SimLimit::concurrency(1)],
        chunk_delay: NEVER,
        ..SimConfig::default()
    };
    let server = Simulator::start(config).await.unwrap();
    let first = client();
    let answer = first
        .request(chat(&server, json!({"stream": true})))
        .await
        .unwrap();
    let mut body = answer.into_body();
    body.frame().await.unwrap().unwrap();
    let refused = client().request(chat(&server, json!({}))).await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    refused.into_body().collect().await.unwrap();

    drop((body, first));
    server.simulator().idle().await;
    let ledger = server.ledger();
    assert_eq!(ledger.entries()[0].outcome, Outcome::Aborted);
    assert_eq!((ledger.billed().input, ledger.billed().output), (1, 0));
    let next = client().request(chat(&server, json!({}))).await.unwrap();
    assert_eq!(next.status(), StatusCode::OK);
}

#[tokio::test]
async fn notices_a_client_that_hangs_up_before_the_answer() {
    let config = SimConfig {
        latency: NEVER,
        ..SimConfig::default()
    };
    let server = Simulator::start(config).await.unwrap();
    let mut stream = TcpStream::connect(server.addr()).await.unwrap();
    let body = r#"{"model":"gpt","messages":[]}"#;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: sim\r\ncontent-length: ";
    let request = format!("{head}{}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    while server.ledger().attempts() == 0 {
        tokio::task::yield_now().await;
    }
    drop(stream);
    server.simulator().idle().await;
    let attempt = server.ledger().entries()[0].clone();
    assert_eq!((attempt.status, attempt.outcome), (None, Outcome::Aborted));
}

#[tokio::test]
async fn gives_up_what_is_open_and_hangs_up_on_shutdown() {
    let config = SimConfig {
        chunk_delay: NEVER,
        ..SimConfig::default()
    };
    let server = Simulator::start(config).await.unwrap();
    let answer = client()
        .request(chat(&server, json!({"stream": true})))
        .await
        .unwrap();
    let (simulator, addr) = (server.simulator().clone(), server.addr());
    server.shutdown().await;
    assert_eq!(simulator.ledger().entries()[0].outcome, Outcome::Aborted);
    assert!(answer.into_body().collect().await.is_err());
    assert!(TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn stops_when_it_is_dropped() {
    let server = limited(Vec::new()).await;
    let mut idle = TcpStream::connect(server.addr()).await.unwrap();
    drop(server);
    assert_eq!(idle.read(&mut [0]).await.unwrap_or(0), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serves_hundreds_of_connections_opened_at_once() {
    const CONNECTIONS: usize = 400;
    let server = limited(vec![SimLimit::requests(300, NEVER)]).await;
    let body = r#"{"model":"gpt","messages":[]}"#;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (addr, request) = (server.addr(), request.clone());
        calls.spawn(async move {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer.starts_with("HTTP/1.1 200 ")
        });
    }
    let answered = calls.join_all().await;
    assert_eq!(answered.iter().filter(|ok| **ok).count(), 300);
    let ledger = server.ledger();
    assert_eq!(
        (ledger.attempts(), ledger.ok(), ledger.refused()),
        (CONNECTIONS, 300, 100)
    );
    let sorted = ledger
        .entries()
        .windows(2)
        .all(|pair| pair[0].arrival <= pair[1].arrival);
    assert!(sorted, "arrivals are not in order");
}
