use std::time::Duration;

use tokio::time::Instant;
use tower_layer::Layer as _;
use tower_quota::{
    CallOptions, FailoverLayer, RetryLayer, Tag, failover::Route, limit::Limit, retry::RetryBudget,
};

use crate::providers::{MODEL, Providers, failover, limiter, request, send, stack, target};

fn two() -> Route {
    Route::ordered([target("first"), target("second")])
}

/// After how long it came.
async fn after<F: Future>(future: F) -> (F::Output, Duration) {
    let began = Instant::now();
    let came = future.await;
    (came, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_told_wait_is_waited_for_by_whoever_has_nobody_else_and_by_nobody_else() {
    let providers = Providers::new(["first", "second"]);
    let service = stack(failover(two()), limiter([]), &providers);
    providers.fault("first", "status=429;retry-after=30");
    let (came, span) = after(send(&service, request())).await;
    assert_eq!(came.unwrap().asked(), ["first", "second"]);
    assert!(span < Duration::from_secs(1), "{span:?}");
    // Nobody asks again before that.
    for _ in 0..10 {
        assert_eq!(send(&service, request()).await.unwrap().asked(), ["second"]);
    }
    assert_eq!(providers.attempts("first"), 1);
}

#[tokio::test(start_paused = true)]
async fn when_all_tell_a_wait_the_shortest_is_waited_for() {
    let providers = Providers::new(["first", "second"]);
    providers.fault("first", "status=429;retry-after=30");
    providers.fault("second", "status=429;retry-after=8");
    let service = stack(failover(two()), limiter([]), &providers);
    let call = tokio::spawn({
        let service = service.clone();
        async move { after(send(&service, request())).await }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    for host in ["first", "second"] {
        providers.at(host).set_faults(Vec::new());
    }
    let (came, span) = call.await.unwrap();
    let came = came.unwrap();
    assert_eq!(came.status, 200);
    assert_eq!(came.asked(), ["first", "second", "second"]);
    assert!((8.0..9.8).contains(&span.as_secs_f64()), "{span:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_beyond_the_deadline_is_not_begun_and_is_said() {
    let providers = Providers::new(["first", "second"]);
    providers.fault("first", "status=429;retry-after=30");
    providers.fault("second", "status=429;retry-after=8");
    let service = stack(failover(two()), limiter([]), &providers);
    let mut hurried = request();
    let options = CallOptions::new().max_wait(Duration::from_secs(5));
    hurried.extensions_mut().insert(options);
    let (came, span) = after(send(&service, hurried)).await;
    let came = came.unwrap();
    assert_eq!(came.status, 429);
    assert!(span < Duration::from_secs(1), "{span:?}");
    let told = came.attempts.retry_after.unwrap();
    assert!((7.0..=8.0).contains(&told.as_secs_f64()), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn when_no_target_has_room_the_first_that_has_is_waited_for() {
    let (minute, second) = (Duration::from_secs(60), Duration::from_secs(20));
    let limits = [
        Limit::requests(1)
            .every(minute)
            .when(Tag::Provider, "first"),
        Limit::requests(1)
            .every(second)
            .when(Tag::Provider, "second"),
    ];
    let providers = Providers::new(["first", "second"]);
    let service = stack(failover(two()), limiter(limits), &providers);
    for host in ["first", "second"] {
        assert_eq!(send(&service, request()).await.unwrap().asked(), [host]);
    }
    let (came, span) = after(send(&service, request())).await;
    assert_eq!(came.unwrap().asked(), ["second"]);
    assert!((19.0..22.0).contains(&span.as_secs_f64()), "{span:?}");
}

#[tokio::test(start_paused = true)]
async fn attempts_are_bounded_over_all_layers() {
    let providers = Providers::new(["first", "second"]);
    for host in ["first", "second"] {
        providers.fault(host, "status=429");
    }
    for (most, retry_outside) in [(1, false), (4, false), (7, false), (4, true)] {
        let before = providers.attempts("first") + providers.attempts("second");
        let layer = failover(two()).max_attempts(most.try_into().unwrap());
        let retry = RetryLayer::new().max_attempts(5.try_into().unwrap());
        let status = if retry_outside {
            let service = retry.layer(layer.layer(providers.clone()));
            send(&service, request()).await.unwrap().status
        } else {
            let service = layer.layer(retry.layer(providers.clone()));
            send(&service, request()).await.unwrap().status
        };
        assert_eq!(status, 429);
        let made = providers.attempts("first") + providers.attempts("second") - before;
        assert_eq!(made, most as usize, "{most} {retry_outside}");
    }
}

#[tokio::test(start_paused = true)]
async fn alone_it_waits_by_itself() {
    let providers = Providers::new(["first"]);
    providers.fault("first", "status=429;retry-after=8");
    let layer: FailoverLayer = failover(Route::ordered([target("first")]));
    let service = layer.layer(providers.clone());
    let call = tokio::spawn(async move { after(send(&service, request())).await });
    tokio::time::sleep(Duration::from_secs(5)).await;
    providers.at("first").set_faults(Vec::new());
    let (came, span) = call.await.unwrap();
    assert_eq!(came.unwrap().status, 200, "{MODEL}");
    assert!((8.0..9.8).contains(&span.as_secs_f64()), "{span:?}");
}

#[tokio::test(start_paused = true)]
async fn coming_back_to_one_that_failed_costs_of_the_retry_budget_and_a_429_does_not() {
    for (fault, coming_back) in [
        ("status=503;retry-after=8", 0),
        ("status=429;retry-after=8", 2),
    ] {
        let providers = Providers::new(["first"]);
        providers.fault("first", fault);
        let route = Route::ordered([target("first")]);
        let layer = failover(route)
            .max_attempts(4.try_into().unwrap())
            .retry_budget(RetryBudget::percent(0).reserve(0));
        let service = layer.layer(providers.clone());
        let came = send(&service, request()).await.unwrap();
        assert_eq!(providers.attempts("first"), 1 + coming_back, "{fault}");
        // When it is worth another try is said in any case.
        let told = came.attempts.retry_after.unwrap();
        assert!((7.0..=8.0).contains(&told.as_secs_f64()), "{told:?}");
        assert_eq!(came.headers["retry-after"], "8");
        assert!(came.headers.contains_key("retry-after-ms"));
    }
}
