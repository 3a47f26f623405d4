//! The same over HTTP: in every order of layers, between attempts, and where there are other targets.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tower::{Layer as _, ServiceExt as _};
use tower_quota::{BudgetLayer, Money, Rejection, limit::Limit, pricing::PriceTable};

use crate::{
    pause, paused, resume, scout,
    support::{Answer, Frames, HOUR, Upstream, chat_of, ends, limiter, secs, stack},
};

const ORDERS: [&str; 6] = ["A", "F", "RA", "AR", "RAR", "ARA"];

fn of(agent: &str) -> Request<Full<Bytes>> {
    chat_of(agent)
}

#[tokio::test(start_paused = true)]
async fn it_is_403_in_the_callers_words_and_nobody_repeats_it() {
    for order in ORDERS {
        let limiter = limiter([Limit::requests(9).every(HOUR)]);
        let upstream = Upstream::new();
        let service = stack::<Full<Bytes>, _, _>(order, &limiter, upstream.clone());
        pause(&limiter, scout()).await;
        let response = ends(service.clone().oneshot(of("scout"))).await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{order}");
        assert_eq!(response.headers()["x-should-retry"], "false", "{order}");
        assert!(!response.headers().contains_key("retry-after"), "{order}");
        let rejection = response.extensions().get::<Rejection>();
        assert_eq!(rejection, Some(&paused("agent=scout")), "{order}");
        let text = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(body["error"]["code"], "paused", "{order}");
        assert_eq!(body["error"]["message"], "agent=scout is paused", "{order}");
        assert_eq!(upstream.sent().len(), 0, "{order}");

        let response = ends(service.clone().oneshot(of("other"))).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{order}");
        resume(&limiter, scout()).await;
        let response = ends(service.oneshot(of("scout"))).await.unwrap();
        assert_eq!(
            (response.status(), upstream.sent().len()),
            (StatusCode::OK, 2),
            "{order}"
        );
    }
}

/// Its provider has spoken: the caller has that, and nothing leaves any more.
#[tokio::test(start_paused = true)]
async fn who_is_paused_between_two_attempts_has_the_answer_to_the_first() {
    for order in ["RA", "AR", "RAR"] {
        let limiter = limiter([Limit::requests(9).every(HOUR)]);
        let upstream = Upstream::new().answers([Answer::Busy(5, Frames::of(["no"]))]);
        let service = stack::<Full<Bytes>, _, _>(order, &limiter, upstream.clone());
        let call = tokio::spawn(ends(service.oneshot(of("scout"))));
        tokio::time::sleep(secs(1)).await;
        pause(&limiter, scout()).await;
        let response = call.await.unwrap().unwrap();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS, "{order}");
        assert_eq!(upstream.sent().len(), 1, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_sent_has_its_answer() {
    for order in ["A", "RA", "AR"] {
        let limiter = limiter([Limit::requests(9).every(HOUR)]);
        let upstream = Upstream::new().latency(secs(10));
        let service = stack::<Full<Bytes>, _, _>(order, &limiter, upstream.clone());
        let call = tokio::spawn(ends(service.oneshot(of("scout"))));
        tokio::time::sleep(secs(1)).await;
        pause(&limiter, scout()).await;
        assert_eq!(
            call.await.unwrap().unwrap().status(),
            StatusCode::OK,
            "{order}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_alone_refuses_too() {
    let limiter = limiter([scout(), Limit::cost(Money::from_dollars(100)).every(HOUR)]);
    let upstream = Upstream::new();
    let layer = BudgetLayer::new(limiter.clone(), PriceTable::built_in().into());
    let service = layer.layer(upstream.clone());
    let named = |agent| {
        let text =
            r#"{"model":"gpt-4o-mini","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
        let mut request = of(agent);
        *request.body_mut() = Full::from(text);
        request
    };
    let response = ends(service.clone().oneshot(named("scout"))).await.unwrap();
    assert_eq!(
        response.extensions().get::<Rejection>(),
        Some(&paused("agent=scout"))
    );
    let response = ends(service.oneshot(named("other"))).await.unwrap();
    assert_eq!(
        (response.status(), upstream.sent().len()),
        (StatusCode::OK, 1)
    );
}
