//! What a crash must not forget, and what it must not keep, one by one.

use std::{sync::Arc, time::Duration};

use tokio::time::advance;
use tower_quota::{
    Limiter, Money, Tag, Tags, Usage,
    limit::{Limit, Limits},
    limiter::{Call, QueueOptions},
    store::{BudgetChange, SqliteStore, Store as _},
};

use crate::{
    folder::Folder,
    world::{Both, MINUTE, World, claim, limits, open, paused, wall},
};

fn of(limits: impl IntoIterator<Item = Limit>) -> Limits {
    Limits::new(limits).unwrap()
}

fn spent(dollars: u64) -> Usage {
    let mut usage = Usage::new(1, 1);
    usage.cost = Some(Money::from_dollars(dollars));
    usage
}

/// The store of the process after one that was killed now.
async fn killed(folder: &Folder, store: &SqliteStore, limits: Limits) -> SqliteStore {
    store.flush().await.unwrap();
    let name = format!("{}.db", fastrand::u64(..));
    open(&folder.copy(store.path(), &name), limits, wall())
}

#[tokio::test(start_paused = true)]
async fn thresholds_that_were_told_are_not_told_again() {
    let folder = Folder::new();
    let budget = || {
        of([Limit::cost(Money::from_dollars(10))
            .every(MINUTE * 60)
            .thresholds([0.5, 0.8])])
    };
    let store = open(&folder.file("a.db"), budget(), wall());
    store.record(&Tags::new(), spent(6)).get().await.unwrap();
    assert_eq!(store.events().len(), 1);
    let store = killed(&folder, &store, budget()).await;
    assert_eq!(store.events(), []);
    store.record(&Tags::new(), spent(1)).get().await.unwrap();
    assert_eq!(store.events(), [], "seven of ten: it was told at five");
    store.record(&Tags::new(), spent(1)).get().await.unwrap();
    let told: Vec<String> = store.events().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["cost $10.00/hour: 80 % of it is spent; $8.00 of $10.00 spent"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_may_pass_a_threshold_and_that_is_told() {
    let folder = Folder::new();
    let budget = || {
        of([Limit::cost(Money::from_dollars(10))
            .every(MINUTE * 60)
            .thresholds([0.5])])
    };
    let store = Arc::new(open(&folder.file("a.db"), budget(), wall()));
    let limiter = Limiter::build(store.clone(), QueueOptions::new());
    let held = limiter
        .acquire(Call::new().cost(Money::from_dollars(7)))
        .await
        .unwrap();
    assert_eq!(store.events(), []);
    let after = killed(&folder, &store, budget()).await;
    assert_eq!((after.lost(), after.events().len()), (1, 1));
    assert_eq!(after.events(), []);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn what_is_passed_because_less_may_be_spent_is_told_once() {
    let folder = Folder::new();
    let budget = |dollars| {
        of([Limit::cost(Money::from_dollars(dollars))
            .every(MINUTE * 60)
            .thresholds([0.5, 0.8])])
    };
    let store = open(&folder.file("a.db"), budget(100), wall());
    store.record(&Tags::new(), spent(60)).get().await.unwrap();
    assert_eq!(store.events().len(), 1, "half of it");
    let store = killed(&folder, &store, budget(100)).await;
    assert_eq!(store.events(), [], "of the same amount all is told");
    let store = killed(&folder, &store, budget(70)).await;
    let told: Vec<String> = store.events().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["cost $70.00/hour: 80 % of it is spent; $60.00 of $70.00 spent"]
    );
    let store = killed(&folder, &store, budget(70)).await;
    assert_eq!(store.events(), []);
    let store = killed(&folder, &store, budget(200)).await;
    assert_eq!(store.events(), []);
}

#[tokio::test(start_paused = true)]
async fn what_was_spent_in_a_period_that_is_over_passes_nothing() {
    let folder = Folder::new();
    let budget = |dollars| {
        of([Limit::cost(Money::from_dollars(dollars))
            .every(MINUTE)
            .thresholds([0.8])])
    };
    let (path, wall) = (folder.file("a.db"), wall());
    let store = open(&path, budget(100), wall.clone());
    store.record(&Tags::new(), spent(60)).get().await.unwrap();
    drop(store);
    advance(MINUTE * 2).await;
    let store = open(&path, budget(50), wall);
    assert_eq!(store.events(), []);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_opens_where_more_is_spent_than_may_be_from_now_on() {
    let folder = Folder::new();
    let budget = |dollars| {
        of([Limit::cost(Money::from_dollars(dollars))
            .every(MINUTE)
            .circuit()])
    };
    let store = open(&folder.file("a.db"), budget(100), wall());
    store.record(&Tags::new(), spent(60)).get().await.unwrap();
    let store = killed(&folder, &store, budget(60)).await;
    assert_eq!(store.events(), [], "no more than may be");
    let store = killed(&folder, &store, budget(50)).await;
    let events = store.events();
    assert!(matches!(&events[..], [event] if event.change == BudgetChange::Tripped));
    let audit = store.ledger().unwrap().audit().unwrap();
    let what: Vec<&str> = audit.iter().map(|entry| &*entry.what).collect();
    assert_eq!(what, ["limit", "limit", "stop"]);
    let limiter = Limiter::with_store(store);
    let call = Call::new().cost(Money::from_nanos(1));
    let refused = limiter.try_acquire(call).await.unwrap_err();
    assert_eq!(refused.kind(), "circuit_open");
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_stays_open_until_it_is_reset_and_then_closed() {
    let folder = Folder::new();
    let budget = || of([Limit::cost(Money::from_dollars(10)).every(MINUTE).circuit()]);
    let store = open(&folder.file("a.db"), budget(), wall());
    store.record(&Tags::new(), spent(11)).get().await.unwrap();
    let store = killed(&folder, &store, budget()).await;
    advance(MINUTE * 10).await;
    let limiter = Limiter::with_store(store);
    let call = || Call::new().cost(Money::from_dollars(1));
    let refused = limiter.try_acquire(call()).await.unwrap_err();
    assert_eq!(refused.kind(), "circuit_open");
    assert_eq!(limiter.reset(&Tags::new(), "seen to").await.unwrap(), 1);
    limiter.try_acquire(call()).await.unwrap().release();
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_opens_a_circuit_is_remembered() {
    let folder = Folder::new();
    let budget = || of([Limit::cost(Money::from_dollars(10)).every(MINUTE).circuit()]);
    let store = Arc::new(open(&folder.file("a.db"), budget(), wall()));
    store.record(&Tags::new(), spent(8)).get().await.unwrap();
    let limiter = Limiter::build(store.clone(), QueueOptions::new());
    let refused = limiter
        .try_acquire(Call::new().cost(Money::from_dollars(3)))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), "circuit_open");
    let after = killed(&folder, &store, budget()).await;
    advance(MINUTE * 2).await;
    let refused = Limiter::with_store(after)
        .try_acquire(Call::new().cost(Money::from_nanos(1)))
        .await;
    assert_eq!(refused.unwrap_err().kind(), "circuit_open");
}

#[tokio::test(start_paused = true)]
async fn slots_of_the_dead_are_free_and_what_they_held_of_windows_is_used() {
    let folder = Folder::new();
    let two = || {
        of([
            Limit::concurrency(2),
            Limit::tokens(100).every(MINUTE).margin(Duration::ZERO),
        ])
    };
    let store = Arc::new(open(&folder.file("a.db"), two(), wall()));
    let limiter = Limiter::build(store.clone(), QueueOptions::new());
    let held = limiter.acquire(Call::new().tokens(30, 10)).await.unwrap();
    let other = limiter.acquire(Call::new().tokens(5, 5)).await.unwrap();
    assert!(
        limiter.try_acquire(Call::new()).await.is_err(),
        "both slots are taken"
    );
    let after = Limiter::with_store(killed(&folder, &store, two()).await);
    let permits = [
        after.try_acquire(Call::new()).await.unwrap(),
        after.try_acquire(Call::new()).await.unwrap(),
    ];
    let refused = after
        .try_acquire(Call::new().tokens(51, 0))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), "rate_limited");
    drop((held, other, permits));
    let refused = after
        .try_acquire(Call::new().tokens(51, 0))
        .await
        .unwrap_err();
    assert_eq!(refused.shortage().unwrap().in_use, 50);
    advance(MINUTE).await;
    drop(after.try_acquire(Call::new().tokens(51, 0)).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_grant_of_the_process_before_changes_nothing_in_the_one_after() {
    let folder = Folder::new();
    let one = || of([Limit::requests(1).every(MINUTE)]);
    let mut world = World::of(open(&folder.file("a.db"), one(), wall()));
    world.claim(&claim("a", 1), true).await;
    let (grant, _) = world.open.pop().unwrap();
    drop(world);
    let store = open(&folder.file("a.db"), one(), wall());
    store.release(grant.clone()).get().await.unwrap();
    store
        .settle(grant, tower_quota::store::Settlement::Unknown)
        .get()
        .await
        .unwrap();
    let mut world = World::of(store);
    world.claim(&claim("a", 1), true).await;
    assert!(world.said[0].starts_with("not now"), "{:?}", world.said);
}

/// Where nothing was written of what left and of what streamed just now, it counts later, and no less.
#[test]
fn what_was_not_written_yet_counts_longer_and_never_less() {
    paused(async {
        for seed in 0..30 {
            let (folder, wall) = (Folder::new(), wall());
            let path = folder.file("a.db");
            let mut both = Both {
                memory: World::memory(limits(12), wall.clone()),
                file: World::of(open(&path, limits(12), wall.clone())),
                random: fastrand::Rng::with_seed(seed),
                // What streams beyond what was reserved is lost where it is not written.
                overflows: false,
                kinds: None,
            };
            for _ in 0..40 {
                both.step().await;
            }
            // At once, whatever the thread that writes has come to.
            let left = folder.copy(&path, "b.db");
            both.memory.lose_all().await;
            let after = open(&left, limits(12), wall.clone());
            for minute in 0..8 {
                for agent in ["a", "b", "c"] {
                    let of = claim(agent, 10);
                    let ours = both.memory.store.peek(&of).get().await.unwrap();
                    let theirs = after.peek(&of).get().await.unwrap();
                    // Who else uses the account is learnt again where it was not written.
                    let amounts = ours
                        .iter()
                        .zip(&theirs)
                        .filter(|(one, _)| one.key.limit() > 0);
                    for (one, other) in amounts.filter(|(one, _)| {
                        one.key.values() == [Arc::from(agent)] || one.key.values().is_empty()
                    }) {
                        assert_eq!(one.key, other.key);
                        assert!(
                            other.in_use >= one.in_use,
                            "seed {seed}, minute {minute}: {one:?} {other:?}"
                        );
                    }
                }
                advance(MINUTE).await;
            }
        }
    });
}

#[tokio::test(start_paused = true)]
async fn what_is_learnt_and_told_waits_outlive_the_process() {
    let folder = Folder::new();
    let one = || of([Limit::requests(9).every(MINUTE)]);
    let store = Arc::new(open(&folder.file("a.db"), one(), wall()));
    let limiter = Limiter::build(store.clone(), QueueOptions::new());
    let call = |model| Call::new().tags(Tags::new().with(Tag::Model, model));
    let permit = limiter.acquire(call("m")).await.unwrap();
    let until = permit.now().after(MINUTE);
    permit.observe(&tower_quota::store::Observation::Closed { until });
    drop(permit);
    let after = Limiter::with_store(killed(&folder, &store, one()).await);
    assert!(
        after
            .try_acquire(call("m"))
            .await
            .unwrap_err()
            .to_string()
            .contains("cooldown of model=m")
    );
    drop(after.try_acquire(call("n")).await.unwrap());
    advance(MINUTE).await;
    drop(after.try_acquire(call("m")).await.unwrap());
}
