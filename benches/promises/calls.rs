//! The calls that are measured.

use std::{hint::black_box, sync::Arc, time::Duration};

use tower_quota::{
    Tag, Tags, Usage,
    limit::{Demand, Limit, Limits, Quantities},
    store::{Answer, Claim, Decision, Grant, MemoryStore, Settlement, Store},
};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
/// As much as nobody uses: what is measured is a call with room.
const PLENTY: u64 = u64::MAX >> 1;

pub(crate) fn claim_of(tags: Tags) -> Claim {
    Claim {
        tags: Arc::new(tags),
        demand: Demand {
            input: 10,
            output: 10,
            ..Demand::default()
        },
        quantities: Quantities::ADMISSION,
        repeat: false,
        held: Vec::new(),
    }
}

pub(crate) fn granted(store: &MemoryStore, claim: &Claim) -> Grant {
    match store.claim(black_box(claim)) {
        Answer::Now(Ok(Decision::Granted(grant))) => grant,
        other => panic!("{other:?}"),
    }
}

/// A whole call: claimed, dated when it leaves, settled when it ends.
pub(crate) fn call(store: &MemoryStore, claim: &Claim) {
    let mut grant = granted(store, claim);
    store.date(&mut grant);
    drop(store.settle(grant, Settlement::Usage(Usage::new(9, 5))));
}

/// One limit on requests, and a call under it.
pub(crate) fn one_limit() -> (MemoryStore, Claim) {
    let limits = Limits::new([Limit::requests(PLENTY).every(MINUTE)]).expect("a limit");
    let claim = claim_of(Tags::new().with(Tag::Model, "gpt-5.5"));
    (MemoryStore::new(limits), claim)
}

/// Five levels with a limit on requests and one on tokens each, and a call under them.
pub(crate) fn five_levels() -> (MemoryStore, Claim) {
    let levels = [Tag::Model, Tag::ApiKey, Tag::Agent, Tag::Team, Tag::User];
    let both = levels.iter().flat_map(|tag| {
        let limit = |limit: Limit| limit.every(MINUTE).per(tag.clone());
        [limit(Limit::requests(PLENTY)), limit(Limit::tokens(PLENTY))]
    });
    let tags = levels.iter().fold(Tags::new(), |tags, tag| {
        tags.with(tag.clone(), format!("a {tag}"))
    });
    let limits = Limits::new(both).expect("limits");
    (MemoryStore::new(limits), claim_of(tags))
}
