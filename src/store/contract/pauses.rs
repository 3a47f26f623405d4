//! Checks that what is paused is refused, and that nothing else is affected.

use std::{sync::Arc, time::Duration};

use super::{PERIOD, TICK, claim, granted, limits, refused, sent, settle, spend, window};
use crate::{
    limit::{Demand, Limit, Limits, Quantities, Room},
    store::{Claim, Decision, Reason, Settlement, Store},
    tags::{Tag, Tags},
    usage::Usage,
};

/// Runs all the checks below, each with an empty store.
pub async fn check(make: &impl Fn(Limits) -> Arc<dyn Store>, pass: &impl AsyncFn(Duration)) {
    a_pause_refuses_whatever_is_asked_for(make).await;
    counts_know_nothing_of_a_pause(make, pass).await;
}

fn of(agent: &str) -> Claim {
    claim(Tags::new().with(Tag::Agent, agent))
}

fn pause(agent: &str) -> Limit {
    Limit::paused().when(Tag::Agent, agent)
}

async fn is_paused(store: &dyn Store, claim: &Claim) -> bool {
    match store.claim(claim).get().await.expect("an answer") {
        Decision::Never(refused) => {
            assert_eq!((refused.in_use, refused.at), (0, None));
            true
        }
        Decision::NotNow(refused) => panic!("it is no matter of time: {refused:?}"),
        Decision::Granted(grant) => {
            store.release(grant).get().await.expect("released");
            false
        }
    }
}

/// Checks that every claim of a paused call is refused for good, whatever its quantities, but not what belongs to an
/// attempt under way, nor other calls. The refusal names the pause, even if other limits have no room either.
pub async fn a_pause_refuses_whatever_is_asked_for(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let small = window(Limit::tokens(1)).when(Tag::Agent, "a");
    let store = make(limits([small, pause("a")]));
    for quantities in [Quantities::ALL, Quantities::BUDGET, Quantities::ADMISSION] {
        for repeat in [false, true] {
            let a = Claim {
                quantities,
                repeat,
                ..of("a")
            };
            assert!(is_paused(&*store, &a).await, "{a:?}");
            let b = Claim {
                tags: of("b").tags,
                ..a
            };
            assert!(!is_paused(&*store, &b).await, "{b:?}");
        }
    }
    assert!(!is_paused(&*store, &claim(Tags::new())).await);
    let more = Claim {
        demand: Demand {
            requests: 0,
            cost: 5,
            ..Demand::default()
        },
        quantities: Quantities::BUDGET,
        ..of("a")
    };
    assert!(!is_paused(&*store, &more).await);
    let large = Claim {
        demand: Demand {
            input: 9,
            input_declared: true,
            ..Demand::default()
        },
        ..of("a")
    };
    let Decision::Never(refused) = store.claim(&large).get().await.expect("an answer") else {
        panic!("it is paused, and never fits");
    };
    assert_eq!(refused.key.limit(), 1, "the pause is named");
    let standings = store.peek(&large).get().await.expect("told");
    let last = standings.last().expect("two limits are touched");
    assert_eq!((last.key.limit(), last.room), (1, Room::Never));
}

/// Checks that a pause that comes and goes leaves all counts as they are, including those of grants that are open
/// meanwhile.
pub async fn counts_know_nothing_of_a_pause(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
    pass: &impl AsyncFn(Duration),
) {
    let all = |more: Option<Limit>| {
        let requests = window(Limit::requests(3)).when(Tag::Agent, "a");
        let slots = Limit::concurrency(9).when(Tag::Agent, "a");
        limits([requests, slots].into_iter().chain(more))
    };
    let (store, a) = (make(all(None)), of("a"));
    spend(&*store, &a).await;
    let open = sent(&*store, &a).await;
    let change = async |limits: Limits| {
        let changed = store.reconfigure(&limits, &Reason::default());
        changed.get().await.is_ok()
    };
    if !change(all(Some(pause("a")))).await {
        return;
    }
    for _ in 0..5 {
        assert!(is_paused(&*store, &a).await);
    }
    settle(&*store, open, Settlement::Usage(Usage::new(1, 1))).await;
    assert!(change(all(None)).await);
    let last = granted(&*store, &a).await;
    store.release(last).get().await.expect("released");
    spend(&*store, &a).await;
    assert_eq!(refused(&*store, &a).await.in_use, 3);
    // And again: it is the same pause.
    assert!(change(all(Some(pause("a")))).await && is_paused(&*store, &a).await);
    pass(PERIOD).await;
    pass(TICK).await;
    assert!(is_paused(&*store, &a).await, "time does not end it");
    assert!(change(all(None)).await);
    spend(&*store, &a).await;
}
