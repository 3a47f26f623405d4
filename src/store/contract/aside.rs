//! Checks of what goes on beside claims: looking, recording, and slots that are already held.

use std::{sync::Arc, time::Duration};

use super::{
    PERIOD, TICK, claim, expect_refusal, granted, limits, refused, sent, settle, spend, tokens,
    window,
};
use crate::{
    limit::{Charge, Limit, Limits, Quantity, Room},
    store::{Claim, Decision, NotNow, Settlement, Standing, Store},
    tags::{Tag, Tags},
    usage::Usage,
};

/// Checks that a peek says, of every limit that the claim touches, what the claim would hear, and takes nothing.
pub async fn a_peek_says_what_a_claim_would_hear(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let store = make(limits([
        window(Limit::requests(2)),
        window(Limit::tokens(100)).per(Tag::Agent),
        window(Limit::requests(9)).when(Tag::Agent, "b"),
        Limit::concurrency(1),
        Limit::requests(1).every_run(),
    ]));
    let call = |input| Claim {
        tags: Arc::new(Tags::new().with(Tag::Agent, "a").with(Tag::Run, "r")),
        ..tokens(input, 0)
    };
    for _ in 0..5 {
        let all = peek(&*store, &call(60)).await;
        let places: Vec<usize> = all.iter().map(|standing| standing.key.limit()).collect();
        assert_eq!(places, [0, 1, 3, 4], "those it touches, in their order");
        assert!(
            all.iter().all(|s| s.room == Room::Now && s.in_use == 0),
            "looking took something: {all:?}"
        );
    }
    let grant = sent(&*store, &call(60)).await;
    let said: Vec<(u64, u64, Room)> = peek(&*store, &call(150))
        .await
        .iter()
        .map(|s| (s.in_use, s.needed, s.room))
        .collect();
    let now = Room::Now;
    let expected = [
        (1, 1, now),
        (60, 150, Room::Never),
        (1, 1, Room::WhenGivenBack),
        (1, 1, Room::Never),
    ];
    assert_eq!(said, expected, "needs 150 of 100, and the run is used up");
    settle(&*store, grant, Settlement::Usage(Usage::new(60, 0))).await;
    let tokens = &peek(&*store, &call(60)).await[1];
    let Room::At(at) = tokens.room else {
        panic!("a dated charge has an end: {tokens:?}")
    };
    assert!(at.since(store.now()) <= PERIOD, "{tokens:?}");
}

/// Checks that what remains, if that can be said at once, is what a peek leaves of each quantity under the limit with
/// the least.
pub async fn what_remains_is_what_a_peek_leaves(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let store = make(limits([
        window(Limit::requests(9)),
        window(Limit::requests(3)).per(Tag::Agent),
        window(Limit::requests(1)).shadow(),
        window(Limit::tokens(100)),
        window(Limit::tokens(1)).when(Tag::Model, "other"),
        Limit::concurrency(2),
    ]));
    let of = |agent: &str| Arc::new(Tags::new().with(Tag::Agent, agent));
    let call = |agent: &str| Claim {
        tags: of(agent),
        ..tokens(30, 0)
    };
    let ended = sent(&*store, &call("a")).await;
    settle(&*store, ended, Settlement::Usage(Usage::new(10, 0))).await;
    let open = sent(&*store, &call("a")).await;
    for (agent, requests) in [("a", 1), ("b", 3)] {
        if let Some(remaining) = store.remaining(&of(agent)) {
            let expected = [
                (Quantity::Requests, requests),
                (Quantity::Tokens, 60),
                (Quantity::Concurrency, 1),
            ];
            let said: Vec<(Quantity, u64)> = remaining.iter().collect();
            assert_eq!(said, expected, "of {agent}");
        }
    }
    store.release(open).get().await.expect("released");
}

/// Checks that counts stand as a claim would meet them: for each limit the fullest first, and no more of them than were
/// asked for.
///
/// This is for stores that can look through their counts, and is not part of [`check`](super::check).
pub async fn counts_stand_as_they_count(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let store = make(limits([
        window(Limit::tokens(100)).per(Tag::Agent),
        Limit::concurrency(4),
        window(Limit::requests(7)).when(Tag::Agent, "nobody"),
    ]));
    let mut grants = Vec::new();
    for (agent, input) in [("a", 10), ("b", 30), ("c", 20)] {
        let call = Claim {
            tags: Arc::new(Tags::new().with(Tag::Agent, agent)),
            ..tokens(input, 0)
        };
        grants.push(sent(&*store, &call).await);
    }
    let usage = Settlement::Usage(Usage::new(10, 0));
    settle(&*store, grants.remove(0), usage).await;
    let counts = store.counts(2).get().await.expect("it can say");
    let said: Vec<(usize, Option<String>, [u64; 3])> = counts
        .iter()
        .map(|count| {
            let of = count.of.as_ref().expect("each has a count of its own");
            let value = of.first().map(|(_, value)| value.to_string());
            (
                count.limit,
                value,
                [count.in_use, count.reserved, count.amount],
            )
        })
        .collect();
    // What is dated by now is not held any more: that is the limit's rule of charging.
    let (b, c) = (said[0].2[1], said[1].2[1]);
    let expected = [
        (0, Some("b".to_owned()), [30, b, 100]),
        (0, Some("c".to_owned()), [20, c, 100]),
        (1, None, [2, 2, 4]),
        (2, None, [0, 0, 7]),
    ];
    assert_eq!(said, expected, "{counts:?}");
    assert_eq!(counts[0].rule, counts[1].rule, "one limit, one name");
    assert_eq!(counts[2].share(), 0.5);
    assert!(store.counts(0).get().await.expect("it can say").is_empty());
}

/// Checks that what is recorded counts from now on, even above the limit, and not as in flight.
pub async fn what_is_recorded_counts_as_used(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
    pass: &impl AsyncFn(Duration),
) {
    let store = make(limits([
        window(Limit::requests(5)),
        window(Limit::tokens(100)).when(Tag::Agent, "a"),
        window(Limit::tokens(1_000)).charge(Charge::openai()),
        Limit::concurrency(1),
    ]));
    let a = Tags::new().with(Tag::Agent, "a");
    let record = async |input, output| {
        let recorded = store.record(&a, Usage::new(input, output));
        recorded.get().await.expect("recorded");
    };
    let in_use = async || {
        let all = peek(
            &*store,
            &Claim {
                tags: Arc::new(a.clone()),
                ..tokens(1, 0)
            },
        )
        .await;
        all.iter()
            .map(|standing| standing.in_use)
            .collect::<Vec<_>>()
    };
    record(30, 10).await;
    assert_eq!(
        in_use().await,
        [1, 40, 30, 0],
        "the larger where the provider counts the larger"
    );
    spend(&*store, &tokens(1, 0)).await;
    record(20, 300).await;
    assert_eq!(in_use().await[1], 360, "over the limit");
    let call = Claim {
        tags: Arc::new(a.clone()),
        ..tokens(1, 0)
    };
    pass(PERIOD - TICK).await;
    expect_refusal(&*store, &call).await;
    pass(TICK).await;
    assert_eq!(in_use().await[1], 0, "dated when it was recorded");
}

/// Checks that a claim leaves alone the counts of which a call around it holds a slot, but not other counts of the same
/// limit.
pub async fn slots_that_are_held_already_are_left_alone(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let store = make(limits([
        window(Limit::requests(3)),
        Limit::concurrency(1).per(Tag::Agent),
    ]));
    let agent = |name: &str| claim(Tags::new().with(Tag::Agent, name));
    let parent = granted(&*store, &agent("a")).await;
    let slot = refused(&*store, &agent("a")).await.key;
    let nested = |name| Claim {
        held: vec![slot.clone()],
        attempt: 0,
        ..agent(name)
    };
    let child = granted(&*store, &nested("a")).await;
    settle(&*store, child, Settlement::Unknown).await;
    expect_refusal(&*store, &agent("a")).await;
    let other = granted(&*store, &nested("b")).await;
    assert_eq!(
        refused(&*store, &nested("c")).await.key.limit(),
        0,
        "windows count every call"
    );
    store.release(other).get().await.expect("released");
    assert_eq!(peek(&*store, &nested("a")).await.len(), 1);
    settle(&*store, parent, Settlement::Unknown).await;
}

/// Holds what was seen just before a claim against what was decided.
pub(super) fn foretold(standings: &[Standing], decision: &Decision) {
    let foretold = Standing::refusal(standings);
    let (never, refused) = match decision {
        Decision::Granted(_) => (false, None),
        Decision::NotNow(refused) => (false, Some(refused)),
        Decision::Never(refused) => (true, Some(refused)),
    };
    let (room, foretold) = foretold.unzip();
    let when = |no: &NotNow| (no.at, no.not_before);
    assert_eq!(
        foretold.as_ref().map(when),
        refused.map(when),
        "of {standings:?}"
    );
    // Of several counts that have room together either may be named.
    let named = |no: &NotNow| {
        let its = |s: &&Standing| s.key == no.key && Some(s.room) == room;
        standings.iter().find(its).map(|s| (s.in_use, s.needed))
    };
    assert_eq!(
        refused.and_then(named),
        refused.map(|no| (no.in_use, no.needed))
    );
    assert_eq!(room == Some(Room::Never), never);
}

pub(super) async fn peek(store: &dyn Store, claim: &Claim) -> Vec<Standing> {
    store.peek(claim).get().await.expect("an answer")
}
