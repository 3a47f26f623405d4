//! The calls that are measured.

use std::{hint::black_box, time::Duration};

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
        quantities: Quantities::ADMISSION,
        ..Claim::new(
            tags,
            Demand {
                input: 10,
                output: 10,
                ..Demand::default()
            },
        )
    }
}

pub(crate) fn granted(store: &MemoryStore, claim: &Claim) -> Grant {
    let Answer::Now(Ok(Decision::Granted(grant))) = store.claim(black_box(claim)) else {
        panic!("there is room for all");
    };
    grant
}

/// A whole call: claimed, dated when it leaves, settled when it ends.
pub(crate) fn call(store: &MemoryStore, claim: &Claim) {
    let mut grant = granted(store, claim);
    store.date(&mut grant);
    drop(store.settle(grant, Settlement::Usage(Usage::new(9, 5))));
}

/// The names of four keys.
pub(crate) const KEYS: [&str; 4] = ["gpt-5.5", "gpt-5.5-mini", "claude-opus-5", "gemini-3-pro"];

/// One limit on requests for each model, and a call to each of four under it.
pub(crate) fn one_limit() -> (MemoryStore, [Claim; 4]) {
    let (limits, claims) = of_one_limit();
    (MemoryStore::new(limits), claims)
}

pub(crate) fn of_one_limit() -> (Limits, [Claim; 4]) {
    let limit = Limit::requests(PLENTY).every(MINUTE).per(Tag::Model);
    let claims = KEYS.map(|key| claim_of(Tags::new().with(Tag::Model, key)));
    (Limits::new([limit]).expect("a limit"), claims)
}

/// Five levels with a limit on requests and one on tokens each, and calls of four agents for four users under them.
pub(crate) fn five_levels() -> (MemoryStore, [Claim; 4]) {
    let (limits, claims) = of_five_levels();
    (MemoryStore::new(limits), claims)
}

pub(crate) fn of_five_levels() -> (Limits, [Claim; 4]) {
    let levels = [Tag::Model, Tag::ApiKey, Tag::Agent, Tag::Team, Tag::User];
    let both = levels.iter().flat_map(|tag| {
        let limit = |limit: Limit| limit.every(MINUTE).per(tag.clone());
        [limit(Limit::requests(PLENTY)), limit(Limit::tokens(PLENTY))]
    });
    let claims = [1, 2, 3, 4].map(|number| {
        claim_of(levels.iter().fold(Tags::new(), |tags, tag| {
            let of_all = matches!(tag, Tag::Model | Tag::ApiKey | Tag::Team);
            let number = if of_all { 0 } else { number };
            tags.with(tag.clone(), format!("{tag} {number}"))
        }))
    });
    (Limits::new(both).expect("limits"), claims)
}
