//! How it ends.
#![cfg(unix)]

use serde_json::json;
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::{
    calls::{chat, client},
    process::{Gateway, soon},
    upstream::Held,
};

#[tokio::test]
async fn an_open_stream_is_finished_first() {
    let mut upstream = Held::start().await;
    let gateway = Gateway::start(&format!("http://{}", upstream.addr), "{}").await;
    let call = tokio::spawn(chat(&gateway, json!({"stream": true})).send());
    let answering = upstream.call().await.answer();
    answering.piece("data: 1\n\n");
    let mut answer = soon(call).await.unwrap().unwrap();
    assert_eq!(soon(answer.chunk()).await.unwrap().unwrap(), "data: 1\n\n");

    gateway.term().await;
    soon(async { while TcpStream::connect(gateway.addr()).await.is_ok() {} }).await;
    answering.piece("data: 2\n\n");
    assert_eq!(soon(answer.chunk()).await.unwrap().unwrap(), "data: 2\n\n");
    answering.piece("data: [DONE]\n\n");
    drop(answering);
    assert_eq!(soon(answer.text()).await.unwrap(), "data: [DONE]\n\n");
    assert_eq!(gateway.ended().await.code(), Some(0));
}

#[tokio::test]
async fn connections_without_a_call_do_not_hold_it_up() {
    let gateway = Gateway::start("http://127.0.0.1:1", "{}").await;
    let kept = client();
    let health = kept.get(gateway.url("/healthz")).send().await.unwrap();
    assert_eq!(health.text().await.unwrap(), "ok");
    let mut silent = TcpStream::connect(gateway.addr()).await.unwrap();
    gateway.term().await;
    assert_eq!(gateway.ended().await.code(), Some(0));
    assert_eq!(soon(silent.read(&mut [0])).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_second_signal_cuts_off() {
    let mut upstream = Held::start().await;
    let mut gateway = Gateway::start(&format!("http://{}", upstream.addr), "{}").await;
    let call = tokio::spawn(chat(&gateway, json!({})).send());
    let _open = upstream.call().await;
    gateway.term().await;
    let said = gateway.complaint().await;
    assert!(said.contains("a second signal stops at once"), "{said}");
    gateway.term().await;
    let said = gateway.complaint().await;
    assert!(said.contains("cut off"), "{said}");
    assert_eq!(gateway.ended().await.code(), Some(1));
    assert!(soon(call).await.unwrap().is_err());
}
