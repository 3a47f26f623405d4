//! Calls that are refused for money, where a limit counts refused calls.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_quota::{
    AdmissionLayer, BudgetLayer, Limiter, Money, Tag, Tags, Usage,
    limit::{Limit, Limits},
    limiter::Call,
    pricing::{Price, PriceTable},
};

const HOUR: Duration = Duration::from_secs(3_600);

/// A23: whether refused calls count.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_refused_for_money_counts_once_as_a_request() {
    let requests = Limit::requests(10).every(HOUR).per(Tag::Agent);
    let budget = Limit::cost(Money::from_dollars(10)).every(HOUR);
    let limits = Limits::new([requests.count_refused(), budget]).unwrap();
    let limiter = Limiter::new(limits);
    let mut prices = PriceTable::new();
    let price = Price::new("1".parse().unwrap(), "10".parse().unwrap());
    prices.insert("openai", "m", price);
    let inner = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let inside = AdmissionLayer::new(limiter.clone()).layer(inner);
    let service = BudgetLayer::new(limiter.clone(), Arc::new(prices))
        .patience(Duration::ZERO)
        .layer(inside);
    // Somebody else has spent it all.
    let mut usage = Usage::default();
    usage.cost = Some(Money::from_dollars(10));
    limiter.record(&Tags::new(), usage).await.unwrap();

    let agent = || Tags::new().with(Tag::Agent, "a");
    for _ in 0..3 {
        let body = r#"{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"Hi"}]}"#;
        let request = Request::post("http://provider/v1/chat/completions")
            .extension(agent())
            .body(Full::from(body))
            .unwrap();
        let answer = service.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED);
    }
    let explained = limiter.explain(&Call::new().tags(agent())).await.unwrap();
    let mut limits = explained.limits.iter();
    let requests = limits.find(|limit| limit.limit.starts_with("requests"));
    assert_eq!(requests.unwrap().in_use, 3);
}
