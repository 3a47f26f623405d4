//! What becomes of calls that wait.

use std::time::Duration;

use tokio::time::{Instant, advance, sleep, timeout};
use tower_quota::{Limiter, Rejection, Tag, Tags, limit::Limit, limiter::Call};

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
    let slots = |name: &str| Limit::concurrency(1).when(Tag::from(name), "yes");
    let tagged = |names: &[&str]| {
        let tags = names
            .iter()
            .fold(Tags::new(), |tags, name| tags.with(Tag::from(*name), "yes"));
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

/// The store takes a second for each answer, and limits change between two of them.
#[tokio::test(start_paused = true)]
async fn one_that_fits_no_more_when_it_comes_to_wait_is_refused_and_not_queued() {
    let second = Duration::from_secs(1);
    let limiter = Limiter::with_store(LaterStore::after(second, limits([tokens(100)])));
    let spawn = |call: Call| {
        let limiter = limiter.clone();
        tokio::spawn(async move { limiter.acquire(call).await })
    };
    drop(limiter.acquire(Call::new().tokens(100, 0)).await.unwrap());
    let first = spawn(Call::new().tokens(30, 0));
    sleep(3 * second).await;
    // The store is asked when there is room for it, and then when there is behind the other.
    let large = spawn(Call::new().tokens(80, 0).max_wait(10 * MINUTE));
    sleep(second / 2).await;
    change(&limiter, [tokens(50)]).await;
    let refused = timeout(5 * second, large).await.expect("at once");
    let refused = refused.unwrap().unwrap_err();
    assert!(matches!(&refused, Rejection::NeverFits(_)), "{refused}");
    assert_eq!(limiter.waiting(), 1);
    drop(first.await.unwrap().unwrap());
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
