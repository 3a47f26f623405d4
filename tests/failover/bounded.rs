//! How often one target is asked for one call, by all layers together.

use std::time::Duration;

use tokio::time::Instant;
use tower_layer::Layer as _;
use tower_quota::{FailoverLayer, RateLimitLayer, RetryLayer, failover::Route};

use crate::providers::{Providers, failover, limiter, request, send, target};

/// To so many targets, as often as there may be reasons to.
fn routed(targets: usize) -> FailoverLayer {
    let targets = ["first", "second"].into_iter().take(targets).map(target);
    failover(Route::ordered(targets)).max_attempts(40.try_into().unwrap())
}

fn retry(attempts: u32) -> RetryLayer {
    RetryLayer::new().max_attempts(attempts.try_into().unwrap())
}

#[tokio::test(start_paused = true)]
async fn one_target_is_asked_as_often_as_the_retry_layer_inside_says_and_no_more() {
    for fault in ["status=429", "status=429;retry-after=2"] {
        for (targets, most) in [(1, 1), (1, 3), (1, 6), (2, 1), (2, 3), (2, 6)] {
            let providers = Providers::new(["first", "second"]);
            let hosts = ["first", "second"];
            hosts.iter().for_each(|host| providers.fault(host, fault));
            let layer = RateLimitLayer::new(limiter([])).retry(retry(most));
            let layer = layer.failover(routed(targets));
            let came = send(&layer.layer(providers.clone()), request()).await;
            assert_eq!(came.unwrap().status, 429);
            let each = usize::try_from(most).unwrap();
            let expected = [each, if targets == 2 { each } else { 0 }];
            let asked = hosts.map(|host| providers.attempts(host));
            assert_eq!(asked, expected, "{fault}: {targets} targets, {most}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_retry_layer_inside_it_is_asked_three_times() {
    for targets in [1, 2] {
        let providers = Providers::new(["first", "second"]);
        for host in ["first", "second"] {
            providers.fault(host, "status=429;retry-after=2");
        }
        let service = routed(targets).layer(providers.clone());
        assert_eq!(send(&service, request()).await.unwrap().status, 429);
        let asked = ["first", "second"].map(|host| providers.attempts(host));
        assert_eq!(asked, [3, if targets == 2 { 3 } else { 0 }]);
    }
}

/// The not: to wait for one that this call has not asked repeats nothing.
#[tokio::test(start_paused = true)]
async fn what_another_call_was_told_is_waited_for_where_nothing_is_repeated() {
    let providers = Providers::new(["first"]);
    providers.fault_once("first", "status=429;retry-after=3");
    let layer = RateLimitLayer::new(limiter([])).retry(retry(1));
    let service = layer.failover(routed(1)).layer(providers.clone());
    assert_eq!(send(&service, request()).await.unwrap().status, 429);
    let began = Instant::now();
    let came = send(&service, request()).await.unwrap();
    assert_eq!((came.status.as_u16(), came.asked()), (200, vec!["first"]));
    assert!(began.elapsed() >= Duration::from_secs(3));
}
