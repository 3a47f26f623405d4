//! Tiers that Google's answers say they were served in.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_quota::{
    BudgetLayer, Limiter, Money, RateLimitLayer,
    limit::{Limit, Limits},
    limiter::Call,
    pricing::PriceTable,
};

const MODEL: &str = "gemini-2.5-flash";

/// What an answer costs of which a header or its usage name a tier, whole or as a stream.
async fn cost(header: Option<&'static str>, stream: bool, usage: &Value) -> u64 {
    let answer = json!({
        "candidates": [{
            "content": {"role": "model", "parts": [{"text": "Quartz."}]}, "finishReason": "STOP",
        }],
        "usageMetadata": usage, "modelVersion": MODEL,
    });
    let (kind, method, body) = match stream {
        true => (
            "text/event-stream",
            "streamGenerateContent?alt=sse",
            format!("data: {answer}\r\n\r\n"),
        ),
        false => ("application/json", "generateContent", answer.to_string()),
    };
    let budget = Limit::cost(Money::from_dollars(10)).every(Duration::from_secs(3_600));
    let limiter = Limiter::new(Limits::new([budget]).unwrap());
    let prices = Arc::new(PriceTable::built_in());
    let service = RateLimitLayer::new(limiter.clone())
        .budget(BudgetLayer::new(limiter.clone(), prices))
        .layer(service_fn(move |_: Request<Full<Bytes>>| {
            let answer = Response::builder().header("content-type", kind);
            let answer = match header {
                Some(tier) => answer.header("x-gemini-service-tier", tier),
                None => answer,
            };
            let answer = answer.body(Full::<Bytes>::from(body.clone())).unwrap();
            async { Ok::<_, Infallible>(answer) }
        }));
    let call = json!({
        "contents": [{"parts": [{"text": "Name a mineral."}]}],
        "generationConfig": {"maxOutputTokens": 20},
    });
    let request = Request::post(format!("http://provider/v1beta/models/{MODEL}:{method}"))
        .body(Full::from(call.to_string()))
        .unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.into_body().collect().await.is_ok());
    let call = Call::new().cost(Money::ZERO);
    let limits = limiter.explain(&call).await.unwrap().limits;
    assert!(limits.iter().all(|limit| limit.reserved == 0), "{limits:?}");
    limits[0].in_use
}

/// $0.30 a million in and $2.50 out; half of it where there is room, and 1.8 times as much before others.
#[tokio::test(start_paused = true)]
async fn the_tier_of_an_answer_is_in_its_usage_and_in_a_header() {
    let [usual, flex, priority] = [
        30 * 300 + 8 * 2_500,
        30 * 150 + 8 * 1_250,
        30 * 540 + 8 * 4_500,
    ];
    for (header, key, tier, expected) in [
        (None, "serviceTier", "standard", usual),
        (None, "serviceTier", "flex", flex),
        (None, "serviceTier", "priority", priority),
        (None, "serviceTier", "PRIORITY", priority),
        (None, "trafficType", "ON_DEMAND_PRIORITY", priority),
        (Some("standard"), "x", "", usual),
        (Some("flex"), "x", "", flex),
        (Some("priority"), "x", "", priority),
        (Some("Standard"), "serviceTier", "priority", priority),
        // It was asked for in one, and is said to have been served in the other.
        (Some("priority"), "serviceTier", "standard", usual),
    ] {
        let usage = json!({
            "promptTokenCount": 30, "candidatesTokenCount": 8, "totalTokenCount": 38, key: tier,
        });
        for stream in [false, true] {
            let cost = cost(header, stream, &usage).await;
            assert_eq!(cost, expected, "{header:?}, {usage}, {stream}");
        }
    }
}
