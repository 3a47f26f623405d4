//! `gateway.retention`: what is old in the ledger goes while the gateway serves.

use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use tower_quota::{
    Tag, Tags, Usage,
    limit::Limits,
    store::{
        Store as _,
        sqlite::{Ledger, Query, SqliteOptions},
    },
};

use crate::{
    calls::client,
    process::{ConfigFile, Gateway, run, soon},
    store::Counts,
};

const DAY: Duration = Duration::from_secs(86_400);

/// One attempt in the ledger, so many days old.
async fn record(counts: &Counts, days: u32) {
    let at = SystemTime::now() - DAY * days;
    let options = SqliteOptions::new(counts.path(), Limits::new([]).unwrap());
    let store = options.wall_clock(move || at).open().unwrap();
    let tags = Tags::new().with(Tag::Run, format!("{days} days ago"));
    store.record(&tags, Usage::new(1, 1)).get().await.unwrap();
    store.close().unwrap();
}

fn config(store: &str, retention: &str) -> ConfigFile {
    ConfigFile::new(&format!(
        "rate_limiting: {{ store: '{store}' }}\n\
         gateway: {{ listen: '127.0.0.1:0', upstream: 'http://127.0.0.1:1', retention: {retention} }}\n"
    ))
}

fn in_file(counts: &Counts, retention: &str) -> ConfigFile {
    config(&format!("sqlite:{}", counts.path()), retention)
}

fn runs(counts: &Counts) -> Vec<String> {
    let file = Connection::open(counts.path()).unwrap();
    let mut runs = file
        .prepare("SELECT run FROM attempts ORDER BY id")
        .unwrap();
    let runs = runs.query_map([], |row| row.get::<_, String>(0)).unwrap();
    runs.collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn what_is_old_is_deleted_and_sums_stay_longer() {
    let counts = Counts::new("retention");
    for days in [500, 100, 1] {
        record(&counts, days).await;
    }
    let ledger = Ledger::open(counts.path()).unwrap();
    let attempts = || ledger.report(&Query::new()).unwrap().totals.attempts;
    assert_eq!((attempts(), runs(&counts).len()), (3, 3));
    let config = in_file(&counts, "{ attempts: 90d, hours: 52w }");
    let gateway = Gateway::start_args(&["--config", config.path()]).await;
    // That is noted last.
    let noted = async {
        while ledger
            .audit()
            .unwrap()
            .iter()
            .all(|entry| entry.what != "prune")
        {
            tokio::task::yield_now().await;
        }
    };
    soon(noted).await;
    assert_eq!(runs(&counts), ["1 days ago"]);
    assert_eq!(attempts(), 2, "the sums of a hundred days ago stay");
    let audit = ledger.audit().unwrap();
    let pruned = audit.iter().find(|entry| entry.what == "prune").unwrap();
    assert_eq!(pruned.old.as_deref(), Some("2 attempts, 1 sums of an hour"));
    gateway.term().await;
    assert!(gateway.ended().await.success());
}

#[tokio::test]
async fn what_cannot_be_deleted_is_told_and_calls_go_on() {
    let counts = Counts::new("not-pruned");
    for days in [100, 1] {
        record(&counts, days).await;
    }
    let file = Connection::open(counts.path()).unwrap();
    let refuse =
        "CREATE TRIGGER kept BEFORE DELETE ON attempt BEGIN SELECT RAISE(ABORT, 'it stays'); END";
    file.execute_batch(refuse).unwrap();
    drop(file);
    let config = in_file(&counts, "{ attempts: 90d }");
    let mut gateway = Gateway::start_args(&["--config", config.path()]).await;
    let said = gateway.complaint().await;
    assert!(
        said.starts_with("tower-quota: the ledger is not pruned, which is tried again in a day: ")
            && said.contains("it stays"),
        "{said}"
    );
    let ready = client().get(gateway.url("/readyz")).send();
    assert_eq!(soon(ready).await.unwrap().status(), 200);
    assert_eq!(runs(&counts), ["100 days ago", "1 days ago"]);
}

#[tokio::test]
async fn where_there_is_no_ledger_it_is_refused() {
    let (counts, says) = (
        Counts::new("no-ledger"),
        "gateway.retention: this store has no ledger, so there is nothing to delete; leave `retention` out",
    );
    let in_memory = config("memory", "{ attempts: 90d }");
    let in_file = in_file(&counts, "{ attempts: 90d }");
    for args in [
        &["serve", "--config", in_memory.path()][..],
        &["check", "--config", in_memory.path()],
        &["serve", "--config", in_file.path(), "--store", "memory"],
    ] {
        let output = run(args).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(says), "{said}");
    }
    let there = format!("sqlite:{}", counts.path());
    for args in [
        &["check", "--config", in_file.path()][..],
        &["check", "--config", in_memory.path(), "--store", &there],
    ] {
        assert!(run(args).await.status.success());
    }
}

#[tokio::test]
async fn spans_that_are_hardly_meant_are_refused_at_the_start() {
    let counts = Counts::new("hardly-meant");
    let config = in_file(&counts, "{ attempts: 90 }");
    for command in ["serve", "check"] {
        let output = run(&[command, "--config", config.path()]).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("gateway.retention.attempts: has to be `1h` at least"),
            "{said}"
        );
    }
}
