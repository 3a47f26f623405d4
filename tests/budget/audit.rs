//! The audit log, as a program has it from its limiter.

#[cfg(feature = "sqlite")]
use crate::folder;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tower_quota::{
    Limiter, Money, Tags, Usage,
    limit::{Limit, Limits},
    limiter::{Call, QueueOptions},
    store::{AuditEntry, Correction, MemoryStore, Note, Reason, Store},
};

const HOUR: Duration = Duration::from_secs(3_600);

fn budget(dollars: u64) -> Limits {
    let budget = Limit::cost(Money::from_dollars(dollars)).every(HOUR);
    Limits::new([budget.circuit()]).unwrap()
}

fn limiter(store: impl Store) -> Limiter {
    Limiter::build(Arc::new(store), QueueOptions::new())
}

fn said(audit: &[AuditEntry]) -> Vec<[&str; 3]> {
    let each = audit.iter();
    each.map(|entry| [&*entry.what, &*entry.by, &*entry.why])
        .collect()
}

/// What two operators do, and what happens by itself in between.
async fn operate(limiter: &Limiter) {
    let mut usage = Usage::new(1, 1);
    usage.cost = Some(Money::from_dollars(11));
    limiter.record(&Tags::new(), usage).await.unwrap();
    let refused = limiter.try_acquire(Call::new().cost(Money::from_dollars(1)));
    assert_eq!(refused.await.unwrap_err().kind(), "circuit_open");
    let by = |who: &str, why: &str| Reason::new(why).by(who);
    let reset = limiter.reset(&Tags::new(), by("ada", "seen to")).await;
    assert_eq!(reset, Ok(1));
    let more = Correction::More(Money::from_dollars(2));
    limiter
        .correct(&Tags::new(), more, by("bob", "the bill"))
        .await
        .unwrap();
    limiter
        .reconfigure_because(&budget(30), by("ada", "a new month"))
        .await
        .unwrap();
    let note = Note::new("key", "ci-bot").now("made");
    limiter.note(note, by("bob", "asked for")).await.unwrap();
}

const OPERATED: [[&str; 3]; 5] = [
    ["stop", "tower-quota", "too much of it is spent"],
    ["reset", "ada", "seen to"],
    ["correct", "bob", "the bill"],
    ["limit", "ada", "a new month"],
    ["key", "bob", "asked for"],
];

/// S7: an audit log.
#[tokio::test(start_paused = true)]
async fn each_entry_says_who_did_it_and_why_and_calls_leave_none() {
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_790_000_000_123);
    let limiter = limiter(MemoryStore::new(budget(10)).wall_clock(move || at));
    assert_eq!(limiter.audit().await, Ok(Vec::new()));
    operate(&limiter).await;
    let audit = limiter.audit().await.unwrap();
    assert_eq!(said(&audit), OPERATED);
    assert_eq!(audit[0].at, "2026-09-21T14:13:20.123Z");
    for _ in 0..10 {
        let call = Call::new().cost(Money::from_dollars(1));
        drop(limiter.acquire(call).await.unwrap());
    }
    // The same limits again change nothing.
    limiter.reconfigure(&budget(30)).await.unwrap();
    assert_eq!(limiter.audit().await, Ok(audit));
}

#[tokio::test(start_paused = true)]
async fn a_store_in_memory_keeps_the_last_thousand_and_a_few() {
    let limiter = limiter(MemoryStore::new(budget(10)));
    for number in 0..1_030 {
        let note = Note::new("key", number.to_string());
        limiter.note(note, "so").await.unwrap();
    }
    let audit = limiter.audit().await.unwrap();
    let subjects: Vec<&str> = audit.iter().map(|entry| &*entry.subject).collect();
    assert_eq!(subjects.len(), 1_024);
    assert_eq!((subjects[0], subjects[1_023]), ("6", "1029"));
    assert!(audit.iter().all(|entry| entry.by == "this program"));
}

#[cfg(feature = "sqlite")]
mod in_a_file {
    use tower_quota::store::SqliteStore;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_there_after_a_crash_and_what_was_noted_is_done_once() {
        let folder = folder::Folder::new();
        let path = folder.file("counts.db");
        let limiter = limiter(SqliteStore::open(&path, budget(10)).unwrap());
        operate(&limiter).await;
        let audit = limiter.audit().await.unwrap();
        assert_eq!(said(&audit), OPERATED);

        let copy = folder.copy(&path, "copy.db");
        let again = self::limiter(SqliteStore::open(copy, budget(10)).unwrap());
        assert_eq!(again.audit().await, Ok(audit));
        let spent = again.budgets().await.unwrap();
        assert_eq!(spent[0].settled, Money::from_dollars(2));
        assert_eq!(spent[0].amount, Money::from_dollars(30));
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_written_is_an_error() {
        let folder = folder::Folder::new();
        let store = Arc::new(SqliteStore::open(folder.file("counts.db"), budget(10)).unwrap());
        let limiter = Limiter::build(store.clone(), QueueOptions::new());
        store.close().unwrap();
        let error = limiter.note(Note::new("key", "a"), "so").await.unwrap_err();
        assert!(error.to_string().contains("was closed"), "{error}");
        assert!(limiter.audit().await.is_err());
    }
}

#[cfg(feature = "config")]
#[tokio::test(start_paused = true)]
async fn a_reload_is_there_with_whoever_has_asked_for_it() {
    use tower_quota::config::Config;

    let config = |rpm: u32| {
        let text = format!("rate_limiting: {{ global: {{ rpm: {rpm} }} }}");
        Config::from_yaml(&text).unwrap()
    };
    let stack = config(5).build().unwrap();
    stack.reload(&config(6)).await.unwrap();
    let block = config(7).rate_limiting;
    let by = Reason::new("more traffic").by("ada");
    stack.reload_because(&block, by).await.unwrap();
    let audit = stack.limiter.audit().await.unwrap();
    assert_eq!(
        said(&audit),
        [
            ["limit", "this program", "the configuration was read again"],
            ["limit", "ada", "more traffic"],
        ]
    );
}
