use std::time::Duration;

use http::Request;
use http_body_util::Full;
use tower_quota::{
    FailoverLayer, Money, Tag,
    failover::{Route, Routes, Target},
    limit::Limit,
    retry::PassedOverWhy,
};

use crate::providers::{MODEL, Providers, failover, limiter, provider, request, send, stack};

const CHEAP: &str = "gpt-5.4-mini";

fn route() -> Route {
    let openai = provider("openai", &["main"]);
    Route::ordered([Target::new(&openai, MODEL)]).degraded(0.5, [Target::new(&openai, CHEAP)])
}

/// B14: degrade near the end of a budget.
#[tokio::test(start_paused = true)]
async fn from_a_share_of_a_budget_on_the_cheaper_model_serves() {
    let providers = Providers::new(["openai"]);
    let day = Duration::from_secs(86_400);
    let budget = Limit::cost(Money::from_nanos(20_000_000))
        .every(day)
        .per(Tag::Agent);
    let limiter = limiter([budget]);
    let service = stack(failover(route()), limiter, &providers);
    let models = |providers: &Providers| -> Vec<String> {
        let ledger = providers.at("openai").ledger();
        ledger
            .entries()
            .iter()
            .map(|entry| entry.model.to_string())
            .collect()
    };
    let mut degraded_at = None;
    for number in 0..60 {
        let came = send(&service, request()).await.unwrap();
        assert_eq!(came.status, 200, "{number}: {}", came.body);
        if degraded_at.is_none() && !came.attempts.passed_over.is_empty() {
            assert_eq!(came.attempts.passed_over[0].why, PassedOverWhy::Degraded);
            degraded_at = Some(number);
        }
    }
    let degraded_at = degraded_at.expect("it was never degraded");
    let models = models(&providers);
    assert!(models[..degraded_at].iter().all(|model| model == MODEL));
    assert!(
        models[degraded_at..].iter().all(|model| model == CHEAP),
        "{models:?}"
    );
    assert!(degraded_at > 3, "{degraded_at}");
}

#[tokio::test(start_paused = true)]
async fn before_that_it_serves_where_the_other_cannot() {
    let providers = Providers::new(["openai"]);
    let minute = Duration::from_secs(60);
    let limits = [Limit::requests(1).every(minute).when(Tag::Model, MODEL)];
    let service = stack(failover(route()), limiter(limits), &providers);
    for _ in 0..2 {
        assert_eq!(send(&service, request()).await.unwrap().status, 200);
    }
    let ledger = providers.at("openai").ledger();
    let models: Vec<&str> = ledger.entries().iter().map(|entry| &*entry.model).collect();
    assert_eq!(models, [MODEL, CHEAP]);
}

/// A route may have a name of its own; its budgets are those of its targets.
#[tokio::test(start_paused = true)]
async fn budgets_on_where_the_targets_are_degrade_it_too() {
    let providers = Providers::new(["openai"]);
    let day = Duration::from_secs(86_400);
    let budget = Limit::cost(Money::from_nanos(20_000_000)).every(day);
    let limiter = limiter([budget.when(Tag::Model, MODEL)]);
    let layer = FailoverLayer::new(Routes::new([("smart", route())]).unwrap());
    let service = stack(layer, limiter, &providers);
    let mut degraded = 0;
    for number in 0..60 {
        let (parts, _) = request().into_parts();
        let body =
            r#"{"model":"smart","max_tokens":100,"messages":[{"role":"user","content":"hello"}]}"#;
        let request = Request::from_parts(parts, Full::from(body));
        let came = send(&service, request).await.unwrap();
        assert_eq!(came.status, 200, "{number}: {}", came.body);
        let passed = came.attempts.passed_over.iter();
        degraded += passed
            .filter(|passed| passed.why == PassedOverWhy::Degraded)
            .count();
    }
    let ledger = providers.at("openai").ledger();
    let dear = ledger
        .entries()
        .iter()
        .filter(|entry| &*entry.model == MODEL);
    assert_eq!(dear.count() + degraded, 60);
    assert!((1..57).contains(&degraded), "{degraded}");
}
