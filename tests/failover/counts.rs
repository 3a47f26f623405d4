//! What a call counts under limits on calls when it goes from one target to the next.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::time::{Instant, timeout};
use tower_quota::{
    CallOptions, Limiter, Tag, Tags,
    failover::Route,
    limit::{Count, Limit},
    limiter::Call,
};

use crate::providers::{Providers, failover, limiter, request, send, stack, target};

const MINUTE: Duration = Duration::from_secs(60);

fn one() -> Limit {
    Limit::requests(1).every(MINUTE)
}

fn of_scout() -> Request<Full<Bytes>> {
    let mut request = request();
    request
        .extensions_mut()
        .insert(Tags::new().with(Tag::Agent, "scout"));
    request
}

/// Two calls one after the other that the first target fails and the second serves: when each was served.
async fn two_that_move_on(limiter: Limiter) -> [Duration; 2] {
    let providers = Providers::new(["first", "second"]);
    providers.fault("first", "status=500");
    let route = Route::ordered([target("first"), target("second")]);
    let service = stack(failover(route), limiter, &providers);
    let start = Instant::now();
    let mut served = [Duration::ZERO; 2];
    for served in &mut served {
        let came = send(&service, of_scout()).await.unwrap();
        assert_eq!((came.status.as_u16(), came.asked()[0]), (200, "first"));
        assert_eq!(came.asked().last(), Some(&"second"));
        *served = start.elapsed();
    }
    served
}

/// A18 and F7: the limit of an agent at one target counts the calls that come to it from another.
#[tokio::test(start_paused = true)]
async fn a_call_counts_where_it_goes_to_under_limits_on_who_calls_and_on_where_it_goes() {
    let of_agent = one().per(Tag::Agent);
    for limit in [
        of_agent.clone().when(Tag::Provider, "second"),
        of_agent.per(Tag::Provider),
        one().when(Tag::Provider, "second").count(Count::Calls),
    ] {
        let said = limit.to_string();
        let [first, second] = two_that_move_on(limiter([limit])).await;
        assert!(first < MINUTE, "{said}: {first:?}");
        assert!(second > MINUTE, "{said}: {second:?}");
    }
}

/// The not: a target's tags that are the same at both, and limits that do not look at the target.
#[tokio::test(start_paused = true)]
async fn it_counts_once_where_nothing_that_a_limit_looks_at_has_changed() {
    let two = Limit::requests(2).every(MINUTE);
    for limit in [
        two.clone().per(Tag::Agent),
        two.clone().per(Tag::Agent).per(Tag::Model),
        two.when(Tag::ApiKey, "main").count(Count::Calls),
    ] {
        let said = limit.to_string();
        let [_, second] = two_that_move_on(limiter([limit])).await;
        assert!(second < MINUTE, "{said}: {second:?}");
    }
}

/// A limit of the scout on calls that counts refused ones, and one call a minute at each of these targets.
fn strict<const N: usize>(full: [&str; N]) -> Limiter {
    let of_agent = Limit::requests(4).every(MINUTE).per(Tag::Agent);
    let full = full.map(|provider| one().when(Tag::Provider, provider));
    limiter([of_agent.count_refused()].into_iter().chain(full))
}

/// What is in use of the limit that these words begin with.
async fn in_use(limiter: &Limiter, words: &str) -> u64 {
    let tags = Tags::new().with(Tag::Agent, "scout");
    let call = Call::new().tags(tags.with(Tag::Provider, "first"));
    let explained = limiter.explain(&call).await.unwrap();
    let mut limits = explained.limits.iter();
    let limit = limits.find(|limit| limit.limit.starts_with(words));
    limit.unwrap().in_use
}

/// A call that does not wait for another minute.
fn in_a_hurry() -> Request<Full<Bytes>> {
    let mut request = of_scout();
    let options = CallOptions::new().max_wait(Duration::from_secs(2));
    request.extensions_mut().insert(options);
    request
}

/// A23: a call that the first target has no room for and the second serves was not refused.
#[tokio::test(start_paused = true)]
async fn a_call_that_another_target_serves_counts_as_admitted_and_not_as_refused() {
    let providers = Providers::new(["first", "second"]);
    let route = Route::ordered([target("first"), target("second")]);
    let limiter = strict(["first"]);
    let service = stack(failover(route), limiter.clone(), &providers);
    for serves in ["first", "second", "second", "second"] {
        let came = send(&service, in_a_hurry()).await.unwrap();
        assert_eq!((came.status.as_u16(), came.asked()), (200, vec![serves]));
    }
    assert_eq!(in_use(&limiter, "requests 4/min").await, 4);
    let fifth = send(&service, in_a_hurry()).await.unwrap();
    assert_eq!((fifth.status.as_u16(), fifth.asked().len()), (429, 0));
    assert_eq!(
        in_use(&limiter, "requests 4/min").await,
        5,
        "it was refused"
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_no_target_serves_counts_once_and_each_attempt_where_those_are_counted() {
    let providers = Providers::new(["first", "second"]);
    let route = Route::ordered([target("first"), target("second")]);
    let of_attempts = Limit::requests(20).every(MINUTE * 2);
    let of_attempts = of_attempts.when(Tag::Provider, "first").count_refused();
    let limits = strict(["first", "second"]).limits();
    let limiter = limiter(limits.iter().cloned().chain([of_attempts]));
    let service = stack(failover(route), limiter.clone(), &providers);
    let mut at_first = 0;
    for expected in [200, 200, 429] {
        let came = send(&service, in_a_hurry()).await.unwrap();
        assert_eq!(came.status.as_u16(), expected);
        let made = came.attempts.made.iter();
        let made = made.filter(|made| made.target.provider.as_deref() == Some("first"));
        at_first += made.count() as u64;
    }
    assert_eq!(in_use(&limiter, "requests 4/min").await, 3);
    assert_eq!(in_use(&limiter, "requests 20/").await, at_first);
    assert!(at_first >= 3, "one was served there, two were refused");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_gives_up_waiting_after_it_went_on_was_not_refused() {
    let providers = Providers::new(["first", "second"]);
    let route = Route::ordered([target("first"), target("second")]);
    let limiter = strict(["first", "second"]);
    let service = stack(failover(route), limiter.clone(), &providers);
    for _ in 0..2 {
        let came = send(&service, of_scout()).await.unwrap();
        assert_eq!(came.status.as_u16(), 200);
    }
    let waits = send(&service, of_scout());
    assert!(timeout(MINUTE / 2, waits).await.is_err());
    assert_eq!(in_use(&limiter, "requests 4/min").await, 2);
}
