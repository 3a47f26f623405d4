//! How it ends, and what it reloads, while many calls run: nothing is lost.
#![cfg(all(feature = "sqlite", unix))]

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use serde_json::json;
use tokio::task::JoinSet;
use tower_quota::{
    pricing::{PriceTable, ServiceTier},
    sim::{Outcome, SimConfig, SimServer, Simulator},
    usage::Usage,
};

use crate::{
    calls::chat,
    process::{ConfigFile, Gateway, soon},
};

const LIMITS: &str = "{ store: 'sqlite:FILE', global: { rpm: 100000 }, max_daily_spend: 100, agents: { a: { rpm: 90000 } } }";

fn text(sim: &SimServer, file: &std::path::Path, limits: &str) -> String {
    let limits = limits.replace("FILE", file.to_str().unwrap());
    format!(
        "rate_limiting: {limits}\ngateway: {{ listen: '127.0.0.1:0', upstream: '{}' }}",
        sim.base_url()
    )
}

/// Calls, streams and not, from as many callers, until told to stop. Counts those that were answered whole.
fn load(gateway: &Gateway, callers: usize) -> (JoinSet<()>, Arc<AtomicUsize>, Arc<AtomicBool>) {
    let (done, stop) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let mut calls = JoinSet::new();
    let client = crate::calls::client();
    for caller in 0..callers {
        let (done, stop, client) = (done.clone(), stop.clone(), client.clone());
        let body = json!({"model": "gpt-5.5", "max_tokens": 30, "stream": caller % 2 == 0});
        let call = chat(gateway, body)
            .header("x-quota-agent", "a")
            .build()
            .unwrap();
        calls.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let call = call.try_clone().unwrap();
                let Ok(answer) = client.execute(call).await else {
                    return;
                };
                assert_eq!(answer.status(), 200);
                if answer.text().await.is_err() {
                    return;
                }
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    (calls, done, stop)
}

async fn until(done: &AtomicUsize, number: usize) {
    soon(async {
        while done.load(Ordering::Relaxed) < number {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// What is settled and reserved in the file, by a gateway that starts on it.
async fn in_file(config: &ConfigFile) -> (String, String, String) {
    let gateway = Gateway::start_args(&["--config", config.path()]).await;
    let asked = crate::calls::client().get(gateway.url("/quota/budgets"));
    let (_, body) = crate::calls::json_of(asked.send().await.unwrap()).await;
    let of = |name: &str| body["budgets"][0][name].as_str().unwrap().to_owned();
    let sums = (of("settled"), of("reserved"), of("amount"));
    gateway.term().await;
    assert_eq!(gateway.ended().await.code(), Some(0));
    sums
}

fn dollars(text: &str) -> f64 {
    text.parse().unwrap()
}

/// What the simulator's answers cost.
fn bill(sim: &SimServer) -> f64 {
    let billed = sim.ledger().billed();
    let usage = Usage::new(billed.input, billed.output);
    let prices = PriceTable::built_in();
    let price = &prices.find(Some("openai"), "gpt-5.5").unwrap().price;
    price.cost(&usage, ServiceTier::Standard).as_nanos() as f64 / 1e9
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_every_call_end_and_all_is_settled() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("counts.db");
    let config = ConfigFile::new(&text(&sim, &file, LIMITS));
    let gateway = Gateway::start_args(&["--config", config.path()]).await;
    let (calls, done, _stop) = load(&gateway, 40);
    until(&done, 400).await;
    gateway.term().await;
    assert_eq!(gateway.ended().await.code(), Some(0));
    soon(calls.join_all()).await;

    let ledger = sim.ledger();
    let entries = ledger.entries();
    let broken = entries
        .iter()
        .filter(|entry| entry.outcome != Outcome::Completed);
    assert_eq!(broken.count(), 0, "every stream was read to its end");
    assert_eq!(
        ledger.attempts(),
        done.load(Ordering::Relaxed),
        "every answer reached its caller"
    );
    let (settled, reserved, _) = in_file(&config).await;
    assert!(
        (dollars(&settled) - bill(&sim)).abs() < 1e-6,
        "{settled} {}",
        bill(&sim)
    );
    assert_eq!(reserved, "0.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_sigkill_nothing_settled_is_missing_and_what_was_in_flight_counts() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("counts.db");
    let config = ConfigFile::new(&text(&sim, &file, LIMITS));
    for round in 1..=3 {
        let gateway = Gateway::start_args(&["--config", config.path()]).await;
        let (calls, done, _stop) = load(&gateway, 40);
        until(&done, 100).await;
        gateway.kill().await;
        assert_eq!(gateway.ended().await.code(), None, "round {round}");
        soon(calls.join_all()).await;
    }
    let (settled, reserved, amount) = in_file(&config).await;
    let counted = dollars(&settled) + dollars(&reserved);
    assert!(counted + 1e-9 >= bill(&sim), "{counted} {}", bill(&sim));
    assert!(counted <= dollars(&amount));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_loses_no_call() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("counts.db");
    let mut gateway = Gateway::start_text("", &text(&sim, &file, LIMITS)).await;
    let (calls, done, stop) = load(&gateway, 20);
    for round in 0..5usize {
        until(&done, (round + 1) * 60).await;
        let limits = LIMITS.replace("90000", if round % 2 == 0 { "80000" } else { "90000" });
        let said = gateway.reload_text(&text(&sim, &file, &limits)).await;
        assert!(said.contains("reloaded; requests"), "{said}");
    }
    stop.store(true, Ordering::Relaxed);
    // Each asserts that it was answered.
    soon(calls.join_all()).await;
    assert_eq!(sim.ledger().attempts(), done.load(Ordering::Relaxed));
    assert_eq!(sim.ledger().ok(), done.load(Ordering::Relaxed));
}
