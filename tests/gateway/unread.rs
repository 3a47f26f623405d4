//! What it prints is read by nobody, or cannot be written: no call is cut off for that, and no command panics.
#![cfg(target_os = "linux")]

use std::{
    fs::{self, File},
    io,
    process::Stdio,
};

use serde_json::json;
use tokio::net::TcpStream;
use tower_quota::sim::{SimConfig, Simulator};

use crate::{
    calls::{chat, client},
    process::{ConfigFile, Gateway, soon, tower_quota},
    upstream::Held,
};

/// As a disk that is full.
fn full() -> Stdio {
    let file = File::options().write(true).open("/dev/full");
    file.unwrap().into()
}

/// A pipe whose reader has gone.
fn closed() -> Stdio {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn text(upstream: &str, rate_limiting: &str) -> String {
    format!(
        "rate_limiting: {rate_limiting}\ngateway: {{ listen: '127.0.0.1:0', upstream: '{upstream}' }}"
    )
}

/// A gateway that can say nothing on stderr.
async fn started(config: &ConfigFile, stderr: Stdio) -> Gateway {
    let mut command = tower_quota(&["serve", "--config", config.path()]);
    command.stderr(stderr);
    Gateway::start_command(command).await
}

/// What the gateway answers to this.
async fn asked(gateway: &Gateway, path: &str) -> String {
    let answer = soon(client().get(gateway.url(path)).send()).await;
    soon(answer.unwrap().text()).await.unwrap()
}

#[tokio::test]
async fn an_open_stream_is_finished_first() {
    for stderr in [full(), closed()] {
        let mut upstream = Held::start().await;
        let config = ConfigFile::new(&text(&format!("http://{}", upstream.addr), "{}"));
        let gateway = started(&config, stderr).await;
        let call = tokio::spawn(chat(&gateway, json!({"stream": true})).send());
        let answering = upstream.call().await.answer();
        answering.piece("data: 1\n\n");
        let mut answer = soon(call).await.unwrap().unwrap();
        assert_eq!(soon(answer.chunk()).await.unwrap().unwrap(), "data: 1\n\n");

        gateway.term().await;
        soon(async { while TcpStream::connect(gateway.addr()).await.is_ok() {} }).await;
        answering.piece("data: [DONE]\n\n");
        drop(answering);
        assert_eq!(soon(answer.text()).await.unwrap(), "data: [DONE]\n\n");
        assert_eq!(gateway.ended().await.code(), Some(0));
    }
}

#[tokio::test]
async fn a_hangup_ends_nothing() {
    let limits = |n: u64| format!("{{ global: {{ rpm: {n} }} }}");
    let limits = |n| text("http://127.0.0.1:1", &limits(n));
    let config = ConfigFile::new(&limits(5));
    let gateway = started(&config, full()).await;
    for n in [7, 9] {
        fs::write(config.path(), limits(n)).unwrap();
        gateway.hup().await;
        let holds = format!("requests {n}/min");
        soon(async { while !asked(&gateway, "/quota/limits").await.contains(&holds) {} }).await;
    }
    gateway.term().await;
    assert_eq!(gateway.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_call_that_brings_an_event_of_a_budget_is_answered_whole() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let limits = "{ max_daily_spend: 1, alert_threshold: 0.000001 }";
    let config = ConfigFile::new(&text(&sim.base_url(), limits));
    for stream in [false, true] {
        let gateway = started(&config, full()).await;
        let body = json!({"model": "gpt-5.5", "max_tokens": 9, "stream": stream});
        let answer = soon(chat(&gateway, body).send()).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(!soon(answer.text()).await.unwrap().is_empty());
        let events = "tower_quota_budget_events_total{";
        soon(async { while !asked(&gateway, "/metrics").await.contains(events) {} }).await;
        gateway.term().await;
        assert_eq!(gateway.ended().await.code(), Some(0));
    }
}

/// Runs it with this as its stdout: the exit code and what is on stderr.
async fn printed(stdout: Stdio, args: &[&str]) -> (i32, String) {
    let child = tower_quota(args).stdout(stdout).spawn().unwrap();
    let output = soon(child.wait_with_output()).await.unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[tokio::test]
async fn a_command_whose_reader_has_gone_is_done_and_one_that_cannot_print_says_so() {
    let gateway = Gateway::start("http://127.0.0.1:1", "{ global: { rpm: 5 } }").await;
    let config = ConfigFile::new(&text("http://127.0.0.1:1", "{}"));
    let url = &*gateway.base_url;
    for args in [
        &["check", "--schema"][..],
        &["check", "--config", config.path()],
        &["admin", "--url", url, "limit", "list"],
        &["admin", "--url", url, "budget", "list", "--json"],
        &["status", "--url", url],
        &["report", "--url", url],
    ] {
        let (code, complaint) = printed(closed(), args).await;
        assert_eq!((code, &*complaint), (0, ""), "{args:?}");
        let (code, complaint) = printed(full(), args).await;
        assert_eq!(code, 1, "{args:?}: {complaint}");
        assert_eq!(
            complaint,
            "tower-quota: cannot print: No space left on device (os error 28)\n"
        );
    }
}

#[tokio::test]
async fn a_webhook_that_takes_nothing_is_an_error_whoever_reads() {
    let config = ConfigFile::new(
        "rate_limiting: {}
gateway: { upstream: 'http://127.0.0.1:1', alerts: [{ url: 'http://127.0.0.1:1/' }] }",
    );
    let args = ["alerts", "test", "--config", config.path()];
    let (code, complaint) = printed(closed(), &args).await;
    assert_eq!(code, 1, "{complaint}");
    assert_eq!(
        complaint,
        "tower-quota: of 1 webhooks 1 did not take an alert\n"
    );
}
