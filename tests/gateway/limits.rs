//! Limits hold for callers that know nothing of them.

use std::{convert::Infallible, time::Duration};

use futures_util::stream;
use reqwest::Body;
use serde_json::json;
use tokio::{sync::mpsc, task::JoinSet};
use tower_quota::{
    gateway::{self, Config},
    sim::{SimConfig, SimLimit, Simulator},
};

use crate::{
    calls::{chat, client, json_of},
    process::{Gateway, soon},
    upstream::{Held, echo},
};

#[tokio::test]
async fn calls_in_flight_keep_within_their_number() {
    let limit = SimLimit::concurrency(2);
    let config = SimConfig {
        limits: vec![limit.clone()],
        latency: Duration::from_millis(5),
        ..SimConfig::default()
    };
    let sim = Simulator::start(config).await.unwrap();
    let limits = "{ global: { concurrent_requests: 2 } }";
    let gateway = Gateway::start(&sim.base_url(), limits).await;
    let mut calls = JoinSet::new();
    for number in 0..20 {
        let call = chat(&gateway, json!({"stream": number % 2 == 0}));
        calls.spawn(async move { call.send().await.unwrap().text().await.unwrap() });
    }
    soon(calls.join_all()).await;
    let ledger = sim.ledger();
    assert_eq!((ledger.attempts(), ledger.ok()), (20, 20));
    assert_eq!(ledger.peak(&limit), 2);
}

#[tokio::test]
async fn a_call_larger_than_its_limit_is_a_413_that_was_never_sent() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let limits =
        "{ providers: { openai: { sim-1: { tpm: 100 } }, anthropic: { sim-1: { otpm: 100 } } } }";
    let gateway = Gateway::start(&sim.base_url(), limits).await;
    let call = chat(&gateway, json!({"max_tokens": 101})).send().await;
    let answer = call.unwrap();
    assert_eq!(answer.headers()["x-should-retry"], "false");
    let (status, body) = json_of(answer).await;
    assert_eq!(status, 413);
    assert_eq!(body["error"]["code"], "never_fits");
    assert_eq!(
        body["error"]["message"],
        "this call never fits: tokens 100/min for provider=openai, model=sim-1: \
         0 in use, this call needs 101 (would be 101)"
    );

    let body = r#"{"model":"sim-1","max_tokens":101,"messages":[]}"#;
    let call = client()
        .post(gateway.url("/v1/messages"))
        .header("anthropic-version", "2023-06-01")
        .body(body);
    let (status, body) = json_of(call.send().await.unwrap()).await;
    assert_eq!((status, &body["type"]), (413, &json!("error")));
    assert_eq!(body["error"]["type"], "request_too_large");
    assert_eq!(sim.ledger().attempts(), 0);
}

#[tokio::test]
async fn who_finds_the_queue_full_gets_a_429_at_once() {
    let mut upstream = Held::start().await;
    let limits = "{ global: { concurrent_requests: 1 }, queue: { max_waiting: 1 } }";
    let gateway = Gateway::start(&format!("http://{}", upstream.addr), limits).await;
    let mut calls = JoinSet::new();
    calls.spawn(chat(&gateway, json!({})).send());
    let first = upstream.call().await;
    // One of them waits, the other finds it waiting.
    calls.spawn(chat(&gateway, json!({})).send());
    calls.spawn(chat(&gateway, json!({})).send());
    let refused = soon(calls.join_next()).await.unwrap().unwrap().unwrap();
    let (status, body) = json_of(refused).await;
    assert_eq!(status, 429);
    assert_eq!(body["error"]["type"], "rate_limit_error");
    assert_eq!(body["error"]["code"], "queue_full");

    drop(first.answer());
    drop(upstream.call().await.answer());
    for answer in soon(calls.join_all()).await {
        assert_eq!(answer.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_caller_that_names_no_timeout_waits_no_longer_than_the_queue_lets_it() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let limits = "{ global: { rpd: 1 }, queue: { max_wait: 30s } }";
    let gateway = Gateway::start(&sim.base_url(), limits).await;
    let first = chat(&gateway, json!({})).send().await.unwrap();
    assert_eq!(first.status(), 200);
    let refused = soon(chat(&gateway, json!({})).send()).await.unwrap();
    let after = refused.headers()["retry-after"].to_str().unwrap();
    let after: u64 = after.parse().unwrap();
    assert!(after > 86_000, "{after}");
    let (status, body) = json_of(refused).await;
    assert_eq!(status, 429, "{body}");
    assert_eq!(body["error"]["code"], "deadline_exceeded");
    assert_eq!(sim.ledger().attempts(), 1);
}

#[tokio::test]
async fn tags_in_headers_choose_the_limits() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let limits = "
  agents: { scout: { otpm: 10 } }
  limits:
    - { quantity: output_tokens, amount: 20, every: 1m, when: { user: me } }
    - { quantity: output_tokens, amount: 30, every: 1m, when: { team: us } }
    - { quantity: output_tokens, amount: 40, every: 1m, when: { run: r1 } }";
    let gateway = Gateway::start(&sim.base_url(), limits).await;
    for (name, value, limit) in [
        (
            "x-quota-agent",
            "scout",
            "output_tokens 10/min for agent=scout",
        ),
        ("x-quota-user", "me", "output_tokens 20/min for user=me"),
        ("x-quota-team", "us", "output_tokens 30/min for team=us"),
        ("x-quota-run", "r1", "output_tokens 40/min for run=r1"),
    ] {
        let call = |value| chat(&gateway, json!({"max_tokens": 50})).header(name, value);
        let (status, body) = json_of(call(value).send().await.unwrap()).await;
        let message = body["error"]["message"].as_str().unwrap();
        assert_eq!(status, 413, "{body}");
        assert!(message.contains(limit), "{message}");
        assert_eq!(call("another").send().await.unwrap().status(), 200);
    }
}

/// The simulator's answer to a call of the model `gpt-5.5` costs more than a thousandth of a cent.
#[tokio::test]
async fn a_budget_is_warned_of_on_stderr() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let limits = "{ max_daily_spend: 0.1, alert_threshold: 0.00001 }";
    let mut gateway = Gateway::start(&sim.base_url(), limits).await;
    let call = chat(&gateway, json!({"model": "gpt-5.5", "max_tokens": 50}));
    assert_eq!(call.send().await.unwrap().status(), 200);
    let said = gateway.complaint().await;
    let budget = "tower-quota: budget: cost $0.10/calendar day in UTC: 0.001 % of it is spent; $";
    assert!(said.starts_with(budget), "{said}");
}

#[tokio::test]
async fn the_more_urgent_call_goes_first() {
    let mut upstream = Held::start().await;
    let config = format!(
        "rate_limiting: {{ global: {{ concurrent_requests: 1 }} }}
gateway: {{ upstream: 'http://{}' }}",
        upstream.addr
    );
    let config = Config::from_yaml(&config).unwrap();
    let stack = config.rate_limiting.build().unwrap();
    // In this process, to see how many wait.
    let gateway = gateway::Gateway::new(&stack.layer, &stack.limiter, &config.gateway).unwrap();
    let addr = "127.0.0.1:0".parse().unwrap();
    let listener = gateway::bind(addr, gateway.is_keyed()).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { gateway.serve(listener, std::future::pending()).await });

    let mut calls = JoinSet::new();
    let mut held = None;
    for (waiting, name, priority) in [(0, "first", "0"), (1, "later", "0"), (2, "urgent", "9")] {
        let call = client().post(&url).header("x-name", name);
        calls.spawn(call.header("x-quota-priority", priority).send());
        if waiting == 0 {
            held = Some(upstream.call().await);
        }
        soon(async {
            while stack.limiter.waiting() < waiting {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    drop(held.unwrap().answer());
    for expected in ["urgent", "later"] {
        let call = upstream.call().await;
        assert_eq!(call.name, expected);
        drop(call.answer());
    }
    soon(calls.join_all()).await;
}

/// All bodies together have a bound, so that no number of calls that wait takes all of the machine.
#[tokio::test]
async fn bodies_that_there_is_no_memory_for_are_refused_and_nothing_of_them_is_sent() {
    let mut upstream = Held::start().await;
    let text = format!(
        "rate_limiting: {{}}\ngateway:\n  listen: 127.0.0.1:0\n  upstream: http://{}\n  body_memory_mib: 32\n",
        upstream.addr
    );
    let gateway = Gateway::start_text("", &text).await;
    let call = |mib: usize, chunked: bool| {
        let text = format!(
            r#"{{"model":"sim-1","messages":[],"x":"{}"}}"#,
            "x".repeat(mib << 20)
        );
        let body = match chunked {
            true => Body::wrap_stream(stream::iter([Ok::<_, Infallible>(text)])),
            false => Body::from(text),
        };
        let call = client()
            .post(gateway.url("/v1/chat/completions"))
            .body(body);
        async move { soon(call.send()).await.unwrap() }
    };
    let first = tokio::spawn(call(20, false));
    let held = upstream.call().await;
    for chunked in [false, true] {
        let refused = call(13, chunked).await;
        assert_eq!(refused.headers()["retry-after"], "1");
        let (status, body) = json_of(refused).await;
        assert_eq!((status, &body["error"]["code"]), (503, &json!("no_memory")));
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains("the 32 MiB"), "{message}");
    }
    let metrics = client().get(gateway.url("/metrics")).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let counted = metrics
        .lines()
        .find(|line| line.contains(r#"kind="no_memory""#));
    assert!(
        counted.is_some_and(|line| line.ends_with(" 2")),
        "{metrics}"
    );
    // What fits beside it passes; and, once it is answered, what did not.
    let second = tokio::spawn(call(11, true));
    let beside = upstream.call().await;
    let (streaming, beside) = (held.sse(), beside.sse());
    let first = first.await.unwrap();
    assert_eq!(first.status(), 200);
    drop(beside);
    assert_eq!(second.await.unwrap().status(), 200);
    let third = tokio::spawn(call(31, false));
    drop(upstream.call().await.json());
    assert_eq!(third.await.unwrap().status(), 200);
    drop((streaming, first));
    // Who goes away leaves nothing behind.
    for _ in 0..3 {
        let gone = tokio::spawn(call(31, true));
        let reached = upstream.call().await;
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        reached.given_up().await;
    }
    let last = tokio::spawn(call(31, false));
    drop(upstream.call().await.json());
    assert_eq!(last.await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_call_that_was_cut_is_over_though_its_caller_still_writes() {
    let text = "rate_limiting: {}\ngateway:\n  listen: 127.0.0.1:0\n  upstream: http://127.0.0.1:1\n  body_memory_mib: 32\n";
    let gateway = Gateway::start_text("", text).await;
    let open = async || {
        let asked = client().get(gateway.url("/quota/calls")).send().await;
        let (_, said) = json_of(asked.unwrap()).await;
        said["calls"].as_array().unwrap().len()
    };
    let until = async |number| {
        while open().await != number {
            tokio::task::yield_now().await;
        }
    };
    let (more, parts) = mpsc::unbounded_channel();
    let parts = stream::unfold(parts, async |mut parts| {
        let part = parts.recv().await?;
        Some((Ok::<_, Infallible>(part), parts))
    });
    let part = |mib: usize| more.send("x".repeat(mib << 20)).unwrap();
    let call = client().post(gateway.url("/v1/chat/completions"));
    let call = tokio::spawn(call.body(Body::wrap_stream(parts)).send());
    part(20);
    soon(until(1)).await;
    part(13);
    soon(until(0)).await;
    assert!(!call.is_finished(), "it is read on");
    drop(more);
    let (status, _) = json_of(soon(call).await.unwrap().unwrap()).await;
    assert_eq!(status, 503);
}

#[tokio::test]
async fn a_body_that_nobody_keeps_may_be_of_any_length() {
    let upstream = echo().await;
    let text = format!(
        "rate_limiting: {{ enabled: false }}\ngateway:\n  listen: 127.0.0.1:0\n  upstream: http://{upstream}\n  body_memory_mib: 32\n",
    );
    let gateway = Gateway::start_text("", &text).await;
    let pieces = (0..40).map(|_| Ok::<_, Infallible>("x".repeat(1 << 20)));
    let call = client().post(gateway.url("/v1/x"));
    let call = call.body(Body::wrap_stream(stream::iter(pieces))).send();
    let (status, seen) = json_of(soon(call).await.unwrap()).await;
    assert_eq!((status, &seen["length"]), (200, &json!(40 << 20)));
}
