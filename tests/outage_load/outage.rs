use std::time::Duration;

use tower_layer::Layer as _;
use tower_quota::{
    Limiter, RateLimitLayer, RetryLayer,
    limit::{Limit, Limits},
    retry::RetryBudget,
};

use crate::{
    load::{CALLS, Documented, RATES, calls, over},
    provider::{Provider, Wrong, chat},
};

fn limiter() -> Limiter {
    let unlimited = Limit::requests(1_000_000).every(Duration::from_secs(60));
    Limiter::new(Limits::new([unlimited]).unwrap())
}

/// How many attempts there were beyond the calls, by the provider's count; checked to be within what is documented.
async fn extra(layer: RetryLayer, is_paved: bool, wrong: Wrong, every: Duration) -> usize {
    let provider = Provider::new(wrong);
    let (began, answered) = if is_paved {
        let paved = RateLimitLayer::new(limiter()).retry(layer);
        calls(&paved.layer(provider.clone()), every, chat).await
    } else {
        let alone = layer.layer(provider.clone());
        calls(&alone, every, chat).await
    };
    assert_eq!(answered, 0, "{wrong:?}");
    let attempts = provider.attempts();
    let found = over(Documented::DEFAULT, &began, &attempts);
    assert_eq!(found, None, "{wrong:?}, paved: {is_paved}, each {every:?}");
    attempts.len() - CALLS
}

async fn stays_within(is_paved: bool, outage: Wrong, rates: &[Duration]) {
    for every in rates {
        let extra = extra(RetryLayer::new(), is_paved, outage, *every).await;
        // A fifth of the calls at least, or the budget would be none.
        assert!(extra >= CALLS / 5, "{outage:?} each {every:?}: {extra}");
    }
}

/// R5: an outage is not multiplied.
#[tokio::test(start_paused = true)]
async fn the_extra_load_of_an_outage_stays_within_what_is_documented() {
    stays_within(false, Wrong::Says("status=503"), &RATES).await;
    stays_within(false, Wrong::Refused, &RATES).await;
    stays_within(false, Wrong::Says("status=500"), &RATES[2..3]).await;
    stays_within(false, Wrong::Says("drop"), &RATES[2..3]).await;
    stays_within(false, Wrong::Says("status=503;retry-after=2"), &RATES[1..3]).await;
}

#[tokio::test(start_paused = true)]
async fn and_inside_all_layers() {
    stays_within(true, Wrong::Says("status=503"), &RATES[1..]).await;
    stays_within(true, Wrong::Refused, &RATES[2..3]).await;
    stays_within(true, Wrong::Says("status=500"), &RATES[2..3]).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_budget_it_is_multiplied() {
    let provider = Provider::new(Wrong::Says("status=503"));
    let layer = RetryLayer::new().no_retry_budget();
    let (began, _) = calls(&layer.layer(provider.clone()), RATES[2], chat).await;
    let attempts = provider.attempts();
    assert_eq!(attempts.len(), 3 * CALLS);
    assert!(over(Documented::DEFAULT, &began, &attempts).is_some());
}

#[tokio::test(start_paused = true)]
async fn other_budgets_do_as_they_say() {
    for (percent, reserve) in [(0, 0), (0, 5), (10, 0), (50, 20)] {
        let budget = RetryBudget::percent(percent).reserve(reserve);
        let provider = Provider::new(Wrong::Says("status=503"));
        let layer = RetryLayer::new().retry_budget(budget);
        let (began, _) = calls(&layer.layer(provider.clone()), RATES[2], chat).await;
        let attempts = provider.attempts();
        let documented = Documented {
            percent: percent as usize,
            reserve: reserve as usize,
        };
        assert_eq!(over(documented, &began, &attempts), None, "{documented:?}");
        let least = CALLS * percent as usize / 100;
        assert!(attempts.len() >= CALLS + least, "{documented:?}");
        if (percent, reserve) == (0, 0) {
            assert_eq!(attempts.len(), CALLS);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn services_and_clones_of_a_layer_share_the_budget() {
    let provider = Provider::new(Wrong::Says("status=503"));
    let layer = RetryLayer::new().retry_budget(RetryBudget::percent(0).reserve(10));
    for _ in 0..2 {
        calls(&layer.clone().layer(provider.clone()), Duration::ZERO, chat).await;
    }
    // What comes back of the reserve meanwhile is less than one.
    assert_eq!(provider.attempts().len(), 2 * CALLS + 10);
}
