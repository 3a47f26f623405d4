//! What becomes of calls that wait.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, advance, sleep};
use tower_quota::{
    Limiter, Rejection, Tag, Tags,
    limit::Limit,
    limiter::{Call, Delegation, QueueOptions},
    store::MemoryStore,
};

use crate::{
    MINUTE, agent, at_once, change, later::LaterStore, limiter, limits, requests, settle_down,
    tokens, waits,
};

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_limit_that_is_gone_goes_on_at_once_and_whoever_waits_for_another_does_not()
 {
    let limiter = limiter([
        Limit::concurrency(1).when(Tag::Agent, "a"),
        Limit::concurrency(1).when(Tag::Agent, "b"),
    ]);
    let held = [
        limiter.acquire(agent("a")).await.unwrap(),
        limiter.acquire(agent("b")).await.unwrap(),
    ];
    let (one, two) = (
        waits(&limiter, agent("a")).await,
        waits(&limiter, agent("a")).await,
    );
    let other = waits(&limiter, agent("b")).await;
    change(&limiter, [Limit::concurrency(1).when(Tag::Agent, "b")]).await;
    let went = [at_once(one).await.unwrap(), at_once(two).await.unwrap()];
    settle_down().await;
    assert!(!other.is_finished());
    assert_eq!(limiter.waiting(), 1);
    drop(held);
    drop(at_once(other).await.unwrap());
    drop(went);
}

/// All limits are gone, and with them whatever the queue could wait for.
#[tokio::test(start_paused = true)]
async fn with_no_limit_left_everybody_goes() {
    let limiter = limiter([Limit::concurrency(1), requests(1)]);
    let held = limiter.acquire(Call::new()).await.unwrap();
    let mut waiting = Vec::new();
    for _ in 0..100 {
        waiting.push(waits(&limiter, Call::new()).await);
    }
    change(&limiter, []).await;
    for one in waiting {
        drop(at_once(one).await.unwrap());
    }
    drop(held);
    assert_eq!(limiter.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_respects_a_limit_that_is_new_and_whoever_it_does_not_touch_is_not_held_by_it()
 {
    let limiter = limiter([Limit::concurrency(1)]);
    let start = Instant::now();
    let held = limiter.acquire(agent("a")).await.unwrap();
    let mut of_a = Vec::new();
    for _ in 0..3 {
        of_a.push(waits(&limiter, agent("a")).await);
    }
    let of_b = waits(&limiter, agent("b")).await;
    change(
        &limiter,
        [Limit::concurrency(9), requests(1).when(Tag::Agent, "a")],
    )
    .await;
    let mut of_a = of_a.into_iter();
    drop(at_once(of_a.next().unwrap()).await.unwrap());
    drop(at_once(of_b).await.unwrap());
    for minute in 1..3 {
        drop(of_a.next().unwrap().await.unwrap().unwrap());
        assert_eq!(start.elapsed(), MINUTE * minute, "in turn, one a minute");
    }
    drop(held);
}

/// One that waits for a slot needs what is new as well: it does not pass another there that goes before it.
#[tokio::test(start_paused = true)]
async fn whoever_waited_before_a_limit_came_stands_behind_those_who_go_first_there() {
    let slots = |name: &str| Limit::concurrency(1).when(Tag::Free(name.into()), "yes");
    let tagged = |names: &[&str]| {
        let tags = names.iter().fold(Tags::new(), |tags, name| {
            tags.with(Tag::Free((*name).into()), "yes")
        });
        Call::new().tags(tags)
    };
    let limiter = limiter([slots("old")]);
    let old = limiter.acquire(tagged(&["old"])).await.unwrap();
    let later = waits(&limiter, tagged(&["old", "new"]).priority(-1)).await;
    change(&limiter, [slots("old"), slots("new")]).await;
    let new = limiter.acquire(tagged(&["new"])).await.unwrap();
    let first = waits(&limiter, tagged(&["new"])).await;
    // Both at one moment: the old count is looked at before the new one.
    drop((old, new));
    settle_down().await;
    assert!(first.is_finished() && !later.is_finished());
    drop(first.await.unwrap());
    drop(at_once(later).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn those_who_never_fit_under_a_new_limit_are_refused_and_the_others_keep_their_order() {
    let limiter = limiter([Limit::concurrency(1)]);
    let held = limiter.acquire(Call::new()).await.unwrap();
    let mut waiting = Vec::new();
    for size in [5, 50, 6, 7] {
        waiting.push(waits(&limiter, Call::new().tokens(size, 0)).await);
    }
    change(&limiter, [Limit::concurrency(1), tokens(11)]).await;
    let refused = at_once(waiting.remove(1)).await.unwrap_err();
    assert!(matches!(&refused, Rejection::NeverFits(_)), "{refused}");
    drop(held);
    let mut waiting = waiting.into_iter();
    // Five and six are eleven of eleven; seven waits for its minute, though there is a slot.
    for _ in 0..2 {
        drop(at_once(waiting.next().unwrap()).await.unwrap());
    }
    let last = waiting.next().unwrap();
    settle_down().await;
    assert!(!last.is_finished());
    advance(MINUTE).await;
    drop(at_once(last).await.unwrap());
}

/// Ranks are those that calls came with, also where some wait for what is new and some for what was there.
#[tokio::test(start_paused = true)]
async fn nobody_loses_a_place() {
    let limiter = limiter([Limit::concurrency(1)]);
    let mut held = limiter.acquire(Call::new()).await.unwrap();
    let mut waiting = Vec::new();
    for number in 0..20_u64 {
        let name = if number % 2 == 0 { "a" } else { "b" };
        let tags = Tags::new().with(Tag::User, name);
        let call = Call::new().tags(tags).priority((number % 3) as i32);
        waiting.push((number, waits(&limiter, call).await));
    }
    let sets = [
        vec![
            Limit::concurrency(1),
            Limit::concurrency(50).when(Tag::User, "a"),
        ],
        vec![Limit::concurrency(1).per(Tag::User), Limit::concurrency(1)],
        vec![Limit::concurrency(1)],
    ];
    for set in sets {
        change(&limiter, set).await;
        settle_down().await;
        assert_eq!(limiter.waiting(), 20);
    }
    let mut went = Vec::new();
    for _ in 0..20 {
        drop(held);
        settle_down().await;
        let place = waiting
            .iter()
            .position(|(_, task)| task.is_finished())
            .unwrap();
        let (number, task) = waiting.remove(place);
        held = task.await.unwrap().unwrap();
        went.push(number);
    }
    let mut turns: Vec<u64> = (0..20).collect();
    // The more urgent first, and among those of one priority in the order they came.
    turns.sort_by_key(|number| (std::cmp::Reverse(number % 3), *number));
    assert_eq!(went, turns);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_goes_on_and_names_what_holds_now() {
    let limiter = limiter([Limit::concurrency(1)]);
    let held = limiter.acquire(Call::new()).await.unwrap();
    let start = Instant::now();
    let one = waits(&limiter, Call::new().max_wait(MINUTE / 2)).await;
    advance(MINUTE / 4).await;
    change(&limiter, [requests(1)]).await;
    // It was alone, and has what is new; the next one cannot come in time.
    drop(at_once(one).await.unwrap());
    let refused = limiter
        .acquire(Call::new().max_wait(MINUTE / 2))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, Rejection::DeadlineExceeded(_)),
        "{refused}"
    );
    change(&limiter, [requests(2), tokens(10)]).await;
    drop(limiter.acquire(Call::new().tokens(10, 0)).await.unwrap());
    let last = waits(&limiter, Call::new()).await;
    change(&limiter, [tokens(10), Limit::concurrency(1)]).await;
    let slot = at_once(last).await.unwrap();
    let waiting = waits(&limiter, Call::new().tokens(1, 0).max_wait(MINUTE * 2)).await;
    let refused = waiting.await.unwrap().unwrap_err();
    assert!(
        refused.to_string().contains("concurrency 1: 1 in use"),
        "{refused}"
    );
    assert_eq!(start.elapsed(), MINUTE / 4 + MINUTE * 2);
    drop((held, slot));
}

/// One that is below a share which is new goes first from then on; one whose share is gone does not any more.
#[tokio::test(start_paused = true)]
async fn shares_that_come_and_go_say_who_is_first() {
    let plain = || Limit::concurrency(2);
    let shared = || plain().share(Tag::Team, "owner", 0.5);
    let team = |name: &str| Call::new().tags(Tags::new().with(Tag::Team, name));
    for (before, after, first) in [
        (vec![plain()], vec![shared()], "owner"),
        (vec![shared()], vec![plain()], "other"),
        (
            vec![shared(), requests(50)],
            vec![requests(50), shared()],
            "owner",
        ),
    ] {
        let limiter = limiter(before);
        let mut held = vec![
            limiter.acquire(team("other")).await.unwrap(),
            limiter.acquire(team("other")).await.unwrap(),
        ];
        let other = waits(&limiter, team("other")).await;
        let owner = waits(&limiter, team("owner")).await;
        change(&limiter, after).await;
        settle_down().await;
        assert_eq!(limiter.waiting(), 2);
        drop(held.pop());
        settle_down().await;
        let owner_went = owner.is_finished();
        assert_eq!(
            (owner_went, other.is_finished()),
            (first == "owner", first == "other")
        );
        drop(held);
        drop(at_once(owner).await.unwrap());
        drop(at_once(other).await.unwrap());
    }
}

/// Room that is kept for one that was sent to and fro stays kept: those behind it do not take it because limits change.
#[tokio::test(start_paused = true)]
async fn what_is_kept_for_one_stays_kept() {
    let dated = |amount, tag: &str| tokens(amount).when(Tag::Free(tag.into()), "yes");
    let tags = |names: &[&str]| {
        let all = names.iter();
        all.fold(Tags::new(), |tags, name| {
            tags.with(Tag::Free((*name).into()), "yes")
        })
    };
    let set = || [dated(100, "g"), dated(100, "k")];
    let limiter = limiter(set());
    let start = Instant::now();
    // Small calls come to both without end.
    let feed = |name: &'static str, offset: u64| {
        let limiter = limiter.clone();
        tokio::spawn(async move {
            sleep(Duration::from_secs(offset)).await;
            loop {
                let call = Call::new().tags(tags(&[name])).tokens(30, 0);
                drop(limiter.acquire(call).await.unwrap());
            }
        })
    };
    let feeds = [feed("g", 0), feed("k", 25)];
    sleep(Duration::from_secs(50)).await;
    let large = Call::new().tags(tags(&["g", "k"])).tokens(90, 0);
    let large = waits(&limiter, large).await;
    for round in 0..40_u64 {
        sleep(Duration::from_secs(7)).await;
        if large.is_finished() {
            break;
        }
        // Every seven seconds something comes or goes beside them.
        let more = (round % 2 == 0).then(|| Limit::concurrency(1_000));
        change(&limiter, set().into_iter().chain(more)).await;
    }
    assert!(
        large.is_finished(),
        "it has waited for {:?}",
        start.elapsed()
    );
    assert!(start.elapsed() <= MINUTE * 4, "{:?}", start.elapsed());
    drop(large.await.unwrap().unwrap());
    feeds.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Two limiters on one store: a change at one is heard at the other when something ends there, or comes.
#[tokio::test(start_paused = true)]
async fn those_who_wait_at_another_limiter_of_the_store_are_not_forgotten() {
    for comes in [true, false] {
        let store = Arc::new(MemoryStore::new(limits([
            Limit::concurrency(1).when(Tag::Agent, "a"),
            requests(100),
        ])));
        let here = Limiter::build(store.clone(), QueueOptions::new());
        let there = Limiter::build(store, QueueOptions::new());
        let held = there.acquire(agent("a")).await.unwrap();
        let other = there.acquire(agent("b")).await.unwrap();
        let one = waits(&there, agent("a")).await;
        change(&here, [requests(100), tokens(10)]).await;
        if comes {
            drop(there.acquire(agent("b").tokens(10, 0)).await.unwrap());
        } else {
            drop(other);
        }
        drop(at_once(one).await.unwrap());
        drop(held);
        assert_eq!(there.waiting(), 0);
    }
}

/// The change of a store that answers later is made whole, also where whoever wanted it goes away.
#[tokio::test(start_paused = true)]
async fn a_change_goes_on_where_its_future_is_dropped() {
    let store = LaterStore::new(limits([Limit::concurrency(1)]));
    let limiter = Limiter::build(Arc::new(store), QueueOptions::new());
    let held = limiter.acquire(Call::new()).await.unwrap();
    let one = waits(&limiter, Call::new()).await;
    {
        let new = limits([requests(5)]);
        let mut change = Box::pin(limiter.reconfigure(&new));
        let waker = futures_util::task::noop_waker();
        let mut cx = std::task::Context::from_waker(&waker);
        assert!(change.as_mut().poll(&mut cx).is_pending());
    }
    drop(at_once(one).await.unwrap());
    let words: Vec<String> = limiter.limits().iter().map(ToString::to_string).collect();
    assert_eq!(words, ["requests 5/min"]);
    drop(held);
}

/// A call inside another takes no slot that is held around it, whatever has changed since; and takes one of a limit that
/// is new, of which the call around it holds none.
#[tokio::test(start_paused = true)]
async fn calls_inside_calls_know_which_slots_are_held_around_them() {
    let slots = |name: &str| Limit::concurrency(1).when(Tag::Free(name.into()), "yes");
    let tags = Tags::new()
        .with(Tag::Free("x".into()), "yes")
        .with(Tag::Free("y".into()), "yes");
    let call = || Call::new().tags(tags.clone());
    let limiter = limiter([requests(99), slots("x")]);
    let outer = limiter.acquire(call()).await.unwrap();
    let inside = outer.scope(async { Delegation::current() }).await;
    change(&limiter, [slots("y"), slots("x")]).await;
    for delegation in [inside, outer.scope(async { Delegation::current() }).await] {
        let inner = delegation.scope(async {
            let one = limiter.try_acquire(call()).await.unwrap();
            let refused = limiter.try_acquire(call()).await.unwrap_err();
            assert!(refused.to_string().contains("for y=yes"), "{refused}");
            drop(one);
        });
        inner.await;
    }
    assert!(
        limiter
            .try_acquire(call())
            .await
            .unwrap_err()
            .to_string()
            .contains("for x=yes")
    );
    drop(outer);
}
