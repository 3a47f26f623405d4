//! O2, G4: the dashboard in a real browser: live without a reload, by keyboard, light and dark, on a phone, to each what is
//! theirs, with no secret on it and nothing from another host.
//!
//! The test starts the simulator and the gateway and has `tests/node/dashboard.js` drive Chromium, which prints what it saw as
//! JSON. Needs `chromium` (another path: `CHROMIUM`), `node` and `npm`. With `SHOTS` a folder has pictures of it.
#![cfg(all(feature = "gateway", feature = "sim", unix))]
#![allow(
    clippy::unwrap_used,
    reason = "the helpers of tests, too, fail by panicking"
)]

#[path = "../sdks/node.rs"]
mod node;
#[allow(dead_code, reason = "the gateway's own tests start more of them")]
#[path = "../gateway/process.rs"]
mod process;
#[path = "../support/scripts.rs"]
mod scripts;

use process::{Gateway, run};
use serde_json::Value;
use tower_quota::sim::{SimConfig, Simulator};

const LIMITS: &str = "
  limits:
    - { quantity: requests, amount: 1000, every: 1h }
    - { quantity: requests, amount: 3, every: 1h, per: [agent] }
    - { quantity: requests, amount: 100, every: 1h, per: [team] }
  budgets: [ { amount: 1, every: day, per: [team] }, { amount: 20, every: month } ]
  prices: { openai: { sim-1: { input: 100, output: 1000 } } }
  retry: { max_attempts: 1 }";

async fn key(state: &str, args: &[&str]) -> String {
    let made = run(&[&["admin", "--state", state, "key", "create"], args].concat()).await;
    assert!(made.status.success(), "{made:?}");
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_it_live() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    let state = state.to_str().unwrap();
    let caller = key(state, &["caller", "--tag", "team=blue"]).await;
    let viewer = key(state, &["eye", "--role", "viewer"]).await;
    let team = key(
        state,
        &["blue-eye", "--role", "viewer", "--tag", "team=blue"],
    )
    .await;
    let user = key(
        state,
        &["anns-eye", "--role", "viewer", "--tag", "user=ann"],
    )
    .await;
    let text = format!(
        "rate_limiting: {LIMITS}\ngateway: {{ listen: '127.0.0.1:0', state: '{state}', upstreams: {{ openai: {{ url: '{}' }} }} }}\n",
        sim.base_url()
    );
    let gateway = Gateway::start_text(&sim.base_url(), &text).await;
    let mut script = node::node("dashboard.js").await;
    script
        .env("CALLER", caller)
        .env("VIEWER", &viewer)
        .env("TEAM", &team)
        .env("USER_KEY", &user);
    let seen = scripts::output_of(script, &gateway.base_url).await;

    let everything = &seen["everything"];
    assert_eq!(everything["before"], 0);
    assert_eq!(everything["focus"], true);
    let unspent = everything["unspent"].as_str().unwrap();
    assert!(unspent.contains("month"), "{unspent}");
    assert_eq!(everything["refusals"], "2in the last hour");
    assert_eq!(everything["full"], "bar full");
    assert_eq!(everything["meter"], "3 of 3, 100 % full");
    assert_eq!(everything["refused"], 429);
    let why = everything["why"].as_str().unwrap();
    assert!(
        why.starts_with("deadline_exceeded: ") && why.contains("requests 3/hour for agent=first"),
        "{why}"
    );
    let story = &everything["story"];
    assert!(story[0].as_str().unwrap().ends_with("came"), "{story}");
    assert!(everything["title"].as_str().unwrap().starts_with("Call "));
    assert!(everything["rects"].as_u64().unwrap() >= 1);
    assert_eq!(
        everything["document"], "tower-quota",
        "what a caller wrote has run"
    );
    assert_eq!(everything["images"], 0);
    assert_eq!(everything["held"], "true");
    let budget = everything["budget"].as_str().unwrap();
    assert!(
        budget.contains("spent") && budget.contains("of $"),
        "{budget}"
    );
    assert_eq!(everything["key_in_page"], false);
    assert_eq!(everything["errors"], Value::Array(Vec::new()));
    let own = gateway.base_url.strip_prefix("http://").unwrap();
    assert_eq!(everything["hosts"], serde_json::json!([own]));

    let team = &seen["team"];
    assert_eq!(team["state"], "live, of what is yours");
    assert_eq!(team["left"], 0, "something of the other key's is left");
    assert_eq!(team["limits"].as_array().unwrap().len(), 1, "{team}");
    for name in team["limits"].as_array().unwrap() {
        assert!(name.as_str().unwrap().contains("team=blue"), "{team}");
    }
    assert_eq!(team["budgets"].as_array().unwrap().len(), 1, "{team}");
    assert_eq!(team["errors"], Value::Array(Vec::new()));

    let user = &seen["user"];
    assert_eq!(user["refused"], "–in the last hour");
    assert_eq!(user["fit"], "–who is at work is not known");

    for (name, look) in seen["looks"].as_object().unwrap() {
        assert_eq!(look["overflow"], 0, "{name} is wider than its screen");
        // WCAG 2, AA.
        assert!(look["contrast"].as_f64().unwrap() >= 4.5, "{name}: {look}");
    }
    assert_eq!(seen["looks"].as_object().unwrap().len(), 3);
}
