//! A provider that is well and says when to come: no budget holds its repeats back.

use std::time::Duration;

use tower_layer::Layer as _;
use tower_quota::{RetryLayer, retry::RetryBudget};

use crate::{
    load::{CALLS, RATES, calls},
    provider::{Provider, Wrong, chat},
};

/// Tried once only, where it is an outage.
fn none() -> RetryLayer {
    RetryLayer::new().retry_budget(RetryBudget::percent(0).reserve(0))
}

#[tokio::test(start_paused = true)]
async fn each_call_has_all_its_attempts_where_a_429_tells_a_wait() {
    for every in [RATES[1], RATES[3]] {
        let provider = Provider::new(Wrong::Says("status=429;retry-after=2"));
        let (_, answered) = calls(&none().layer(provider.clone()), every, chat).await;
        assert_eq!(answered, 0);
        assert_eq!(provider.attempts().len(), 3 * CALLS, "each {every:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_503_that_tells_one_is_an_outage_all_the_same() {
    let provider = Provider::new(Wrong::Says("status=503;retry-after=2"));
    calls(&none().layer(provider.clone()), RATES[2], chat).await;
    assert_eq!(provider.attempts().len(), CALLS);
}

#[tokio::test(start_paused = true)]
async fn all_are_served_when_the_told_wait_is_over() {
    let provider = Provider::new(Wrong::Says("status=429;retry-after=8"));
    let well = provider.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(7)).await;
        well.recovers();
    });
    let (_, answered) = calls(&none().layer(provider.clone()), RATES[3], chat).await;
    assert_eq!(answered, CALLS);
    assert_eq!(provider.attempts().len(), 2 * CALLS);
}
