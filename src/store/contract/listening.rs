//! The checks that stores have to pass if they learn from answers. Others say that they do not: [`Store::observe`] does
//! nothing by default.

use std::{sync::Arc, time::Duration};

use super::{PERIOD, TICK, claim, expect_refusal, granted, limits, refused, sent, spend, window};
use crate::{
    limit::{Limit, Limits},
    store::{Claim, Decision, Grant, Observation, Store},
    tags::{Tag, Tags},
    wire::{Observed, ObservedQuantity},
};

/// Runs all the checks below, each with an empty store.
pub async fn check(make: impl Fn(Limits) -> Arc<dyn Store>, pass: impl AsyncFn(Duration)) {
    a_closed_target_waits_and_no_other(&make, &pass).await;
    what_is_taken_back_holds_nothing_back(&make).await;
    the_cooldown_is_among_what_a_claim_waits_for(&make).await;
    room_is_left_for_what_others_use(&make, &pass).await;
    counters_that_make_no_sense_change_nothing(&make).await;
    refusals_cut_and_quiet_time_grows(&make, &pass).await;
    without_a_word_of_learning_refusals_cut_nothing(&make).await;
}

fn model(name: &str) -> Claim {
    claim(Tags::new().with(Tag::Model, name).with(Tag::Agent, "a"))
}

async fn tell(store: &dyn Store, claim: &Claim, grant: &Grant, seen: Observation) -> bool {
    let answer = store.observe(&claim.tags, grant, &seen);
    answer.get().await.expect("taken in")
}

fn counters(limit: u64, remaining: u64) -> Observation {
    let seen = Observed {
        quantity: ObservedQuantity::Requests,
        window: Some(PERIOD),
        limit: Some(limit),
        remaining: Some(remaining),
        reset: None,
    };
    Observation::Counters {
        shown: vec![seen],
        refused: false,
    }
}

/// Checks that a closed target, and no other, waits until the told instant and not a tick longer, whoever calls. Of
/// several instants the latest holds.
pub async fn a_closed_target_waits_and_no_other(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
    pass: &impl AsyncFn(Duration),
) {
    let store = make(limits([window(Limit::requests(9))]));
    let call = model("m");
    let grant = sent(&*store, &call).await;
    let until = store.now().after(PERIOD / 2);
    for until in [until, store.now().after(PERIOD / 4)] {
        tell(&*store, &call, &grant, Observation::Closed { until }).await;
    }
    let sibling = claim(Tags::new().with(Tag::Model, "m").with(Tag::Agent, "b"));
    let no = refused(&*store, &sibling).await;
    assert!(no.key.is_cooldown(), "{no:?}");
    assert_eq!(
        (no.at, no.not_before, no.needed),
        (Some(until), Some(until), 0)
    );
    for other in [model("n"), claim(Tags::new())] {
        spend(&*store, &other).await;
    }
    let key = call.tags.as_ref().clone().with(Tag::ApiKey, "k");
    spend(&*store, &claim(key)).await;
    pass(PERIOD / 2 - TICK).await;
    expect_refusal(&*store, &sibling).await;
    pass(TICK).await;
    spend(&*store, &sibling).await;
}

/// Checks that an instant told by mistake is taken back, and nothing else.
pub async fn what_is_taken_back_holds_nothing_back(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let store = make(limits([]));
    let call = model("m");
    let grant = sent(&*store, &call).await;
    let (short, long) = (store.now().after(PERIOD), store.now().after(2 * PERIOD));
    for until in [short, long] {
        tell(&*store, &call, &grant, Observation::Closed { until }).await;
    }
    let taken_back = Observation::Reopened { until: long };
    assert!(
        tell(&*store, &call, &grant, taken_back).await,
        "it opens earlier"
    );
    assert_eq!(refused(&*store, &call).await.at, Some(short));
    tell(
        &*store,
        &call,
        &grant,
        Observation::Reopened { until: short },
    )
    .await;
    spend(&*store, &call).await;
}

/// Checks that the cooldown is among the keys of a claim, so that nobody overtakes those who wait for it, and that a
/// peek shows it.
pub async fn the_cooldown_is_among_what_a_claim_waits_for(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
) {
    let store = make(limits([]));
    let call = model("m");
    let grant = sent(&*store, &call).await;
    let until = store.now().after(PERIOD);
    tell(&*store, &call, &grant, Observation::Closed { until }).await;
    let key = refused(&*store, &call).await.key;
    assert!(store.keys(&call).contains(&key));
    assert!(!store.keys(&model("n")).contains(&key));
    let standings = store.peek(&call).get().await.expect("an answer");
    assert!(standings.iter().any(|standing| standing.key == key));
    let standings = store.peek(&model("n")).get().await.expect("an answer");
    assert!(standings.is_empty(), "{standings:?}");
}

/// Checks that what is used on the account, but not here, counts as used by others; for one period, and in no other
/// count.
pub async fn room_is_left_for_what_others_use(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
    pass: &impl AsyncFn(Duration),
) {
    let of = |model| window(Limit::requests(10)).when(Tag::Model, model);
    let callers = window(Limit::requests(10)).per(Tag::Agent);
    let store = make(limits([of("m"), of("n"), callers]));
    let call = model("m");
    let grant = sent(&*store, &call).await;
    tell(&*store, &call, &grant, counters(10, 2)).await;
    let standings = store.peek(&call).get().await.expect("an answer");
    let used: Vec<u64> = standings.iter().map(|standing| standing.in_use).collect();
    assert_eq!(used, [8, 1], "one of ours and seven of others");
    tell(&*store, &call, &grant, counters(10, 0)).await;
    let no = refused(&*store, &call).await;
    assert_eq!(
        (no.in_use, no.not_before),
        (10, None),
        "others may go before"
    );
    assert!(no.at.is_some(), "then it is worth another try");
    pass(2 * PERIOD).await;
    let mut ours = 0;
    while let Decision::Granted(grant) = store.claim(&call).get().await.expect("an answer") {
        ours += 1;
        let mut grant = grant;
        store.date(&mut grant);
        tell(&*store, &call, &grant, counters(10, 10 - ours)).await;
    }
    assert_eq!(ours, 10, "nobody else is there any more");
}

/// Checks that counters that make no sense change nothing: nothing is given back for them, and nothing is taken.
pub async fn counters_that_make_no_sense_change_nothing(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let limit = window(Limit::requests(2)).when(Tag::Model, "m");
    let store = make(limits([limit]));
    let call = model("m");
    let first = sent(&*store, &call).await;
    let second = sent(&*store, &call).await;
    for (grant, limit, remaining) in [(&first, 2, 50), (&second, 2, 3), (&second, 0, u64::MAX)] {
        tell(&*store, &call, grant, counters(limit, remaining)).await;
        assert_eq!(refused(&*store, &call).await.in_use, 2);
    }
    tell(&*store, &call, &second, counters(1_000, 998)).await;
    assert_eq!(
        refused(&*store, &call).await.in_use,
        2,
        "more is granted than we use"
    );
}

/// Checks that a refusal cuts once for all attempts that left before it and never below the floor, and that a period
/// later what succeeded lets more in.
pub async fn refusals_cut_and_quiet_time_grows(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
    pass: &impl AsyncFn(Duration),
) {
    let limit = window(Limit::requests(20)).adaptive(0.5);
    let store = make(limits([limit]));
    let call = model("m");
    let limited = || Observation::Limited {
        quantity: Some(ObservedQuantity::Requests),
        period: None,
    };
    let fill = async || {
        let mut grants = Vec::new();
        while let Decision::Granted(mut grant) = store.claim(&call).get().await.expect("an answer")
        {
            store.date(&mut grant);
            grants.push(grant);
        }
        grants
    };
    let grants = fill().await;
    assert_eq!(grants.len(), 20);
    for grant in &grants {
        tell(&*store, &call, grant, limited()).await;
    }
    pass(PERIOD).await;
    let grants = fill().await;
    assert_eq!(grants.len(), 14, "seven tenths, however many were refused");
    pass(PERIOD / 2).await;
    for grant in &grants {
        tell(&*store, &call, grant, limited()).await;
    }
    pass(PERIOD / 2).await;
    let grants = fill().await;
    assert_eq!(grants.len(), 10, "half of it at least");
    let succeeded = async || tell(&*store, &call, &grants[0], Observation::Succeeded).await;
    assert!(!succeeded().await, "too soon");
    pass(PERIOD / 2).await;
    assert!(succeeded().await, "there is room");
    assert_eq!(fill().await.len(), 1);
    assert!(!succeeded().await, "it left before there was more");
}

/// Checks that under a limit that is not adaptive the amount stays what was configured.
pub async fn without_a_word_of_learning_refusals_cut_nothing(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
) {
    let store = make(limits([window(Limit::requests(2))]));
    let call = model("m");
    let grant = sent(&*store, &call).await;
    let limited = Observation::Limited {
        quantity: None,
        period: None,
    };
    tell(&*store, &call, &grant, limited).await;
    drop(granted(&*store, &call).await);
    assert_eq!(refused(&*store, &call).await.in_use, 2);
}
