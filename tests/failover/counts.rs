//! What a call counts under limits on calls when it goes from one target to the next.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::time::Instant;
use tower_quota::{
    Limiter, Tag, Tags,
    failover::Route,
    limit::{Count, Limit},
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
