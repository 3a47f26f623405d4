//! A stack of layers that runs: budgets that come, and prices that are others.
#![cfg(feature = "config")]

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::sync::mpsc;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};
use tower_quota::{CallOptions, Money, Rejection, config::Config};

fn config(more: &str) -> Config {
    Config::from_yaml(&format!(
        "rate_limiting: {{ global: {{ rpm: 50 }}, {more} }}"
    ))
    .unwrap()
}

fn chat() -> Request<Full<Bytes>> {
    Request::post("/v1/chat/completions")
        .extension(CallOptions::new().max_wait(Duration::ZERO))
        .body(Full::from(r#"{"model":"gpt-4","max_tokens":5000}"#))
        .unwrap()
}

fn answer() -> Response<Full<Bytes>> {
    let usage = r#"{"usage":{"prompt_tokens":0,"completion_tokens":5000}}"#;
    let response = Response::builder().header("content-type", "application/json");
    response.body(usage.into()).unwrap()
}

/// With what it was refused, read to its end.
async fn send<S, B>(service: S) -> Option<Rejection>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible>,
    B: http_body::Body,
    B::Error: std::fmt::Debug,
{
    let answer = service.oneshot(chat()).await.unwrap();
    let refused = answer.extensions().get::<Rejection>().cloned();
    answer.into_body().collect().await.unwrap();
    refused
}

#[tokio::test(start_paused = true)]
async fn a_running_layer_without_budgets_has_those_that_come_and_lets_go_of_those_that_are_gone() {
    let stack = config("").build().unwrap();
    let inner = service_fn(|_: Request<Full<Bytes>>| async { Ok::<_, Infallible>(answer()) });
    let service = stack.layer.layer(inner);
    for _ in 0..5 {
        assert_eq!(send(service.clone()).await, None);
    }
    let reloaded = stack.reload(&config("max_daily_spend: 1")).await.unwrap();
    assert_eq!(reloaded.added, ["cost $1.00/calendar day in UTC"]);
    // 30 cents each: 5 000 tokens at $60 a million.
    for _ in 0..3 {
        assert_eq!(send(service.clone()).await, None);
    }
    let refused = send(service.clone()).await.unwrap();
    assert!(matches!(refused, Rejection::BudgetExceeded(_)), "{refused}");
    let reloaded = stack.reload(&config("")).await.unwrap();
    assert_eq!(reloaded.removed, ["cost $1.00/calendar day in UTC"]);
    assert_eq!(send(service).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_charged_by_the_prices_that_it_came_under() {
    let priced = |dollars: u64| {
        config(&format!(
            "max_daily_spend: 100, prices: {{ openai: {{ gpt-4: {{ input: 1, output: {dollars} }} }} }}"
        ))
    };
    let stack = priced(100).build().unwrap();
    let (came, mut coming) = mpsc::unbounded_channel();
    let inner = service_fn(move |_: Request<Full<Bytes>>| {
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        came.send(go).unwrap();
        async move {
            gone.await.unwrap();
            Ok::<_, Infallible>(answer())
        }
    });
    let service = stack.layer.layer(inner);
    let standing = async || {
        let budget = stack.limiter.budgets().await.unwrap().remove(0);
        (budget.settled, budget.reserved)
    };
    let cents = |cents: u64| Money::from_nanos(cents * 10_000_000);
    // Half a dollar, and then a tenth of that.
    let one = tokio::spawn(send(service.clone()));
    let go_one = coming.recv().await.unwrap();
    let reserved = standing().await.1;
    assert!(reserved >= cents(50), "{reserved}");
    let reloaded = stack.reload(&priced(10)).await.unwrap();
    assert!(reloaded.prices && reloaded.changed.is_empty() && reloaded.added.is_empty());
    let two = tokio::spawn(send(service));
    let go_two = coming.recv().await.unwrap();
    let more = standing().await.1 - reserved;
    assert!(more < cents(6), "{more}");
    go_one.send(()).unwrap();
    assert_eq!(one.await.unwrap(), None);
    assert_eq!(standing().await, (cents(50), more));
    go_two.send(()).unwrap();
    assert_eq!(two.await.unwrap(), None);
    assert_eq!(standing().await, (cents(55), Money::ZERO));
    let reloaded = stack.reload(&priced(10)).await.unwrap();
    assert!(!reloaded.prices);
}
