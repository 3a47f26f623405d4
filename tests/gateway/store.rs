//! `serve --store`: what was counted is there at the next start, however it ended.

use std::path::PathBuf;

use serde_json::json;
use tower_quota::{
    sim::{SimConfig, Simulator},
    store::sqlite::{Ledger, Query},
};

use crate::{
    calls::{chat, client, json_of},
    process::{ConfigFile, Gateway, run, soon},
    upstream::Held,
};

/// A file that is not there yet, and goes with the test.
pub(crate) struct Counts(PathBuf);

impl Counts {
    pub(crate) fn new(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("store-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Counts(folder)
    }

    pub(crate) fn path(&self) -> String {
        self.0.join("counts.db").to_str().unwrap().to_owned()
    }
}

impl Drop for Counts {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn config(upstream: &str) -> ConfigFile {
    ConfigFile::new(&format!(
        "rate_limiting: {{ global: {{ max_requests_per_run: 3 }} }}\n\
         gateway: {{ listen: '127.0.0.1:0', upstream: '{upstream}' }}\n"
    ))
}

async fn start(config: &ConfigFile, counts: &Counts) -> Gateway {
    Gateway::start_args(&["--config", config.path(), "--store", &counts.path()]).await
}

async fn status(gateway: &Gateway) -> u16 {
    let answer = soon(chat(gateway, json!({"max_tokens": 5})).send())
        .await
        .unwrap();
    json_of(answer).await.0
}

#[tokio::test]
async fn what_was_counted_is_there_after_an_end_and_after_a_kill() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let (config, counts) = (config(&sim.base_url()), Counts::new("kept"));
    let gateway = start(&config, &counts).await;
    assert_eq!(status(&gateway).await, 200);
    gateway.term().await;
    assert!(gateway.ended().await.success());
    let gateway = start(&config, &counts).await;
    assert_eq!(status(&gateway).await, 200);
    gateway.kill().await;
    gateway.ended().await;
    let gateway = start(&config, &counts).await;
    assert_eq!(status(&gateway).await, 200);
    assert_eq!(status(&gateway).await, 429, "three of three are used");
    // While it serves. The last is settled in a moment.
    let ledger = Ledger::open(counts.path()).unwrap();
    let all = async {
        while ledger.report(&Query::new()).unwrap().totals.attempts < 3 {
            tokio::task::yield_now().await;
        }
    };
    soon(all).await;
    assert_eq!(sim.ledger().attempts(), 3);
}

#[tokio::test]
async fn what_a_program_was_told_is_settled_is_there_after_a_kill() {
    let (config, counts) = (config("http://127.0.0.1:1"), Counts::new("settled"));
    let gateway = start(&config, &counts).await;
    let post = |path: &str, body: serde_json::Value| {
        let call = client().post(gateway.url(path)).json(&body);
        async move { json_of(soon(call.send()).await.unwrap()).await }
    };
    let asked = json!({ "input": 10, "output": 10 });
    let (status, claim) = post("/quota/claims", asked).await;
    assert_eq!(status, 201, "{claim}");
    let path = format!("/quota/claims/{}/settle", claim["claim"].as_str().unwrap());
    let (status, said) = post(&path, json!({ "input": 7000, "output": 5 })).await;
    assert_eq!(status, 200, "{said}");
    gateway.kill().await;
    gateway.ended().await;
    let ledger = Ledger::open(counts.path()).unwrap();
    let totals = ledger.report(&Query::new()).unwrap().totals;
    assert_eq!((totals.attempts, totals.input, totals.output), (1, 7000, 5));
}

#[tokio::test]
async fn what_was_in_flight_at_a_kill_counts_and_that_is_said() {
    let mut upstream = Held::start().await;
    let (config, counts) = (
        config(&format!("http://{}", upstream.addr)),
        Counts::new("lost"),
    );
    let gateway = start(&config, &counts).await;
    let sent = tokio::spawn(chat(&gateway, json!({})).send());
    let call = upstream.call().await;
    gateway.kill().await;
    gateway.ended().await;
    drop((call, sent));
    let mut gateway = start(&config, &counts).await;
    let said = "tower-quota: 1 calls were in flight when it ended; they count as reserved";
    assert_eq!(gateway.complaint().await, said);
}

#[tokio::test]
async fn it_is_not_ready_while_its_file_takes_nothing() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let (config, counts) = (config(&sim.base_url()), Counts::new("full"));
    let gateway = start(&config, &counts).await;
    let ready = async || {
        let answer = client().get(gateway.url("/readyz")).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let sql = |sql: &str| {
        let file = rusqlite::Connection::open(counts.path()).unwrap();
        file.execute_batch(sql).unwrap();
    };
    assert_eq!(ready().await.0, 200);
    sql(
        "CREATE TRIGGER full BEFORE INSERT ON log BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",
    );
    assert_eq!(status(&gateway).await, 503);
    let (code, said) = ready().await;
    assert!(
        code == 503 && said.contains("cannot be written: the disk is full"),
        "{code}: {said}"
    );
    sql("DROP TRIGGER full");
    let again = async {
        while ready().await.0 != 200 {
            tokio::task::yield_now().await;
        }
    };
    soon(again).await;
    assert_eq!(status(&gateway).await, 200);
}

#[tokio::test]
async fn a_file_that_somebody_has_is_named() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let (config, counts) = (config(&sim.base_url()), Counts::new("taken"));
    let gateway = start(&config, &counts).await;
    let output = run(&[
        "serve",
        "--config",
        config.path(),
        "--store",
        &counts.path(),
    ])
    .await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with(&format!(
            "tower-quota: {} is in use by another store",
            counts.path()
        )),
        "{said}"
    );
    drop(gateway);
}

#[tokio::test]
async fn the_configuration_says_it_too_and_the_command_line_is_in_its_place() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let (said, given) = (Counts::new("said"), Counts::new("given"));
    let config = ConfigFile::new(&format!(
        "rate_limiting: {{ store: 'sqlite:{}', global: {{ max_requests_per_run: 3 }} }}\n\
         gateway: {{ listen: '127.0.0.1:0', upstream: '{}' }}\n",
        said.path(),
        sim.base_url()
    ));
    let is_there = |counts: &Counts| std::fs::exists(counts.path()).unwrap();
    for (store, is_said, is_given) in [
        (Some("memory".to_owned()), false, false),
        (Some(format!("sqlite:{}", given.path())), false, true),
        (None, true, true),
    ] {
        let mut args = vec!["--config", config.path()];
        args.extend(store.iter().flat_map(|store| ["--store", store]));
        let gateway = Gateway::start_args(&args).await;
        assert_eq!(status(&gateway).await, 200);
        assert_eq!(
            (is_there(&said), is_there(&given)),
            (is_said, is_given),
            "{store:?}"
        );
    }
}

#[tokio::test]
async fn a_reload_keeps_to_the_store_of_the_command_line() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let (config, counts) = (config(&sim.base_url()), Counts::new("reload"));
    let mut gateway = start(&config, &counts).await;
    let text = std::fs::read_to_string(config.path()).unwrap();
    std::fs::write(config.path(), text.replace(": 3", ": 1")).unwrap();
    let said = gateway.hangup().await;
    assert!(said.contains("reloaded; requests 1/run"), "{said}");
    assert_eq!(status(&gateway).await, 200);
    assert_eq!(status(&gateway).await, 429);
}

#[tokio::test]
async fn what_is_no_store_ends_the_program_and_is_not_shown() {
    let config = config("http://127.0.0.1:1");
    for (store, says) in [
        (
            "redsi://:marked@h",
            "tower-quota: --store: this is no store; there are `memory`",
        ),
        ("sqlite:", "tower-quota: --store: it names no file"),
        ("", "tower-quota: --store: it names no file"),
    ] {
        let output = run(&["serve", "--config", config.path(), "--store", store]).await;
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with(says) && !said.contains("marked"), "{said}");
    }
}
