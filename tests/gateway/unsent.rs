//! What an upstream never got counts under no limit, whether it has a body or not.

use tokio::{io::AsyncReadExt as _, net::TcpListener};

use crate::{
    calls::{client, json_of},
    ports::taken,
    process::Gateway,
};

/// The kind of the refusal of a call without a body, and how many requests are in use then.
async fn asked(upstream: &str) -> (String, String) {
    let limits = "{ global: { rpm: 60 }, retry: { max_attempts: 1 } }";
    let gateway = Gateway::start(upstream, limits).await;
    let answer = client().get(gateway.url("/v1/models")).send().await;
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 502);
    let help = answer.headers()["link"].to_str().unwrap();
    let (_, kind) = help.split_once('#').unwrap();
    let kind = kind.split('>').next().unwrap().to_owned();
    let status = client().get(gateway.url("/quota/status")).send().await;
    let (_, status) = json_of(status.unwrap()).await;
    let mut limits = status["limits"].as_array().unwrap().iter();
    let requests = limits.find(|count| count["limit"] == "requests 60/min");
    let in_use = requests.map_or("0", |count| count["in_use"].as_str().unwrap());
    (kind, in_use.to_owned())
}

#[tokio::test]
async fn a_call_without_a_body_that_reaches_nobody_was_not_sent() {
    let (_taken, addr) = taken();
    let (kind, in_use) = asked(&format!("http://{addr}")).await;
    assert_eq!((&*kind, &*in_use), ("upstream_not_reached", "0"));
}

#[tokio::test]
async fn one_that_was_read_and_not_answered_counts() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let _ = connection.read(&mut [0; 4_096]).await;
    });
    let (kind, in_use) = asked(&upstream).await;
    assert_eq!((&*kind, &*in_use), ("upstream_broke_off", "1"));
}
