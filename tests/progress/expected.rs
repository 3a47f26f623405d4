//! Where nobody else comes and nothing is given back, a call goes when it was expected to.

use std::time::Duration;

use proptest::prelude::*;
use tokio::{task::JoinSet, time::Instant};
use tower_quota::{
    Limiter,
    limit::{Charge, Limit, Limits},
    limiter::{Call, CallState, Progress},
};

use crate::settle_down;

const PERIOD: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn each_of_a_line_is_expected_one_period_after_the_one_before() {
    let limit = Limit::requests(1).every(PERIOD).margin(Duration::ZERO);
    let limiter = Limiter::new(Limits::new([limit]).unwrap());
    drop(limiter.acquire(Call::new()).await.unwrap());
    let all: Vec<Progress> = (0..5).map(|_| Progress::new()).collect();
    let mut calls = JoinSet::new();
    for progress in &all {
        let (limiter, call) = (limiter.clone(), Call::new().progress(progress));
        calls.spawn(async move { drop(limiter.acquire(call).await.unwrap()) });
        settle_down().await;
    }
    let expected = || {
        let each = all.iter().filter_map(|progress| match progress.state() {
            CallState::Waiting(wait) => Some((wait.ahead, wait.expected_in.unwrap().as_secs())),
            _ => None,
        });
        each.collect::<Vec<_>>()
    };
    assert_eq!(
        expected(),
        [(0, 60), (1, 120), (2, 180), (3, 240), (4, 300)]
    );
    tokio::time::sleep(Duration::from_secs(70)).await;
    assert_eq!(expected(), [(0, 50), (1, 110), (2, 170), (3, 230)]);
    calls.join_all().await;
    assert_eq!(expected(), []);
}

/// Calls of one agent, in one line: sizes, and how much of the limit counted before.
async fn run(sizes: Vec<u64>, before: u64) {
    let limit = Limit::tokens(100)
        .every(PERIOD)
        .margin(Duration::ZERO)
        .charge(Charge::azure());
    let limiter = Limiter::new(Limits::new([limit]).unwrap());
    let start = Instant::now();
    if before > 0 {
        let first = limiter
            .acquire(Call::new().tokens(before, 0))
            .await
            .unwrap();
        drop(first);
    }
    tokio::time::advance(Duration::from_secs(10)).await;
    let mut calls = JoinSet::new();
    let all: Vec<Progress> = sizes.iter().map(|_| Progress::new()).collect();
    for (size, progress) in sizes.iter().zip(&all) {
        let (limiter, call) = (
            limiter.clone(),
            Call::new().tokens(*size, 0).progress(progress),
        );
        calls.spawn(async move {
            drop(limiter.acquire(call).await.unwrap());
            start.elapsed()
        });
        settle_down().await;
    }
    let now = start.elapsed();
    let expected: Vec<Duration> = all
        .iter()
        .map(|progress| match progress.state() {
            CallState::Waiting(wait) => now + wait.expected_in.unwrap(),
            _ => now,
        })
        .collect();
    let mut went = calls.join_all().await;
    went.sort_unstable();
    for (expected, went) in expected.iter().zip(&went) {
        // Never later than it really is: those before may not fill a period to the last token.
        assert!(expected <= went, "{expected:?} {went:?} {sizes:?} {before}");
    }
    if sizes
        .iter()
        .all(|size| 100 % size == 0 && *size == sizes[0])
        && before.is_multiple_of(sizes[0])
    {
        assert_eq!(expected, went, "{sizes:?} {before}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_is_never_said_later_than_it_is_and_exactly_where_calls_fill_the_limit(
        sizes in prop_oneof![
            prop::collection::vec(1u64..100, 1..12),
            (prop::sample::select(vec![10u64, 20, 25, 50]), 1usize..30).prop_map(|(size, many)| vec![size; many]),
        ],
        before in prop::sample::select(vec![0u64, 50, 100]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run(sizes, before));
    }
}
