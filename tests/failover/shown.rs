//! What people see of a call that goes on to another target.

use std::time::Duration;

use tower_quota::{
    Tag, Usage,
    failover::Route,
    limit::Limit,
    limiter::{Call, CallState, Progress},
};

use crate::providers::{Providers, failover, limiter, request, send, stack, target};

fn two() -> Route {
    Route::ordered([target("first"), target("second")])
}

/// Which attempt, and where it went.
fn under_way(progress: &Progress) -> (u32, String) {
    match progress.state() {
        CallState::Sent { attempt, tags, .. } => {
            (attempt, tags.get(&Tag::Provider).unwrap().to_owned())
        }
        other => panic!("it is not under way: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn it_says_which_attempt_it_is_and_where_it_went() {
    let providers = Providers::new(["first", "second"]);
    providers.fault("first", "status=503");
    let service = stack(failover(two()), limiter([]), &providers);
    let (progress, mut asked) = (Progress::new(), request());
    asked.extensions_mut().insert(progress.clone());
    let call = tokio::spawn(async move { send(&service, asked).await });
    let mut seen = Vec::new();
    while !call.is_finished() {
        if let CallState::Sent { .. } = progress.state() {
            seen.push(under_way(&progress));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    seen.dedup();
    let to = |number, host: &str| (number, host.to_owned());
    let last = seen.last().unwrap().0;
    assert_eq!(seen.first(), Some(&to(1, "first")));
    assert_eq!(seen.last(), Some(&to(last, "second")));
    let numbers: Vec<u32> = seen.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=last).collect::<Vec<_>>());
    let came = call.await.unwrap().unwrap();
    assert_eq!(came.attempts.made.len(), last as usize);
    assert_eq!(progress.answers(), last);
    let served = progress.last_sent().unwrap();
    assert_eq!(served.get(&Tag::Provider), Some("second"));
    assert_eq!(progress.state(), CallState::Done);
}

#[tokio::test(start_paused = true)]
async fn a_told_wait_for_a_target_is_one_that_it_backs_off_for() {
    let providers = Providers::new(["first", "second"]);
    providers.fault("first", "status=429;retry-after=30");
    providers.fault("second", "status=429;retry-after=8");
    let service = stack(failover(two()), limiter([]), &providers);
    let (progress, mut asked) = (Progress::new(), request());
    asked.extensions_mut().insert(progress.clone());
    let call = tokio::spawn(async move { send(&service, asked).await });
    tokio::time::sleep(Duration::from_secs(5)).await;
    let CallState::BackingOff { until } = progress.state() else {
        panic!("it backs off, and not {:?}", progress.state());
    };
    let left = until.saturating_duration_since(tokio::time::Instant::now());
    assert!((3.0..5.0).contains(&left.as_secs_f64()), "{left:?}");
    providers.at("second").set_faults(Vec::new());
    assert_eq!(call.await.unwrap().unwrap().status, 200);
    assert_eq!(progress.state(), CallState::Done);
    assert_eq!(progress.waited(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_one_target_and_then_for_another() {
    let minute = Duration::from_secs(60);
    let of = |host: &str| Limit::requests(1).every(minute).when(Tag::Provider, host);
    let providers = Providers::new(["first", "second"]);
    let limiter = limiter([
        of("first"),
        Limit::concurrency(1).when(Tag::Provider, "second"),
    ]);
    let service = stack(failover(two()), limiter.clone(), &providers);
    send(&service, request()).await.unwrap();
    let tags = tower_quota::Tags::new().with(Tag::Provider, "second");
    let held = limiter.acquire(Call::new().tags(tags)).await.unwrap();
    let (progress, mut asked) = (Progress::new(), request());
    asked.extensions_mut().insert(progress.clone());
    let call = tokio::spawn(async move { send(&service, asked).await });
    let mut seen = Vec::new();
    for _ in 0..40 {
        if let CallState::Waiting(wait) = progress.state() {
            seen.push(wait.shortage.limit);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    seen.dedup();
    assert!(
        seen.contains(&"concurrency 1 for provider=second".to_owned()),
        "{seen:?}"
    );
    held.settle(Usage::default());
    assert_eq!(call.await.unwrap().unwrap().status, 200);
    assert_eq!(progress.state(), CallState::Done);
    assert!(
        progress.waited() > Duration::from_secs(1),
        "{:?}",
        progress.waited()
    );
}
