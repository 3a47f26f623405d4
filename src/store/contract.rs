//! The checks that every store has to pass.
//!
//! They are for authors of a [`Store`] in this crate, and for those who wrap one outside it (what a grant is made of is
//! private). Call [`check`] from a test, with a way to make an empty store and a way to let its time pass. Each part is
//! also a function of its own. For stores that learn from answers, call [`listening::check`] as well.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use tower_quota::store::{MemoryStore, contract};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! contract::check(|limits| Arc::new(MemoryStore::new(limits)), tokio::time::advance).await;
//! # });
//! ```
//!
//! # Stability
//! This module is exempt from semantic versioning: any release may add a check, change one or remove it.
//!
//! # Panics
//! Every function here panics if the store breaks its promise, and says which.

mod aside;
pub mod by_hand;
pub mod listening;
pub mod pauses;
pub mod settings;
pub mod streams;
pub mod sub_agents;
mod trace;
mod waiting;

use std::{sync::Arc, time::Duration};

pub use aside::{
    a_peek_says_what_a_claim_would_hear, counts_stand_as_they_count,
    slots_that_are_held_already_are_left_alone, what_is_recorded_counts_as_used,
    what_remains_is_what_a_peek_leaves,
};
pub use trace::{random_trace, trace_limits};
pub use waiting::those_who_wait_take_as_others_do;

use super::{Claim, Decision, Grant, NotNow, Settlement, Store};
use crate::{
    limit::{Charge, Demand, Limit, Limits, NewTarget, Quantities},
    tags::{Tag, Tags},
    usage::Usage,
};

const PERIOD: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(1);

/// Runs all the checks below, each with an empty store.
pub async fn check(make: impl Fn(Limits) -> Arc<dyn Store>, pass: impl AsyncFn(Duration)) {
    takes_from_all_or_from_none(&make).await;
    room_comes_back_when_it_was_said_and_not_earlier(&make, &pass).await;
    what_is_held_does_not_expire(&make, &pass).await;
    dating_again_moves_the_date(&make, &pass).await;
    a_release_gives_everything_back(&make).await;
    a_settlement_replaces_the_reservation(&make).await;
    more_than_was_claimed_is_debt(&make, &pass).await;
    a_charge_at_the_send_leaves_in_flight(&make, &pass).await;
    concurrency_lasts_until_the_end(&make, &pass).await;
    a_run_is_used_up_for_good(&make, &pass).await;
    a_repeat_is_not_counted_as_a_call(&make).await;
    a_repeat_counts_where_it_has_not_been(&make).await;
    splits_count_apart(&make).await;
    what_can_never_fit_is_said_at_once(&make).await;
    a_peek_says_what_a_claim_would_hear(&make).await;
    what_remains_is_what_a_peek_leaves(&make).await;
    what_is_recorded_counts_as_used(&make, &pass).await;
    slots_that_are_held_already_are_left_alone(&make).await;
    a_grant_ends_once(&make).await;
    those_who_wait_take_as_others_do(&make).await;
    settings::check(&make, &pass).await;
    by_hand::check(&make).await;
    pauses::check(&make, &pass).await;
    streams::check(&make, &pass).await;
    sub_agents::check(&make).await;
    for seed in 0..20 {
        random_trace(make(trace_limits()), &pass, seed).await;
    }
}

/// Checks that a claim that one limit refuses leaves nothing spent at another.
pub async fn takes_from_all_or_from_none(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let narrow = window(Limit::requests(2)).when(Tag::Agent, "a");
    let store = make(limits([window(Limit::requests(3)), narrow]));
    let a = claim(Tags::new().with(Tag::Agent, "a"));
    let grants = [granted(&*store, &a).await, granted(&*store, &a).await];
    let refused = refused(&*store, &a).await;
    assert_eq!(
        (refused.key.limit(), refused.in_use, refused.needed),
        (1, 2, 1),
        "the narrow limit refuses"
    );
    let other = granted(&*store, &claim(Tags::new())).await;
    assert_eq!(
        self::refused(&*store, &claim(Tags::new())).await.in_use,
        3,
        "refusals took nothing"
    );
    for grant in grants.into_iter().chain([other]) {
        store.release(grant).get().await.expect("released");
    }
}

/// Checks that `NotNow::at` is exact: one tick earlier the claim is still refused.
pub async fn room_comes_back_when_it_was_said_and_not_earlier(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
    pass: &impl AsyncFn(Duration),
) {
    let store = make(limits([window(Limit::requests(1))]));
    let call = claim(Tags::new());
    spend(&*store, &call).await;
    let at = refused(&*store, &call)
        .await
        .at
        .expect("a dated charge has an end");
    assert!(
        at.since(store.now()) <= PERIOD,
        "no later than one period after the send"
    );
    pass(at.since(store.now()) - TICK).await;
    assert_eq!(
        refused(&*store, &call).await.at,
        Some(at),
        "one tick earlier refuses, and says the same"
    );
    pass(TICK).await;
    spend(&*store, &call).await;
}

/// Checks that a call about a grant that has ended changes nothing, even if others were given since.
pub async fn a_grant_ends_once(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let store = make(limits([Limit::concurrency(2)]));
    let call = claim(Tags::new());
    let mut first = granted(&*store, &call).await;
    let mut again = first.clone();
    store.date(&mut first);
    settle(&*store, first, Settlement::Unknown).await;
    let both = [granted(&*store, &call).await, granted(&*store, &call).await];
    store.date(&mut again);
    settle(&*store, again.clone(), Settlement::Unknown).await;
    store.release(again).get().await.expect("an answer");
    expect_refusal(&*store, &call).await;
    for grant in both {
        store.release(grant).get().await.expect("released");
    }
    spend(&*store, &call).await;
    spend(&*store, &call).await;
    expect_refusal(&*store, &call).await;
}

/// Checks that a grant that is not dated stays, however long its attempt takes to leave.
pub async fn what_is_held_does_not_expire(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
    pass: &impl AsyncFn(Duration),
) {
    let store = make(limits([window(Limit::requests(1))]));
    let call = claim(Tags::new());
    let mut grant = granted(&*store, &call).await;
    pass(PERIOD * 10).await;
    assert_eq!(
        refused(&*store, &call).await.at,
        None,
        "nobody can say when it is given back"
    );
    store.date(&mut grant);
    pass(PERIOD - TICK).await;
    expect_refusal(&*store, &call).await;
    pass(TICK).await;
    spend(&*store, &call).await;
}

/// Checks that the later date counts.
pub async fn dating_again_moves_the_date(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
    pass: &impl AsyncFn(Duration),
) {
    let store = make(limits([window(Limit::requests(1))]));
    let call = claim(Tags::new());
    let mut grant = granted(&*store, &call).await;
    store.date(&mut grant);
    pass(PERIOD / 2).await;
    store.date(&mut grant);
    pass(PERIOD / 2 + TICK).await;
    expect_refusal(&*store, &call).await;
    pass(PERIOD / 2).await;
    spend(&*store, &call).await;
}

/// Checks that what is released is free at once, dated or not.
pub async fn a_release_gives_everything_back(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let store = make(limits([window(Limit::requests(1)), Limit::concurrency(1)]));
    let call = claim(Tags::new());
    let held = granted(&*store, &call).await;
    store.release(held).get().await.expect("released");
    let mut dated = granted(&*store, &call).await;
    store.date(&mut dated);
    store.release(dated).get().await.expect("released");
    spend(&*store, &call).await;
}

/// Checks that usage below the reservation gives the rest back if the charge is corrected, and that unknown usage keeps
/// the reservation.
pub async fn a_settlement_replaces_the_reservation(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let store = make(limits([window(Limit::tokens(100))]));
    let grant = sent(&*store, &tokens(40, 50)).await;
    assert_eq!(refused(&*store, &tokens(10, 10)).await.in_use, 90);
    settle(&*store, grant, Settlement::Usage(Usage::new(20, 5))).await;
    let grant = sent(&*store, &tokens(70, 0)).await;
    assert_eq!(
        refused(&*store, &tokens(10, 0)).await.in_use,
        95,
        "25 used and 70 reserved"
    );
    settle(&*store, grant, Settlement::Unknown).await;
    assert_eq!(
        refused(&*store, &tokens(10, 0)).await.in_use,
        95,
        "unknown counts as reserved"
    );
}

/// Checks that usage above the claim counts, and that nothing is granted before it is paid off.
pub async fn more_than_was_claimed_is_debt(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
    pass: &impl AsyncFn(Duration),
) {
    let store = make(limits([window(Limit::tokens(100))]));
    let grant = sent(&*store, &tokens(10, 0)).await;
    settle(&*store, grant, Settlement::Usage(Usage::new(10, 290))).await;
    assert_eq!(refused(&*store, &tokens(1, 0)).await.in_use, 300);
    pass(PERIOD - TICK).await;
    expect_refusal(&*store, &tokens(1, 0)).await;
    pass(TICK).await;
    spend(&*store, &tokens(100, 0)).await;
}

/// Checks that what is charged at the send leaves one period later although the call is still in flight, and that what
/// is charged at completion does not.
pub async fn a_charge_at_the_send_leaves_in_flight(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
    pass: &impl AsyncFn(Duration),
) {
    let at_send = window(Limit::tokens(100)).charge(Charge::azure());
    let store = make(limits([at_send]));
    let grant = sent(&*store, &tokens(50, 50)).await;
    pass(PERIOD).await;
    spend(&*store, &tokens(50, 50)).await;
    settle(&*store, grant, Settlement::Usage(Usage::new(50, 50))).await;
    assert_eq!(
        refused(&*store, &tokens(1, 0)).await.in_use,
        100,
        "what has left does not come back"
    );

    let store = make(limits([window(Limit::tokens(100))]));
    let grant = sent(&*store, &tokens(50, 50)).await;
    pass(PERIOD).await;
    assert_eq!(refused(&*store, &tokens(1, 0)).await.at, None);
    settle(&*store, grant, Settlement::Usage(Usage::new(50, 50))).await;
    pass(PERIOD - TICK).await;
    expect_refusal(&*store, &tokens(1, 0)).await;
    pass(TICK).await;
    spend(&*store, &tokens(1, 0)).await;
}

/// Checks that a slot is taken until the end, however long that takes, and is free at once then.
pub async fn concurrency_lasts_until_the_end(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
    pass: &impl AsyncFn(Duration),
) {
    let store = make(limits([Limit::concurrency(1)]));
    let grant = sent(&*store, &claim(Tags::new())).await;
    pass(PERIOD * 100).await;
    assert_eq!(refused(&*store, &claim(Tags::new())).await.at, None);
    settle(&*store, grant, Settlement::Unknown).await;
    spend(&*store, &claim(Tags::new())).await;
}

/// Checks that what a run used stays used, and that another run has its own count.
pub async fn a_run_is_used_up_for_good(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
    pass: &impl AsyncFn(Duration),
) {
    let store = make(limits([Limit::requests(1).every_run()]));
    let run = |name: &str| claim(Tags::new().with(Tag::Run, name));
    spend(&*store, &run("a")).await;
    pass(PERIOD * 10_000).await;
    let decision = store.claim(&run("a")).get().await.expect("an answer");
    assert!(matches!(decision, Decision::Never(_)), "{decision:?}");
    spend(&*store, &run("b")).await;
}

/// Checks that a limit on calls leaves repeats alone, and that a limit on attempts does not.
pub async fn a_repeat_is_not_counted_as_a_call(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let calls = window(Limit::requests(1)).when(Tag::Agent, "a");
    let store = make(limits([calls, window(Limit::requests(2))]));
    let call = claim(Tags::new().with(Tag::Agent, "a"));
    spend(&*store, &call).await;
    assert_eq!(refused(&*store, &call).await.key.limit(), 0);
    let repeat = Claim {
        repeat: true,
        ..call
    };
    spend(&*store, &repeat).await;
    assert_eq!(
        refused(&*store, &repeat).await.key.limit(),
        1,
        "attempts count every time"
    );
}

/// Checks that a limit on the calls of somebody to a target counts a repeat that comes from another target, and that one
/// on their calls to whatever is the same does not.
pub async fn a_repeat_counts_where_it_has_not_been(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let calls = window(Limit::requests(1)).per(Tag::Agent);
    let store = make(limits([calls.clone(), calls.when(Tag::Model, "small")]));
    let to = |model: &str| {
        let agent = Tags::new().with(Tag::Agent, "a");
        claim(agent.with(Tag::Model, model))
    };
    spend(&*store, &to("large")).await;
    let repeat = Claim {
        repeat: true,
        new_target: NewTarget::of(&to("small").tags, [&*to("large").tags]),
        ..to("small")
    };
    spend(&*store, &repeat).await;
    assert_eq!(
        refused(&*store, &repeat).await.key.limit(),
        1,
        "it was counted there"
    );
}

/// Checks that one value of a tag does not affect another.
pub async fn splits_count_apart(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let store = make(limits([window(Limit::requests(1)).per(Tag::Agent)]));
    let agent = |name: &str| claim(Tags::new().with(Tag::Agent, name));
    spend(&*store, &agent("a")).await;
    spend(&*store, &agent("b")).await;
    assert_eq!(&*refused(&*store, &agent("a")).await.key.values()[0], "a");
    spend(&*store, &claim(Tags::new())).await;
    expect_refusal(&*store, &claim(Tags::new())).await;
}

/// Checks that a declared figure above the limit is refused for good, and that an estimate is cut down to the limit.
pub async fn what_can_never_fit_is_said_at_once(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let store = make(limits([window(Limit::tokens(100))]));
    let decision = store.claim(&tokens(101, 0)).get().await.expect("an answer");
    assert!(
        matches!(decision, Decision::Never(NotNow { needed: 101, .. })),
        "{decision:?}"
    );
    let mut estimate = tokens(1_000, 0);
    estimate.demand.input_declared = false;
    spend(&*store, &estimate).await;
    assert_eq!(refused(&*store, &tokens(1, 0)).await.in_use, 100);
}

/// A minute without a margin.
fn window(limit: Limit) -> Limit {
    limit.every(PERIOD).margin(Duration::ZERO)
}

fn limits(limits: impl IntoIterator<Item = Limit>) -> Limits {
    Limits::new(limits).expect("limits that make sense")
}

fn claim(tags: Tags) -> Claim {
    Claim {
        quantities: Quantities::ADMISSION,
        ..Claim::new(tags, Demand::default())
    }
}

fn tokens(input: u64, output: u64) -> Claim {
    Claim {
        demand: Demand {
            input,
            output,
            ..Demand::default()
        },
        ..claim(Tags::new())
    }
}

async fn granted(store: &dyn Store, claim: &Claim) -> Grant {
    match store.claim(claim).get().await.expect("an answer") {
        Decision::Granted(grant) => grant,
        other => panic!("expected a grant: {other:?}"),
    }
}

async fn sent(store: &dyn Store, claim: &Claim) -> Grant {
    let mut grant = granted(store, claim).await;
    store.date(&mut grant);
    grant
}

/// A grant whose end does not matter.
async fn spend(store: &dyn Store, claim: &Claim) {
    drop(sent(store, claim).await);
}

async fn expect_refusal(store: &dyn Store, claim: &Claim) {
    drop(refused(store, claim).await);
}

async fn refused(store: &dyn Store, claim: &Claim) -> NotNow {
    match store.claim(claim).get().await.expect("an answer") {
        Decision::NotNow(refused) => refused,
        other => panic!("expected a refusal: {other:?}"),
    }
}

async fn settle(store: &dyn Store, grant: Grant, settlement: Settlement) {
    store
        .settle(grant, settlement)
        .get()
        .await
        .expect("settled");
}
