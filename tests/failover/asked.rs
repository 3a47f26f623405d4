//! What is put into a request is what its target's provider is to be asked for.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tower::{ServiceExt as _, service_fn};
use tower_layer::Layer as _;
use tower_quota::{
    BudgetLayer, Money, RateLimitLayer,
    failover::Route,
    limit::Limit,
    pricing::{Price, PriceTable},
};

use crate::providers::{MODEL, failover, limiter, target};

/// The bodies that come to each host; the first one answers that it is overloaded. `paved`: through the layers in their usual
/// order, else through a budget around failover.
async fn sent(route: Route, body: String, paved: bool) -> Vec<(String, Value)> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let inner = service_fn(move |request: Request<Full<Bytes>>| {
        let noted = noted.clone();
        async move {
            let host = request.uri().host().unwrap().to_owned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap();
            let first = {
                let mut noted = noted.lock().unwrap();
                noted.push((host, body));
                noted.len() == 1
            };
            let status = if first { 503 } else { 200 };
            let response = Response::builder()
                .status(status)
                .header("retry-after", "60");
            Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
        }
    });
    let mut prices = PriceTable::built_in();
    let rate = "1".parse().unwrap();
    prices.set(MODEL, Price::new(rate, rate));
    let budget = Limit::cost(Money::from_dollars(1)).every(Duration::from_secs(3_600));
    let limiter = limiter([budget]);
    let budget = BudgetLayer::new(limiter.clone(), Arc::new(prices)).cap_output(50);
    let request = Request::post("http://called/v1/chat/completions")
        .body(Full::from(body))
        .unwrap();
    let status = if paved {
        let layer = RateLimitLayer::new(limiter);
        let layer = layer.budget(budget).failover(failover(route));
        layer.layer(inner).oneshot(request).await.unwrap().status()
    } else {
        let service = budget.layer(failover(route).layer(inner));
        service.oneshot(request).await.unwrap().status()
    };
    assert_eq!(status, 200);
    Arc::into_inner(seen).unwrap().into_inner().unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_provider_is_asked_in_its_own_words() {
    let stream = |more: &str| {
        format!(
            r#"{{"model":"{MODEL}","stream":true,{more}"messages":[{{"role":"user","content":"hello"}}]}}"#
        )
    };
    for (first, second, paved) in [
        ("openai", "mistral", true),
        ("mistral", "openai", true),
        ("openai", "mistral", false),
        ("mistral", "openai", false),
    ] {
        let route = Route::ordered([target(first), target(second)]);
        let sent = sent(route, stream(""), paved).await;
        assert_eq!(sent.len(), 2);
        for (host, body) in sent {
            let is_openai = host == "openai";
            assert_eq!(
                body["stream_options"].is_object(),
                is_openai,
                "{host}: {body}"
            );
            assert_eq!(
                body["max_completion_tokens"].is_u64(),
                is_openai,
                "{host}: {body}"
            );
            assert_eq!(body["max_tokens"].is_u64(), !is_openai, "{host}: {body}");
        }
        // A cap of the caller's own stays the only one.
        let route = Route::ordered([target(first), target(second)]);
        for (host, body) in self::sent(route, stream(r#""max_tokens":7,"#), paved).await {
            assert_eq!(body["max_tokens"], 7, "{host}: {body}");
            assert!(
                body.get("max_completion_tokens").is_none(),
                "{host}: {body}"
            );
        }
    }
}
