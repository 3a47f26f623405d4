//! What becomes of counts, and of calls in flight.

use std::sync::Arc;

use tokio::time::advance;
use tower_quota::{
    Limiter, Tag, Tags, Usage,
    limit::{Charge, Demand, Limit, Quantities},
    limiter::{Call, QueueOptions},
    store::{Claim, Decision, Grant, MemoryStore, Reason, Settlement, Store as _},
};

use crate::{MINUTE, ZERO, agent, change, in_use, limiter, limits, requests, said, tokens};

#[tokio::test(start_paused = true)]
async fn a_new_limit_holds_at_once_for_what_comes_and_for_nobody_else() {
    let limiter = limiter([requests(100)]);
    for _ in 0..5 {
        drop(limiter.acquire(agent("a")).await.unwrap());
    }
    let new = || tokens(10).when(Tag::Agent, "a");
    change(&limiter, [requests(100), new()]).await;
    // The five before are not in it.
    drop(limiter.try_acquire(agent("a").tokens(10, 0)).await.unwrap());
    let refused = limiter.try_acquire(agent("a").tokens(1, 0)).await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("tokens 10/min for agent=a")
    );
    drop(limiter.try_acquire(agent("b").tokens(99, 0)).await.unwrap());
    let words = said(&[("requests 100/min", 7), ("tokens 10/min for agent=a", 10)]);
    assert_eq!(in_use(&limiter, agent("a")).await, words);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_gone_holds_nobody_and_those_beside_it_do_as_before() {
    let limiter = limiter([requests(1), tokens(10), Limit::concurrency(5)]);
    drop(limiter.acquire(Call::new().tokens(9, 0)).await.unwrap());
    assert!(limiter.try_acquire(Call::new()).await.is_err());
    change(&limiter, [tokens(10), Limit::concurrency(5)]).await;
    drop(limiter.try_acquire(Call::new().tokens(1, 0)).await.unwrap());
    let refused = limiter
        .try_acquire(Call::new().tokens(1, 0))
        .await
        .unwrap_err();
    assert_eq!(refused.shortage().unwrap().in_use, 10);
    assert_eq!(limiter.limits().iter().count(), 2);
    // Without any limit everything passes, and with one again it does not.
    change(&limiter, []).await;
    drop(
        limiter
            .try_acquire(Call::new().tokens(1_000, 0))
            .await
            .unwrap(),
    );
    change(&limiter, [tokens(10)]).await;
    assert_eq!(
        in_use(&limiter, Call::new().tokens(1, 0)).await,
        said(&[("tokens 10/min", 0)])
    );
}

/// A17: limits on the same tags share an entry: others come and go before and behind the one that stays.
#[tokio::test(start_paused = true)]
async fn what_stays_keeps_every_count_whatever_comes_and_goes_around_it() {
    let stays = || tokens(100).per(Tag::Agent);
    let run = || Limit::requests(9).every_run();
    let sets = [
        vec![requests(50).per(Tag::Agent), stays(), run()],
        vec![run(), stays()],
        vec![
            stays(),
            run(),
            Limit::input_tokens(500).every(MINUTE).per(Tag::Agent),
        ],
        vec![
            Limit::concurrency(7).per(Tag::Agent),
            requests(50).per(Tag::Agent),
            run(),
            stays().slice(MINUTE / 2),
        ],
        vec![run(), stays().share(Tag::Team, "x", 0.5)],
        vec![stays(), run()],
    ];
    let limiter = limiter(sets[0].clone());
    let call = |name: &str, size| {
        let tags = Tags::new().with(Tag::Agent, name).with(Tag::Run, "r");
        Call::new().tags(tags).tokens(size, 0)
    };
    let mut used = [("a", 0), ("b", 0), ("c", 0)];
    let mut flying = Vec::new();
    for (round, set) in sets.iter().enumerate() {
        change(&limiter, set.clone()).await;
        let (name, of_one) = &mut used[round % 3];
        let size = 3 + round as u64;
        flying.push(limiter.try_acquire(call(name, size)).await.unwrap());
        *of_one += size;
        if round % 2 == 1 {
            drop(flying.swap_remove(0));
        }
        for (name, of_one) in used {
            let counts = in_use(&limiter, call(name, 1)).await;
            let of = |start: &str| {
                counts
                    .iter()
                    .find(|(words, _)| words.starts_with(start))
                    .unwrap()
                    .1
            };
            assert_eq!(
                of("tokens 100/min for agent"),
                of_one,
                "round {round}, {name}"
            );
            assert_eq!(of("requests 9/run"), round as u64 + 1, "round {round}");
        }
    }
    assert_eq!(limiter.limits().iter().count(), 2);
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_settle_under_what_stays_and_change_nothing_elsewhere() {
    let stays = || Limit::tokens(1_000).every(MINUTE).margin(ZERO);
    let goes = || Limit::output_tokens(1_000).every(MINUTE).margin(ZERO);
    let limiter = limiter([goes(), Limit::concurrency(4), stays()]);
    let call = || Call::new().tokens(100, 100);
    let mut permits = Vec::new();
    for _ in 0..4 {
        permits.push(limiter.acquire(call()).await.unwrap());
    }
    // One streams: under the limit that goes, and under the one that stays.
    permits[0].streamed(60);
    let new = || requests(3);
    change(&limiter, [new(), stays()]).await;
    let words =
        |tokens, requests| said(&[("tokens 1000/min", tokens), ("requests 3/min", requests)]);
    assert_eq!(in_use(&limiter, call()).await, words(800, 0));
    permits[0].streamed(150);
    assert_eq!(in_use(&limiter, call()).await, words(850, 0));
    let mut all = permits.into_iter();
    let (one, two) = (all.next().unwrap(), all.next().unwrap());
    one.settle(Usage::new(100, 150));
    two.settle(Usage::new(7, 3));
    all.next().unwrap().release();
    drop(all);
    // 250, 10, nothing, and 200 because nobody said.
    assert_eq!(in_use(&limiter, call()).await, words(460, 0));
    for _ in 0..3 {
        drop(limiter.try_acquire(Call::new()).await.unwrap());
    }
    assert!(limiter.try_acquire(Call::new()).await.is_err());
}

/// A limit comes back with nothing, and the calls that were in flight under it before do not touch it.
#[tokio::test(start_paused = true)]
async fn a_limit_that_comes_back_begins_anew() {
    let slots = || Limit::concurrency(2).per(Tag::Agent);
    let limiter = limiter([slots(), tokens(100)]);
    let old = [
        limiter.acquire(agent("a").tokens(1, 0)).await.unwrap(),
        limiter.acquire(agent("a").tokens(1, 0)).await.unwrap(),
    ];
    change(&limiter, [tokens(100)]).await;
    change(&limiter, [slots(), tokens(100)]).await;
    let new = [
        limiter.try_acquire(agent("a")).await.unwrap(),
        limiter.try_acquire(agent("a")).await.unwrap(),
    ];
    drop(old);
    assert!(
        limiter.try_acquire(agent("a")).await.is_err(),
        "two of two are in flight"
    );
    drop(new);
    let words = said(&[("concurrency 2 for agent=a", 0), ("tokens 100/min", 2)]);
    assert_eq!(in_use(&limiter, agent("a").tokens(1, 0)).await, words);
}

/// What was claimed under one charge settles under it, also where the limit has been charged otherwise twice since.
#[tokio::test(start_paused = true)]
async fn a_call_in_flight_settles_by_the_charge_that_it_was_claimed_by() {
    let of = |charge| {
        Limit::tokens(1_000)
            .every(MINUTE)
            .margin(ZERO)
            .charge(charge)
    };
    let charges = [
        Charge::azure(),
        Charge::anthropic(),
        Charge::default(),
        Charge::azure(),
    ];
    let used = |limiter| async move { in_use(limiter, Call::new().tokens(1, 0)).await[0].1 };
    let limiter = limiter([of(charges[0])]);
    let mut flying = Vec::new();
    for charge in charges {
        change(&limiter, [of(charge)]).await;
        flying.push(limiter.acquire(Call::new().tokens(100, 100)).await.unwrap());
    }
    assert_eq!(used(&limiter).await, 800);
    // Azure's is not corrected, the others are.
    let ends = [800, 620, 440, 440];
    for (permit, left) in flying.into_iter().zip(ends) {
        permit.settle(Usage::new(10, 10));
        assert_eq!(used(&limiter).await, left);
    }
    advance(MINUTE).await;
    assert_eq!(used(&limiter).await, 0);
    change(&limiter, []).await;
    change(&limiter, [of(charges[1])]).await;
    drop(
        limiter
            .try_acquire(Call::new().tokens(1_000, 0))
            .await
            .unwrap(),
    );
}

#[tokio::test(start_paused = true)]
async fn an_order_of_tags_and_of_limits_makes_no_other_limit() {
    let one = requests(3).per(Tag::Agent).per(Tag::User);
    let other = requests(4).per(Tag::User).per(Tag::Agent);
    let limiter = limiter([one, tokens(50)]);
    let call = |agent: &str, user: &str| {
        let tags = Tags::new().with(Tag::Agent, agent).with(Tag::User, user);
        Call::new().tags(tags)
    };
    for _ in 0..3 {
        drop(limiter.acquire(call("a", "b")).await.unwrap());
    }
    change(&limiter, [tokens(50), other]).await;
    drop(limiter.try_acquire(call("b", "a")).await.unwrap());
    drop(limiter.try_acquire(call("a", "b")).await.unwrap());
    assert!(
        limiter.try_acquire(call("a", "b")).await.is_err(),
        "four of four"
    );
    let words: Vec<String> = limiter.limits().iter().map(ToString::to_string).collect();
    assert_eq!(words, ["tokens 50/min", "requests 4/min per agent, user"]);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_after_changes_is_of_the_limits_that_hold() {
    let stays = || requests(9).per(Tag::Agent);
    let store = MemoryStore::new(limits([tokens(5), stays(), Limit::concurrency(1)]));
    let claim = Claim {
        quantities: Quantities::ADMISSION,
        ..Claim::new(Tags::new().with(Tag::Agent, "a"), Demand::default())
    };
    let mut grant = granted(&store, &claim).await;
    store.date(&mut grant);
    let now = [requests(50), stays(), requests(2).shadow()];
    store
        .reconfigure(&limits(now.clone()), &Reason::default())
        .get()
        .await
        .unwrap();
    let mut second = granted(&store, &claim).await;
    store.date(&mut second);
    let text = serde_json::to_string(&store.snapshot()).unwrap();
    let restored = MemoryStore::restore(limits(now), &serde_json::from_str(&text).unwrap(), ZERO);
    let standings = restored.unwrap().peek(&claim).get().await.unwrap();
    let in_use: Vec<u64> = standings.iter().map(|standing| standing.in_use).collect();
    assert_eq!(in_use, [1, 2, 1]);
    store
        .settle(grant, Settlement::Unknown)
        .get()
        .await
        .unwrap();
}

async fn granted(store: &MemoryStore, claim: &Claim) -> Grant {
    match store.claim(claim).get().await.unwrap() {
        Decision::Granted(grant) => grant,
        other => panic!("{other:?}"),
    }
}

/// What only watches is another limit than what acts where both stand side by side, and tells what it would have refused since it came.
#[tokio::test(start_paused = true)]
async fn a_shadow_comes_and_goes_as_a_limit_does() {
    let store = Arc::new(MemoryStore::new(limits([
        requests(1).shadow(),
        requests(5),
    ])));
    let options = QueueOptions::new();
    let limiter = Limiter::build(store.clone(), options);
    for _ in 0..3 {
        drop(limiter.try_acquire(Call::new()).await.unwrap());
    }
    let shadow = |n| [("requests 1/min (shadow)".to_owned(), n)];
    assert_eq!(store.would_have_refused(), shadow(2));
    change(&limiter, [requests(5), requests(1).shadow(), tokens(5)]).await;
    assert_eq!(store.would_have_refused(), shadow(2));
    change(&limiter, [requests(5)]).await;
    assert_eq!(store.would_have_refused(), []);
    change(&limiter, [requests(5), requests(1).shadow()]).await;
    assert_eq!(store.would_have_refused(), shadow(0));
    // In force it is a limit of its own, which has counted nothing.
    change(&limiter, [requests(1), requests(5).shadow()]).await;
    assert_eq!(limiter.limits().iter().count(), 2);
    assert_eq!(
        in_use(&limiter, Call::new()).await,
        said(&[("requests 5/min (shadow)", 0), ("requests 1/min", 3)])
    );
}
