//! Our calls, and those of others on the same account.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _};
use tower_quota::{
    AdmissionLayer, Limiter, Tag, Tags,
    limit::{Limit, Limits},
    limiter::QueueOptions,
    sim::{Attempt, FaultRule, Ledger, SimConfig, SimLimit, Simulator},
    store::MemoryStore,
};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const OURS: &str = "ours";
pub(crate) const THEIRS: &str = "theirs";

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A provider that answers after a second, more or less.
pub(crate) fn provider(limits: impl IntoIterator<Item = SimLimit>) -> Simulator {
    let simulator = Simulator::new(SimConfig {
        limits: limits.into_iter().collect(),
        latency: millis(700),
        jitter: millis(600),
        output_share: 0.1,
        ..SimConfig::default()
    });
    simulator.now();
    simulator
}

/// A limiter and what it counts in.
pub(crate) fn limiter(
    limits: impl IntoIterator<Item = Limit>,
    absorb: bool,
) -> (Limiter, Arc<MemoryStore>) {
    let store = MemoryStore::new(Limits::new(limits).unwrap()).absorb_counters(absorb);
    let store = Arc::new(store);
    (Limiter::build(store.clone(), QueueOptions::new()), store)
}

/// The same, which tells nothing of its limits, not even how long to wait.
pub(crate) fn silent(limits: impl IntoIterator<Item = SimLimit>) -> Simulator {
    let simulator = Simulator::new(SimConfig {
        limits: limits.into_iter().collect(),
        latency: millis(700),
        jitter: millis(600),
        faults: vec![FaultRule {
            fault: "missing-headers".parse().unwrap(),
            probability: 1.0,
            nth: None,
        }],
        ..SimConfig::default()
    });
    simulator.now();
    simulator
}

/// A message to a model, by the holder of a key.
pub(crate) fn message(key: &str, model: &str, max_tokens: u64) -> Request<Full<Bytes>> {
    let mut request = chat(key, model, max_tokens);
    *request.uri_mut() = "http://provider/v1/messages".parse().unwrap();
    let version = "2023-06-01".parse().unwrap();
    request.headers_mut().insert("anthropic-version", version);
    request
}

/// A chat call of a model, by the holder of a key.
pub(crate) fn chat(key: &str, model: &str, max_tokens: u64) -> Request<Full<Bytes>> {
    let body = format!(
        r#"{{"model":"{model}","max_tokens":{max_tokens},"messages":[{{"role":"user","content":"hi"}}]}}"#
    );
    let mut request = Request::post("http://provider/v1/chat/completions")
        .header("authorization", format!("Bearer {key}"))
        .body(Full::from(body))
        .unwrap();
    let tags = Tags::new().with(Tag::ApiKey, key);
    request.extensions_mut().insert(tags);
    request
}

/// Sends a call through one admission layer, and reads the answer to its end.
pub(crate) async fn call(
    limiter: &Limiter,
    simulator: &Simulator,
    request: Request<Full<Bytes>>,
) -> StatusCode {
    let layer = AdmissionLayer::new(limiter.clone());
    let response = layer.layer(simulator.service()).oneshot(request).await;
    let response = response.unwrap();
    let status = response.status();
    response.into_body().collect().await.unwrap();
    status
}

/// One call of somebody else, past our layers.
async fn foreign(simulator: Simulator, request: Request<Full<Bytes>>) {
    let response = simulator.service().oneshot(request).await.unwrap();
    drop(response.into_body().collect().await);
}

/// Has somebody else call after each of these spans, whether we do or not.
pub(crate) fn others(
    simulator: &Simulator,
    model: &'static str,
    max_tokens: u64,
    spans: impl IntoIterator<Item = Duration> + Send + 'static,
) {
    others_as(simulator, chat(THEIRS, model, max_tokens), spans);
}

/// The same with this request.
pub(crate) fn others_as(
    simulator: &Simulator,
    request: Request<Full<Bytes>>,
    spans: impl IntoIterator<Item = Duration> + Send + 'static,
) {
    let simulator = simulator.clone();
    let spans: Vec<Duration> = spans.into_iter().collect();
    tokio::spawn(async move {
        for span in spans {
            tokio::time::sleep(span).await;
            let simulator = simulator.clone();
            tokio::spawn(foreign(simulator, request.clone()));
        }
    });
}

/// How we ask: all at once, or one after each span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    Backlog(usize),
    Every(Duration),
}

/// Calls for so long, and returns what the provider wrote down.
pub(crate) async fn work(
    limiter: &Limiter,
    simulator: &Simulator,
    demand: Demand,
    model: &'static str,
    max_tokens: u64,
    span: Duration,
) -> Ledger {
    let one = || chat(OURS, model, max_tokens);
    work_as(limiter, simulator, demand, one, span).await
}

/// The same with these requests.
pub(crate) async fn work_as(
    limiter: &Limiter,
    simulator: &Simulator,
    demand: Demand,
    request: impl Fn() -> Request<Full<Bytes>>,
    span: Duration,
) -> Ledger {
    let end = Instant::now() + span;
    let mut calls = tokio::task::JoinSet::new();
    let one = || {
        let (limiter, simulator, request) = (limiter.clone(), simulator.clone(), request());
        async move { call(&limiter, &simulator, request).await }
    };
    match demand {
        Demand::Backlog(many) => {
            for _ in 0..many {
                calls.spawn(one());
            }
            tokio::time::sleep_until(end).await;
        }
        Demand::Every(pause) => {
            while Instant::now() < end {
                calls.spawn(one());
                tokio::time::sleep(pause).await;
            }
        }
    }
    calls.abort_all();
    while calls.join_next().await.is_some() {}
    simulator.ledger()
}

/// Our attempts.
pub(crate) fn ours(ledger: &Ledger) -> Vec<&Attempt> {
    let entries = ledger.entries().iter();
    entries.filter(|attempt| &*attempt.key == OURS).collect()
}

/// How many of ours were accepted, and how many refused after we had our first answer.
pub(crate) fn judged(ledger: &Ledger) -> (usize, usize) {
    let ours = ours(ledger);
    let answered = ours.iter().filter(|attempt| attempt.status.is_some());
    let first = answered.filter_map(|attempt| attempt.finish).min();
    let first = first.expect("we had an answer");
    let ok = ours.iter().filter(|a| a.status == Some(200)).count();
    let refused = ours
        .iter()
        .filter(|a| a.status == Some(429) && a.arrival > first);
    (ok, refused.count())
}
