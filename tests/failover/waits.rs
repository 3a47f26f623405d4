use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tower_layer::Layer as _;
use tower_quota::{
    CallOptions, FailoverLayer, Limiter, RetryLayer, Tag, Tags,
    failover::Route,
    limit::{Limit, Limits},
    limiter::{Call, QueueOptions},
    retry::RetryBudget,
    store::MemoryStore,
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

/// A call that waits for so long at most.
fn hurried(millis: u64) -> http::Request<http_body_util::Full<bytes::Bytes>> {
    let mut request = request();
    let options = CallOptions::new().max_wait(Duration::from_millis(millis));
    request.extensions_mut().insert(options);
    request
}

#[tokio::test(start_paused = true)]
async fn one_that_is_free_in_seconds_is_waited_for_rather_than_the_only_one_that_is_well() {
    let minute = Duration::from_secs(60);
    let full = Limit::requests(1)
        .every(minute)
        .when(Tag::Provider, "second");
    for (limits, expected) in [
        (vec![], ["second", "first"].as_slice()),
        (vec![full], ["first"].as_slice()),
    ] {
        let providers = Providers::new(["first", "second"]);
        providers.fault_once("first", "status=429;retry-after=3");
        let service = stack(failover(two()), limiter(limits), &providers);
        let came = send(&service, request()).await.unwrap();
        assert_eq!(came.asked(), ["first", "second"]);
        providers.fault("second", "status=429;retry-after=50");
        let (came, span) = after(send(&service, request())).await;
        let came = came.unwrap();
        assert_eq!(came.asked(), expected);
        assert_eq!(came.status, 200);
        assert!(span < Duration::from_secs(5), "{span:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_free_after_the_longest_wait_only_is_no_other_target() {
    let limit = Limit::requests(1).every(Duration::from_secs(20));
    let limits = [limit.when(Tag::Provider, "second")];
    let providers = Providers::new(["first", "second"]);
    providers.fault_once("first", "status=429;retry-after=300");
    let service = stack(failover(two()), limiter(limits), &providers);
    let came = send(&service, request()).await.unwrap();
    assert_eq!(came.asked(), ["first", "second"]);
    let (came, span) = after(send(&service, request())).await;
    let came = came.unwrap();
    assert_eq!(came.asked(), ["second"]);
    assert_eq!(came.attempts.made.len(), 1, "it waits there at once");
    assert!((18.0..22.0).contains(&span.as_secs_f64()), "{span:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_was_waited_for_and_tells_a_longer_wait_is_left_for_one_that_is_free_before() {
    let providers = Providers::new(["first", "second"]);
    providers.fault("first", "status=429;retry-after=30");
    providers.fault("second", "status=429;retry-after=8");
    let service = stack(failover(two()), limiter([]), &providers);
    let call = tokio::spawn(async move { after(send(&service, request())).await });
    tokio::time::sleep(Duration::from_secs(5)).await;
    providers.at("first").set_faults(Vec::new());
    providers.fault("second", "status=429;retry-after=50");
    let (came, span) = call.await.unwrap();
    let came = came.unwrap();
    assert_eq!(came.status, 200);
    assert_eq!(came.asked(), ["first", "second", "second", "first"]);
    assert!((30.0..34.0).contains(&span.as_secs_f64()), "{span:?}");
}

/// What is told decides, and the jitter that is added to it does not.
#[tokio::test(start_paused = true)]
async fn a_wait_that_is_just_short_enough_is_waited_out_every_time_and_a_longer_one_never() {
    for _ in 0..20 {
        for (told, within, expected) in [
            (60, 3_600_000, 200),
            (61, 3_600_000, 429),
            (5, 5_500, 200),
            (6, 5_500, 429),
        ] {
            let providers = Providers::new(["first", "second"]);
            for host in ["first", "second"] {
                providers.fault_once(host, &format!("status=429;retry-after={told}"));
            }
            let service = stack(failover(two()), limiter([]), &providers);
            let (came, span) = after(send(&service, hurried(within))).await;
            assert_eq!(came.unwrap().status.as_u16(), expected, "{told}");
            let (told, span) = (f64::from(told), span.as_secs_f64());
            let waits = if expected == 200 { told } else { 0.0 };
            assert!(span >= waits && span < waits * 1.1 + 1.0, "{told}: {span}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_longest_wait_in_a_limiters_queue_bounds_told_waits_too() {
    for (told, statuses) in [(30, [429, 429]), (5, [200, 200])] {
        let providers = Providers::new(["first", "second"]);
        for host in ["first", "second"] {
            providers.fault_once(host, &format!("status=429;retry-after={told}"));
        }
        let store = Arc::new(MemoryStore::new(Limits::new([]).unwrap()));
        let options = QueueOptions::new().max_wait(Duration::from_secs(10));
        let service = stack(failover(two()), Limiter::build(store, options), &providers);
        for status in statuses {
            let (came, span) = after(send(&service, request())).await;
            let came = came.unwrap();
            assert_eq!(came.status.as_u16(), status, "{told}: {}", came.body);
            if status == 429 {
                assert!(span < Duration::from_secs(1), "{span:?}");
                let told = came.attempts.retry_after.unwrap();
                assert!((28.0..=30.0).contains(&told.as_secs_f64()), "{told:?}");
            }
        }
        let asked = providers.attempts("first") + providers.attempts("second");
        assert_eq!(asked, if told == 30 { 2 } else { 4 });
    }
}

/// The not: to go on at once, or to repeat what failed, is no wait for room.
#[tokio::test(start_paused = true)]
async fn the_longest_wait_in_a_limiters_queue_ends_no_call_that_waits_for_nothing() {
    for (route, serves) in [
        (two(), "second"),
        (Route::ordered([target("first")]), "first"),
    ] {
        let providers = Providers::new(["first", "second"]);
        // After 200 ms, when the queue's longest wait is long over.
        match serves {
            "first" => providers.fault_once("first", "status=500"),
            _ => providers.fault("first", "status=500"),
        }
        let store = Arc::new(MemoryStore::new(Limits::new([]).unwrap()));
        let options = QueueOptions::new().max_wait(Duration::from_millis(1));
        let service = stack(failover(route), Limiter::build(store, options), &providers);
        let came = send(&service, request()).await.unwrap();
        assert_eq!(came.status, 200, "{}", came.body);
        assert!(came.asked().len() > 1);
        assert_eq!(came.asked().last(), Some(&serves));
    }
}

/// A slot has no instant at which it is free: it is waited for until then.
#[tokio::test(start_paused = true)]
async fn the_only_one_that_is_well_is_waited_for_until_another_is_free() {
    let slot = Limit::concurrency(1).when(Tag::Provider, "second");
    let (providers, limiter) = (Providers::new(["first", "second"]), limiter([slot]));
    providers.fault_once("first", "status=429;retry-after=50");
    let service = stack(failover(two()), limiter.clone(), &providers);
    let came = send(&service, request()).await.unwrap();
    assert_eq!(came.asked(), ["first", "second"]);
    let second = Tags::new().with(Tag::Provider, "second");
    let held = limiter.acquire(Call::new().tags(second)).await.unwrap();
    let call = tokio::spawn(async move { after(send(&service, request())).await });
    tokio::time::sleep(Duration::from_secs(2)).await;
    held.release();
    let (came, span) = call.await.unwrap();
    assert_eq!(came.unwrap().asked(), ["second"]);
    assert!((2.0..3.0).contains(&span.as_secs_f64()), "{span:?}");
}
