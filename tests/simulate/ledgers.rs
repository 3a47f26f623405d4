//! The ledger of a store in a file, played again.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tower_quota::{
    Limiter, Money, Tag, Tags, Usage,
    limit::Limits,
    limiter::{Call, QueueOptions},
    simulate::{Load, LoadError},
    store::SqliteStore,
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
            .with("tenant".into(), "acme");
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
    let ledger = tower_quota::store::sqlite::Ledger::open(&path).unwrap();
    let mut csv = Vec::new();
    ledger.attempts_to_csv(EVER, far(), &mut csv).unwrap();
    let exported = Load::from_csv(&csv[..]).unwrap();
    let again = run(&config("  global: { rpm: 100 }"), exported);
    assert_eq!((again.calls, again.cost), (report.calls, report.cost));

    let nothing = Load::from_ledger(&path, EVER, EVER + Duration::from_secs(1));
    assert!(matches!(nothing, Err(LoadError::Empty)));
}

#[test]
fn where_there_is_none_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Load::from_ledger(folder.path().join("none.db"), EVER, far());
    assert!(matches!(missing, Err(LoadError::Ledger(_))));
}
