//! With failover around: two providers in an outage have no more load each than one has by itself.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tower::Service;
use tower_layer::Layer as _;
use tower_quota::{
    FailoverLayer, Limiter, RateLimitLayer,
    failover::BreakerOptions,
    failover::{ApiKey, Route, Routes, Target},
    limit::Limits,
    retry::RetryBudget,
};

use crate::{
    load::{CALLS, Documented, RATES, some},
    provider::{Provider, Wrong, chat_at},
};

/// Two providers by the host of their address.
#[derive(Clone)]
struct Two(Provider, Provider);

impl Service<Request<Full<Bytes>>> for Two {
    type Response = <Provider as Service<Request<Full<Bytes>>>>::Response;
    type Error = <Provider as Service<Request<Full<Bytes>>>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        match request.uri().host() {
            Some("first") => self.0.call(request),
            Some("second") => self.1.call(request),
            other => panic!("nobody is at {other:?}"),
        }
    }
}

fn failover() -> FailoverLayer {
    let target = |host: &str| {
        let provider = tower_quota::failover::Provider::new(host, &format!("http://{host}/v1"));
        let key = ApiKey::new("main", "KEY").unwrap();
        Target::new(&provider.unwrap().key(key), "m")
    };
    let route = Route::ordered([target("first"), target("second")]);
    FailoverLayer::new(Routes::new([("m", route)]).unwrap())
}

/// What a run came to.
struct Came {
    /// At each provider.
    attempts: [usize; 2],
    answered: usize,
    lasted: Duration,
}

impl Came {
    fn seconds(&self) -> usize {
        usize::try_from(self.lasted.as_secs()).unwrap()
    }
}

async fn load(layer: FailoverLayer, first: Wrong, second: Wrong, every: Duration) -> Came {
    load_of(CALLS, layer, (first, second), every).await
}

async fn load_of(
    count: usize,
    layer: FailoverLayer,
    (first, second): (Wrong, Wrong),
    every: Duration,
) -> Came {
    let two = Two(Provider::new(first), Provider::new(second));
    let layer = RateLimitLayer::new(Limiter::new(Limits::new([]).unwrap())).failover(layer);
    let service = layer.layer(two.clone());
    let (_, answered) = some(&service, count, every, || chat_at("called")).await;
    let attempts = [two.0.attempts(), two.1.attempts()];
    let last = attempts.iter().filter_map(|attempts| attempts.last()).max();
    Came {
        lasted: *last.unwrap(),
        attempts: attempts.map(|attempts| attempts.len()),
        answered,
    }
}

#[tokio::test(start_paused = true)]
async fn two_that_are_down_have_no_more_extra_load_than_one_by_itself() {
    for (wrong, every) in [
        (Wrong::Says("status=503"), RATES[0]),
        (Wrong::Says("status=503"), RATES[3]),
        (Wrong::Says("status=500"), RATES[2]),
        (Wrong::Refused, RATES[1]),
    ] {
        let came = load(failover(), wrong, wrong, every).await;
        assert_eq!(came.answered, 0, "{wrong:?} each {every:?}");
        let made: usize = came.attempts.iter().sum();
        // Breakers let through what opens them, and one now and then.
        let probes = 50 + came.seconds() / 10;
        let most = CALLS + Documented::DEFAULT.repeats(CALLS, came.lasted) + probes;
        assert!(
            made <= most,
            "{wrong:?} each {every:?}: {:?}",
            came.attempts
        );
    }
}

/// How many calls do where it is not the sum that matters.
const FEW: usize = 500;
const SOME: usize = 1_500;
const TOLD: Wrong = Wrong::Says("status=503;retry-after=2");

#[tokio::test(start_paused = true)]
async fn two_that_tell_when_to_come_back_are_asked_once_each_and_for_the_rest_within_budgets() {
    for every in [RATES[1], RATES[3]] {
        let came = load_of(SOME, failover(), (TOLD, TOLD), every).await;
        assert_eq!(came.answered, 0);
        let made: usize = came.attempts.iter().sum();
        // The retry's budget, which sees a call at each, and the failover's.
        let budget = |calls| Documented::DEFAULT.repeats(calls, came.lasted);
        let most = 2 * SOME + budget(2 * SOME) + budget(SOME);
        assert!(
            made <= most,
            "each {every:?}: {:?}, {most} at most",
            came.attempts
        );
    }
    // Breakers hold as well, and told waits where many wait: without them the budget is all there is.
    // How far apart both are is chance: here it is always the same.
    fastrand::seed(1);
    let open = || failover().breaker(BreakerOptions::new().failures(u32::MAX));
    let none = open().retry_budget(RetryBudget::percent(0).reserve(0));
    let slowly = Duration::from_secs(5);
    let bounded = load_of(FEW, none, (TOLD, TOLD), slowly).await;
    let unbounded = open().no_retry_budget();
    let unbounded = load_of(FEW, unbounded, (TOLD, TOLD), slowly).await;
    let made = |came: &Came| came.attempts.iter().sum::<usize>();
    assert!(
        made(&unbounded) > made(&bounded) + FEW / 10,
        "it is the budget that holds: {:?} and {:?}",
        bounded.attempts,
        unbounded.attempts
    );
}

#[tokio::test(start_paused = true)]
async fn a_429_that_tells_when_to_come_back_costs_nothing() {
    let busy = Wrong::Says("status=429;retry-after=2");
    let none = || failover().retry_budget(RetryBudget::percent(0).reserve(0));
    let mut made = Vec::new();
    for layer in [none(), failover().no_retry_budget()] {
        // How far apart attempts are is chance: here it is always the same.
        fastrand::seed(1);
        let came = load_of(FEW, layer, (busy, busy), Duration::from_secs(5)).await;
        made.push(came.attempts);
    }
    assert_eq!(made[0], made[1], "with nothing and with all");
    // Each of them is asked three times at most.
    assert!(made[0].iter().sum::<usize>() > 4 * FEW, "{made:?}");
}

#[tokio::test(start_paused = true)]
async fn where_one_is_well_it_serves_all_and_the_other_is_spared() {
    for (wrong, every) in [
        (Wrong::Says("status=503"), RATES[0]),
        (Wrong::Says("status=503"), RATES[2]),
        (Wrong::Refused, RATES[3]),
        (TOLD, RATES[1]),
    ] {
        let came = load(failover(), wrong, Wrong::Says(""), every).await;
        assert_eq!(came.answered, CALLS, "{wrong:?} each {every:?}");
        assert_eq!(came.attempts[1], CALLS);
        let most = 100 + came.seconds();
        assert!(came.attempts[0] < most, "{wrong:?}: {:?}", came.attempts);
    }
}
