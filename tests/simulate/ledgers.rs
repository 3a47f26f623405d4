//! The ledger of a store in a file, played again.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tower_quota::{
    Limiter, Money, Tag, Tags, Usage,
    limit::Limits,
    limiter::{Call, QueueOptions},
    simulate::{Load, LoadError},
    store::{SqliteStore, sqlite::Ledger},
};

use crate::{config, run};

const EVER: SystemTime = SystemTime::UNIX_EPOCH;

fn far() -> SystemTime {
    SystemTime::now() + Duration::from_secs(86_400)
}

#[tokio::test]
async fn its_attempts_are_a_load() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("counts.db");
    let store = Arc::new(SqliteStore::open(&path, Limits::new([]).unwrap()).unwrap());
    let limiter = Limiter::build(store.clone(), QueueOptions::new());
    for number in 0..4u64 {
        let tags = Tags::new()
            .with(Tag::Model, "gpt-4o")
            .with(Tag::Agent, if number == 0 { "scout" } else { "clerk" })
            .with("tenant", "acme");
        let permit = limiter
            .acquire(Call::new().tags(tags).tokens(900, 100))
            .await
            .unwrap();
        let mut usage = Usage::new(1_000 + number, 10);
        usage.cache_read = 400;
        usage.cost = Some(Money::from_dollars(1));
        permit.settle(usage);
    }
    // One is still open.
    let open = limiter
        .acquire(Call::new().tags(Tags::new().with(Tag::Model, "gpt-4o")))
        .await
        .unwrap();
    store.close().unwrap();
    let load = Load::from_ledger(&path, EVER, far()).unwrap();
    let report = run(&config("  global: { rpm: 100 }"), load);
    assert_eq!((report.calls, report.answered), (4, 4));
    assert_eq!((report.input_tokens, report.output_tokens), (4_006, 40));
    let of = |tag: &str, value: &str| {
        let by = report.by.iter().find(|by| by.tag.name() == tag).unwrap();
        by.values
            .iter()
            .find(|level| level.value == value)
            .unwrap()
            .calls
    };
    assert_eq!(
        (
            of("agent", "scout"),
            of("agent", "clerk"),
            of("tenant", "acme")
        ),
        (1, 3, 4)
    );
    // By our prices, not by what was said then: 4 006 tokens, 1 600 of them from a cache, and 40.
    let nanos = (4_006 - 1_600) * 2_500 + 1_600 * 1_250 + 40 * 10_000;
    assert_eq!(report.cost, Money::from_nanos(nanos));
    drop(open);

    // What it exports is a trace.
    let exported = Load::from_csv(&csv(&path)[..]).unwrap();
    let again = run(&config("  global: { rpm: 100 }"), exported);
    assert_eq!((again.calls, again.cost), (report.calls, report.cost));

    let nothing = Load::from_ledger(&path, EVER, EVER + Duration::from_secs(1));
    assert!(matches!(nothing, Err(LoadError::Empty)));
}

/// A ledger in a folder, with an attempt of each of these models and agents: 10 tokens, of which 25 came from a cache.
async fn ledger(of: &[(Option<&str>, &str)]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("counts.db");
    let store = Arc::new(SqliteStore::open(&path, Limits::new([]).unwrap()).unwrap());
    let limiter = Limiter::build(store.clone(), QueueOptions::new());
    for (model, agent) in of {
        let mut tags = Tags::new().with(Tag::Agent, *agent);
        if let Some(model) = model {
            tags.set(Tag::Model, *model);
        }
        let mut usage = Usage::new(10, 1);
        usage.cache_read = 25;
        limiter.record(&tags, usage).await.unwrap();
    }
    store.close().unwrap();
    (folder, path)
}

fn csv(path: &Path) -> Vec<u8> {
    let mut csv = Vec::new();
    let ledger = Ledger::open(path).unwrap();
    ledger.attempts_to_csv(EVER, far(), &mut csv).unwrap();
    csv
}

#[tokio::test]
async fn attempts_without_a_model_are_left_out_and_counted() {
    let (_folder, path) = ledger(&[(None, "a"), (Some("gpt-4o"), "a"), (None, "b")]).await;
    let mut json = Vec::new();
    let read = Ledger::open(&path).unwrap();
    read.attempts_to_json(EVER, far(), &mut json).unwrap();
    for load in [
        Load::from_ledger(&path, EVER, far()),
        Load::from_csv(&csv(&path)[..]),
        Load::from_json_lines(&json[..]),
    ] {
        let report = run(&config("  global: { rpm: 100 }"), load.unwrap());
        assert_eq!((report.calls, report.left_out), (1, 2));
        // All that it used came from a cache, and no more than that.
        let nanos = 10 * 1_250 + 10_000;
        assert_eq!(report.cost, Money::from_nanos(nanos));
        let text = report.to_string();
        assert!(text.contains("\n2 attempts without a model are left out\n"));
    }
    // In any other trace that is a mistake.
    let trace = "at,input_tokens,output_tokens,latency\n0,1,1,1";
    let error = Load::from_csv(trace.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "line 2: `model` is missing");
}

#[tokio::test]
async fn an_attempt_that_makes_no_sense_is_told_by_its_id_and_its_time() {
    let (_folder, path) = ledger(&[(Some("gpt-4o"), "a")]).await;
    let conn = rusqlite::Connection::open(&path).unwrap();
    let tags = r#"{"model":"gpt-4o","tenant":7}"#;
    conn.execute("UPDATE tag_set SET tags = ?", [tags]).unwrap();
    let named = conn.query_row("SELECT id, at FROM attempts", [], |row| {
        let (id, at): (i64, String) = (row.get(0)?, row.get(1)?);
        Ok(format!("attempt {id} of {at}: `tags` is `{tags}`: "))
    });
    let error = Load::from_ledger(&path, EVER, far()).unwrap_err();
    assert!(matches!(error, LoadError::Attempt { .. }));
    let said = error.to_string();
    assert!(said.starts_with(&named.unwrap()), "{said}");
}

/// For spreadsheets there is a `'` before what they would compute: that is no part of a tag.
#[tokio::test]
async fn what_a_spreadsheet_would_compute_is_what_it_was() {
    let agents = ["=1+1", "-x", "@y", "+z", "'quoted'"];
    let attempts = agents.map(|agent| (Some("gpt-4o"), agent));
    let (_folder, path) = ledger(&attempts).await;
    let told = |load: Load| {
        let report = run(&config("  global: { rpm: 100 }"), load);
        let by = report.by.iter().find(|by| by.tag == Tag::Agent).unwrap();
        let mut told: Vec<String> = by.values.iter().map(|one| one.value.clone()).collect();
        told.sort();
        told
    };
    let mut expected = agents.map(str::to_owned);
    expected.sort();
    let exported = csv(&path);
    assert!(String::from_utf8_lossy(&exported).contains(",'=1+1,"));
    assert_eq!(told(Load::from_csv(&exported[..]).unwrap()), expected);
    assert_eq!(
        told(Load::from_ledger(&path, EVER, far()).unwrap()),
        expected
    );
    // What is no ledger's is left as it is.
    let trace = "at,model,agent,input_tokens,output_tokens,latency\n0,gpt-4o,'=1+1,1,1,1";
    assert_eq!(told(Load::from_csv(trace.as_bytes()).unwrap()), ["'=1+1"]);
}

#[test]
fn where_there_is_none_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Load::from_ledger(folder.path().join("none.db"), EVER, far());
    assert!(matches!(missing, Err(LoadError::Ledger(_))));
}
