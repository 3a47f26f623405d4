//! Configuration: the block that users write loads and enforces; what makes no sense is refused by its path.
#![cfg(feature = "config")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{ServiceBuilder, ServiceExt as _, service_fn};
use tower_quota::{
    Limiter, Money, Rejection, Tag, Tags, Usage,
    config::{Config, Format},
    limiter::Call,
    store::BudgetEvent,
};

const BLOCK: &str = "
rate_limiting:
  enabled: true
  global: { requests_per_minute: 60, tokens_per_minute: 90000, concurrent_requests: 10 }
  providers:
    openai:
      gpt-4: { requests_per_minute: 500, tokens_per_minute: 150000 }
      gpt-3.5-turbo: { requests_per_minute: 3500, tokens_per_minute: 90000 }
    anthropic:
      claude-sonnet-4: { requests_per_minute: 50, tokens_per_minute: 40000 }
  agents:
    my_production_agent: { max_cost_per_hour: 10.00, max_requests_per_run: 100 }
";

fn limits(limiter: &Limiter) -> Vec<String> {
    limiter.limits().iter().map(ToString::to_string).collect()
}

#[test]
fn the_block_loads_and_builds_the_stack() {
    let stack = Config::from_yaml(BLOCK).unwrap().build().unwrap();
    assert_eq!(
        limits(&stack.limiter),
        [
            "requests 60/min",
            "tokens 90000/min",
            "concurrency 10",
            "requests 50/min for provider=anthropic, model=claude-sonnet-4",
            "tokens 40000/min for provider=anthropic, model=claude-sonnet-4",
            "requests 3500/min for provider=openai, model=gpt-3.5-turbo",
            "tokens 90000/min for provider=openai, model=gpt-3.5-turbo",
            "requests 500/min for provider=openai, model=gpt-4",
            "tokens 150000/min for provider=openai, model=gpt-4",
            "requests 100/run for agent=my_production_agent per run",
            "cost $10.00/hour for agent=my_production_agent",
        ]
    );
}

#[test]
fn the_block_in_the_readme_loads_and_builds() {
    let readme = include_str!("../../README.md");
    let block = readme
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let key = |_: &str| Some("a-key".to_owned());
    let config = Config::from_text(block.unwrap(), Format::Yaml, key).unwrap();
    let stack = config.build().unwrap();
    assert_eq!(stack.limiter.limits().iter().count(), 8);
}

#[test]
fn budgets_are_limits_on_cost_and_no_headroom_or_margin_is_for_them() {
    let spends = "rate_limiting: {
        max_hourly_spend: 2.5, max_daily_spend: 5, max_weekly_spend: 20, max_monthly_spend: 50, time_zone: Europe/Berlin,
        currency: USD, headroom: 0.9, margin: 1s,
        agents: { scout: { rpm: 10, max_cost_per_run: 0.25, max_cost_per_day: 3 } } }";
    let stack = Config::from_yaml(spends).unwrap().build().unwrap();
    assert_eq!(
        limits(&stack.limiter),
        [
            "requests 9/min (0.9 of 10) for agent=scout",
            "cost $0.25/run for agent=scout per run",
            "cost $3.00/day for agent=scout",
            "cost $2.50/calendar hour in Europe/Berlin",
            "cost $5.00/calendar day in Europe/Berlin",
            "cost $20.00/calendar week in Europe/Berlin",
            "cost $50.00/calendar month in Europe/Berlin",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_threshold_of_all_budgets_is_warned_of_where_one_has_none_of_its_own() {
    let budgets = "rate_limiting: {
        max_daily_spend: 10, alert_threshold: 0.8, agents: { a: { max_cost_per_run: 4 } },
        budgets: [{ amount: 10, every: run, thresholds: [0.7] }, { amount: 10, every: 1h, thresholds: [] }] }";
    let stack = Config::from_yaml(budgets).unwrap().build().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = heard.clone();
    let tell = move |event: &BudgetEvent| listener.lock().unwrap().push(event.to_string());
    stack.limiter.on_event(tell);
    let mut usage = Usage::new(1, 1);
    usage.cost = Some(Money::from_dollars(8));
    let tags = Tags::new().with(Tag::Agent, "a");
    stack.limiter.record(&tags, usage).await.unwrap();
    let mut heard = heard.lock().unwrap().clone();
    heard.sort();
    assert_eq!(
        heard,
        [
            "cost $10.00/calendar day in UTC: 80 % of it is spent; $8.00 of $10.00 spent",
            "cost $10.00/run for run=(none): 70 % of it is spent; $8.00 of $10.00 spent",
            "cost $4.00/run for agent=a, run=(none): 80 % of it is spent; $8.00 of $4.00 spent",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn prices_of_the_file_go_over_the_built_in_ones_and_those_of_the_configuration_over_all() {
    let file = std::env::temp_dir().join(format!("prices-{}.json", std::process::id()));
    let models = r#"{
        "gpt-4o": { "litellm_provider": "openai", "input_cost_per_token": 1e-3, "output_cost_per_token": 1e-3 },
        "ours": { "litellm_provider": "openai", "input_cost_per_token": 1e-3, "output_cost_per_token": 1e-3 },
        "drawn": { "litellm_provider": "openai", "output_cost_per_image": 0.04 }
    }"#;
    std::fs::write(&file, models).unwrap();
    let text = format!(
        "rate_limiting: {{ max_daily_spend: 0.000001, price_file: {}, budget_patience: 0s,
           prices: {{ openai: {{ ours: {{ cost_per_1k: 2 }} }} }} }}",
        file.display()
    );
    let stack = Config::from_yaml(&text).unwrap().build().unwrap();
    std::fs::remove_file(&file).unwrap();
    let read = stack.price_file.unwrap();
    assert_eq!((read.models, read.left_out), (2, vec!["drawn".to_owned()]));
    let inner = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let service = ServiceBuilder::new().layer(stack.layer).service(inner);
    for (model, dollars_a_token) in [("gpt-4o", 0.001), ("ours", 0.002)] {
        let body = format!(r#"{{"model":"{model}","max_tokens":1000}}"#);
        let bytes = body.len() as f64;
        let request = Request::post("/v1/chat/completions")
            .body(Full::from(body))
            .unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        let refused = response.extensions().get::<Rejection>().unwrap();
        let needed = refused.shortage().unwrap().needed as f64 / 1e9;
        let most = (bytes + 1_000.0) * dollars_a_token;
        assert!((needed - most).abs() < 1e-6, "{model}: {needed}, {most}");
    }
}

#[test]
fn json_and_short_names_mean_the_same() {
    let long = Config::from_yaml(
        "rate_limiting: { global: { requests_per_minute: 6, tokens_per_minute: 9 } }",
    );
    let json = Config::from_yaml(r#"{"rate_limiting": {"global": {"rpm": 6, "tpm": 9}}}"#);
    assert_eq!(long.unwrap(), json.unwrap());
}

/// A4: all levels, all or nothing.
#[tokio::test(start_paused = true)]
async fn the_stack_that_was_built_enforces_the_block() {
    let stack = Config::from_yaml(BLOCK).unwrap().build().unwrap();
    let inner = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let service = ServiceBuilder::new().layer(stack.layer).service(inner);
    let body = |max_tokens| {
        format!(r#"{{"model":"claude-sonnet-4","max_tokens":{max_tokens},"messages":[]}}"#)
    };
    let request = |max_tokens: u64| {
        Request::post("http://provider/v1/messages")
            .header("anthropic-version", "2023-06-01")
            .body(Full::from(body(max_tokens)))
            .unwrap()
    };
    let answer = service.clone().oneshot(request(40_001)).await.unwrap();
    let Some(Rejection::NeverFits(shortage)) = answer.extensions().get() else {
        panic!("{answer:?}")
    };
    assert_eq!(
        shortage.limit,
        "tokens 40000/min for provider=anthropic, model=claude-sonnet-4"
    );
    assert!(
        service
            .oneshot(request(40_000))
            .await
            .unwrap()
            .status()
            .is_success()
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_has_its_requests_and_another_run_its_own() {
    let limiter = Config::from_yaml(BLOCK).unwrap().build().unwrap().limiter;
    let call = |run: &str| {
        Call::new().tags(
            Tags::new()
                .with(Tag::Agent, "my_production_agent")
                .with(Tag::Run, run),
        )
    };
    for _ in 0..100 {
        drop(limiter.acquire(call("one")).await.unwrap());
    }
    let used_up = limiter.acquire(call("one")).await.unwrap_err();
    assert!(matches!(used_up, Rejection::RunUsedUp(_)), "{used_up}");
    drop(limiter.acquire(call("two")).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn switched_off_means_that_everything_passes() {
    let text = BLOCK.replace("enabled: true", "enabled: false");
    let stack = Config::from_yaml(&text).unwrap().build().unwrap();
    assert_eq!(limits(&stack.limiter), Vec::<String>::new());
    for _ in 0..1_000 {
        drop(
            stack
                .limiter
                .try_acquire(Call::new().tokens(1_000_000, 0))
                .await
                .unwrap(),
        );
    }
}

#[test]
fn a_limit_in_full_has_every_field() {
    let stack = Config::from_yaml(
        "rate_limiting:
           margin: 100ms
           limits:
             - { quantity: tokens, amount: 1000, every: 6s, when: { model: m, tenant: t }, per: [agent], charge: azure }
             - { quantity: requests, amount: 5, every: 1h, count: calls, margin: 1s }
             - { quantity: concurrency, amount: 3, per: [api_key] }",
    );
    let stack = stack.unwrap().build().unwrap();
    assert_eq!(
        limits(&stack.limiter),
        [
            "tokens 1000/6s for model=m, tenant=t per agent",
            "requests 5/hour",
            "concurrency 3 per api_key"
        ]
    );
}

#[test]
fn durations_and_defaults_are_what_the_docs_say() {
    let config = Config::from_yaml("rate_limiting: {}")
        .unwrap()
        .rate_limiting;
    assert!(config.enabled);
    assert_eq!(config.retry.max_attempts, 3);
    assert_eq!(
        Duration::from(config.retry.longest_wait),
        Duration::from_secs(60)
    );
    assert_eq!(config.queue.max_waiting, 100_000);
    assert_eq!(Duration::from(config.queue.aging), Duration::from_secs(10));
}
