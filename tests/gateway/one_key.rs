//! What one caller can take of what all have: of the memory for bodies, and of the connections.

use std::{future::pending, time::Duration};

use reqwest::{Body, RequestBuilder};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tower_quota::gateway::{self, Config};

use crate::{
    calls::{client, json_of},
    keys::Keyed,
    process::soon,
    upstream::Held,
};

#[tokio::test]
async fn the_bodies_of_one_key_leave_room_for_those_of_others() {
    let mut upstream = Held::start().await;
    let upstreams = format!(
        "{{ openai: {{ url: 'http://{}' }} }}, body_memory_mib: 64",
        upstream.addr
    );
    let mut keyed = Keyed::start(&upstreams, "{}").await;
    let (greedy, other) = (keyed.key(&["greedy"]).await, keyed.key(&["other"]).await);
    let gateway = &keyed.gateway;
    let call = |token: &str, mib: usize| -> RequestBuilder {
        let filled = "x".repeat(mib << 20);
        let body = format!(r#"{{"model":"sim-1","messages":[],"x":"{filled}"}}"#);
        let call = client().post(gateway.url("/v1/chat/completions"));
        call.bearer_auth(token).body(Body::from(body))
    };
    let first = tokio::spawn(call(&greedy, 20).send());
    let held = upstream.call().await;
    let refused = soon(call(&greedy, 13).send()).await.unwrap();
    assert_eq!(refused.headers()["retry-after"], "1");
    let (status, body) = json_of(refused).await;
    assert_eq!((status, &body["error"]["code"]), (503, &json!("no_memory")));
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("this key's calls"), "{message}");
    assert!(message.contains("the 32 MiB"), "{message}");
    // There is room enough for others.
    let beside = tokio::spawn(call(&other, 31).send());
    drop(upstream.call().await.json());
    assert_eq!(beside.await.unwrap().unwrap().status(), 200);
    // And for it again, when its own is answered.
    drop(held.json());
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
    let again = tokio::spawn(call(&greedy, 31).send());
    drop(upstream.call().await.json());
    assert_eq!(again.await.unwrap().unwrap().status(), 200);
}

/// A gateway in this process, whose time is that of the test.
async fn listening() -> TcpStream {
    let config = "rate_limiting: {}\ngateway: { upstream: 'http://127.0.0.1:1' }";
    let config = Config::from_yaml(config).unwrap();
    let stack = config.rate_limiting.build().unwrap();
    let gateway = gateway::Gateway::new(&stack.layer, &stack.limiter, &config.gateway).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { gateway.serve(listener, pending()).await });
    TcpStream::connect(addr).await.unwrap()
}

/// Asks whether it lives, and hears that it does.
async fn asks(stream: &mut TcpStream) {
    let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    while !answer.ends_with("ok") {
        let mut piece = [0; 1_024];
        let length = stream.read(&mut piece).await.unwrap();
        assert_ne!(length, 0, "{answer}");
        answer.push_str(std::str::from_utf8(&piece[..length]).unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nobody_asks_for_anything_is_closed_soon() {
    for begun in ["", "GET /healthz HTTP/1.1\r\nhost: loc"] {
        let mut stream = listening().await;
        stream.write_all(begun.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let closed = timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "it is open still: {begun}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_on_which_somebody_has_asked_is_kept() {
    let mut stream = listening().await;
    sleep(Duration::from_secs(10)).await;
    asks(&mut stream).await;
    for _ in 0..3 {
        sleep(Duration::from_secs(60)).await;
        asks(&mut stream).await;
    }
}
