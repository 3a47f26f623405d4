//! Checks of what is done by hand, and of its audit log.

use std::sync::Arc;

use super::{PERIOD, limits, window};
use crate::{
    limit::{Limit, Limits},
    money::Money,
    store::{AuditEntry, Correction, Note, Reason, Store},
    tags::{Tag, Tags, scope},
    usage::Usage,
};

/// Runs all the checks below, each with an empty store.
pub async fn check(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    what_is_done_by_hand_is_in_the_audit_log(make).await;
    whoever_is_named_did_it(make).await;
}

/// Whether the store keeps an audit log; one that does not says so whatever is asked of it.
async fn keeps_one(store: &dyn Store) -> bool {
    let keeps = store.audit().get().await.is_ok();
    let note = store.note(Note::new("key", "a"), &Reason::default());
    assert_eq!(note.get().await.is_ok(), keeps, "all of it or nothing");
    keeps
}

/// Checks that corrections, resets, changed limits and notes are in the audit log in their order, each once, with who
/// did them and why.
pub async fn what_is_done_by_hand_is_in_the_audit_log(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let budget = |dollars| Limit::cost(Money::from_dollars(dollars)).every(PERIOD);
    let requests = || window(Limit::requests(9)).when(Tag::Agent, "a");
    let store = make(limits([budget(10).circuit(), requests()]));
    if !keeps_one(&*store).await {
        return;
    }
    let noted = all(&*store).await.len();
    let tags = Tags::new();
    let mut usage = Usage::new(1, 1);
    usage.cost = Some(Money::from_dollars(11));
    store.record(&tags, usage).get().await.expect("counted");
    let less = Correction::Less(Money::from_dollars(4));
    let by = |who: &str, why: &str| Reason::new(why).by(who);
    let corrected = store.correct(&tags, less, &by("ada", "refunded"));
    corrected.get().await.expect("corrected");
    let reset = store.reset(&tags, &by("bob", "seen to")).get().await;
    assert_eq!(reset, Ok(1), "what went over stops until it is reset");
    let other = limits([budget(20).circuit()]);
    let changed = store.reconfigure(&other, &by("cyd", "a new month"));
    changed.get().await.expect("changed");
    let note = Note::new("key", "ci-bot").was("enabled").now("disabled");
    let note = store.note(note, &by("dee", "it leaked"));
    note.get().await.expect("noted");

    let all = all(&*store).await;
    let said: Vec<String> = all[noted..].iter().map(said).collect();
    assert_eq!(
        said,
        [
            "stop cost $10.00/min (circuit): - -> $11.00, tower-quota: too much of it is spent",
            "correct cost $10.00/min (circuit): $11.00 -> $7.00, ada: refunded",
            "reset cost $10.00/min (circuit): $7.00 -> $0.00, bob: seen to",
            "limit cost $20.00/min (circuit): cost $10.00/min (circuit) -> cost $20.00/min (circuit), \
             cyd: a new month",
            "limit requests 9/min for agent=a: requests 9/min for agent=a -> -, cyd: a new month",
            "key ci-bot: enabled -> disabled, dee: it leaked",
        ]
    );
    let in_order = all.is_sorted_by_key(|entry| entry.at.clone());
    assert!(in_order, "the newest is the last: {all:?}");
}

/// Checks who did it: whoever the reason names, or else the user of the scope, or else whoever the store names.
pub async fn whoever_is_named_did_it(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let store = make(limits([]));
    if !keeps_one(&*store).await {
        return;
    }
    let (tags, reason) = (Tags::new().with(Tag::User, "ada"), Reason::new("so"));
    let noted = async |reason: Reason| {
        let note = store.note(Note::new("key", "k"), &reason);
        note.get().await.expect("noted");
        let last = all(&*store).await.pop().expect("it was noted");
        (last.by, last.why)
    };
    let by = scope(tags.clone(), async { noted(reason.clone()).await }).await;
    assert_eq!(by, ("ada".into(), "so".into()));
    let by = scope(tags, async { noted(reason.clone().by("bob")).await }).await;
    assert_eq!(by, ("bob".into(), "so".into()));
    let (by, _) = noted(reason).await;
    assert!(!by.is_empty() && by != "ada" && by != "bob", "{by}");
}

async fn all(store: &dyn Store) -> Vec<AuditEntry> {
    store.audit().get().await.expect("it keeps one")
}

fn said(entry: &AuditEntry) -> String {
    let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let AuditEntry {
        what,
        subject,
        old,
        new,
        by,
        why,
        ..
    } = entry;
    format!("{what} {subject}: {} -> {}, {by}: {why}", or(old), or(new))
}
