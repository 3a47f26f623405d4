//! A layer that is switched off is as if it were not there.

use std::{convert::Infallible, fmt::Debug};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use http_body_util::BodyExt as _;
use tower::{Layer, Service, ServiceExt as _, util::BoxCloneService};
use tower_quota::{
    AdmissionLayer, BudgetLayer, Limiter, RateLimitLayer, RetryLayer,
    limit::{Limit, Limits},
    limiter::Call,
    pricing::PriceTable,
};

use super::settings::{
    Lines, MODEL, Req, ear, failover, limiter, lines, prices, providers, recorded, request,
    statistics,
};

type Inner = BoxCloneService<Req, Response<http_body_util::Full<Bytes>>, Infallible>;

/// What a provider sees of a call to whoever is busy that goes through `layer`, the answer to which comes as it is.
async fn sees<L, R>(layer: L) -> Vec<String>
where
    L: Layer<Inner>,
    L::Service: Service<Req, Response = Response<R>, Error = Infallible>,
    R: Body<Data = Bytes, Error: Debug>,
{
    let sent = Lines::default();
    let service = layer.layer(providers(&sent));
    let (head, body) = service.oneshot(request(MODEL)).await.unwrap().into_parts();
    let plain = providers(&Lines::default());
    let (expected, answer) = plain.oneshot(request(MODEL)).await.unwrap().into_parts();
    assert_eq!(
        (head.status, &head.headers),
        (expected.status, &expected.headers)
    );
    assert!(head.extensions.is_empty());
    let answer = answer.collect().await.unwrap().to_bytes();
    assert_eq!(body.collect().await.unwrap().to_bytes(), answer);
    lines(&sent)
}

const UNTOUCHED: [&str; 1] = ["api.openai.com as it came"];

#[tokio::test(start_paused = true)]
async fn an_admission_that_is_off_lets_all_through_and_counts_nothing() {
    let limiter = Limiter::new(Limits::new([Limit::concurrency(1)]).unwrap());
    let (ear, heard) = ear();
    let on = AdmissionLayer::new(limiter.clone()).reject_when_full();
    let off = on.clone().off().observe(ear);
    assert_eq!(sees(off.clone()).await, UNTOUCHED);
    let held = limiter.acquire(Call::new()).await.unwrap();
    assert_eq!(sees(off).await, UNTOUCHED, "there is no room");
    assert!(lines(&heard).is_empty());
    // The same layer, on.
    let refused = on.layer(providers(&Lines::default()));
    let refused = refused.oneshot(request(MODEL)).await.unwrap();
    assert_eq!(refused.status(), 429);
    held.release();
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_off_refuses_charges_and_records_nothing() {
    let (limiter, statistics, (ear, heard)) = (limiter(), statistics(), ear());
    let without_prices = PriceTable::new().into();
    let on = BudgetLayer::new(limiter.clone(), without_prices).observe(ear);
    let off = on
        .clone()
        .statistics(statistics.clone())
        .cap_output(9)
        .off();
    assert_eq!(sees(off).await, UNTOUCHED);
    assert!(lines(&heard).is_empty() && recorded(&statistics).is_empty());
    let standings = limiter.explain(&Call::new()).await.unwrap().limits;
    assert!(standings.iter().all(|limit| limit.in_use == 0));
    let refused = on.layer(providers(&Lines::default()));
    let refused = refused.oneshot(request(MODEL)).await.unwrap();
    assert_eq!(refused.status(), 402);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_is_off_repeats_nothing() {
    let (ear, heard) = ear();
    let off = RetryLayer::new().observe(ear).off();
    assert_eq!(sees(off).await, UNTOUCHED);
    assert!(lines(&heard).is_empty());
    let sent = Lines::default();
    let service = RetryLayer::new().layer(providers(&sent));
    service.oneshot(request(MODEL)).await.unwrap();
    assert_eq!(lines(&sent).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_failover_that_is_off_sends_nothing_elsewhere_and_refuses_nothing() {
    let (ear, heard) = ear();
    let off = failover().routed_only().observe(ear).off();
    assert_eq!(sees(off.clone()).await, UNTOUCHED);
    assert_eq!(sees(off.routed_only()).await, UNTOUCHED);
    assert!(lines(&heard).is_empty());
}

/// In one service as well: what is off is off, and what is not does what it does.
#[tokio::test(start_paused = true)]
async fn each_part_of_all_layers_may_be_off() {
    let all_off = || {
        let limiter = limiter();
        let layer = RateLimitLayer::of(
            RetryLayer::new().off(),
            AdmissionLayer::new(limiter.clone()).off(),
        );
        let budget = BudgetLayer::new(limiter.clone(), prices(1)).off();
        (layer.budget(budget).failover(failover().off()), limiter)
    };
    let (statistics, (ear, heard)) = (statistics(), ear());
    let (layer, _) = all_off();
    let layer = layer.statistics(statistics.clone()).observe(ear.clone());
    assert_eq!(sees(layer).await, UNTOUCHED);
    assert!(lines(&heard).is_empty() && recorded(&statistics).is_empty());

    // Retries alone.
    let (layer, limiter) = all_off();
    let sent = Lines::default();
    let service = layer
        .retry(RetryLayer::new())
        .observe(ear)
        .layer(providers(&sent));
    service.oneshot(request(MODEL)).await.unwrap();
    assert_eq!(lines(&sent), ["api.openai.com read"; 3]);
    assert!(lines(&heard).last().unwrap().starts_with("Over("));
    let standings = limiter.explain(&Call::new()).await.unwrap().limits;
    assert!(standings.iter().all(|limit| limit.in_use == 0));
}

/// Observers that only a part that is off was given hear nothing; what this layer was given does not depend on it.
#[tokio::test(start_paused = true)]
async fn what_is_given_to_all_layers_does_not_depend_on_one_that_is_off() {
    let limiter = limiter();
    let (statistics, of_budget) = (statistics(), statistics());
    let [(ear, heard), (unheard, nothing)] = std::array::from_fn(|_| ear());
    let budget = BudgetLayer::new(limiter.clone(), prices(1));
    let budget = budget.observe(unheard).statistics(of_budget.clone()).off();
    let layer = RateLimitLayer::new(limiter).retry(RetryLayer::new().off());
    let layer = layer
        .budget(budget)
        .observe(ear)
        .statistics(statistics.clone());
    let service = layer
        .failover(failover())
        .layer(providers(&Lines::default()));
    let response = service.oneshot(request(MODEL)).await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body().collect().await.unwrap();
    assert!(lines(&heard).last().unwrap().starts_with("Over("));
    assert!(lines(&nothing).is_empty() && recorded(&of_budget).is_empty());
    // The one that refused its key, and the one that answered, by nobody's prices.
    let all = recorded(&statistics);
    assert_eq!((all.requests, all.input, all.unpriced), (2, 9, 1));
}
