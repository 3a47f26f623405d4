//! Configuration: the block that users write loads and enforces; what makes no sense is refused by its path.
#![cfg(feature = "config")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::Instant;
use tower::{ServiceBuilder, ServiceExt as _, service_fn};
use tower_quota::{
    AdmissionLayer, Limiter, Money, Rejection, Tag, Tags, Usage,
    config::{Config, Format},
    limiter::Call,
    pricing::Rate,
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

/// Caches for which no price is set do not cost what other input costs: writes to them are dearer.
#[test]
fn prices_of_caches_that_are_not_set_keep_their_proportion_to_the_input() {
    let stack = Config::from_yaml(
        "rate_limiting:
           model_aliases: { our-profile: bedrock/anthropic.claude-sonnet-5-5 }
           prices:
             anthropic:
               claude-sonnet-4-6: { input: 6, output: 30 }
               claude-opus-5-5-20261120: { input: 8, output: 40 }
               claude-sonnet-4: { input: 3, output: 15 }
               claude-not-known: { input: 3, output: 15 }
               claude-free-writes: { input: 3, output: 15, cache_write: 0 }
               claude-sonnet-5: { input: 4, output: 20, cache_read: 1, cache_write: 9 }
               claude-haiku-4-5: { cost_per_1k: 0.002 }
             bedrock: { our-profile: { input: 4, output: 20 } }
             openai:
               gpt-4o: { input: 5, output: 20 }
               our-fine-tune: { input: 3, output: 12 }",
    );
    let stack = stack.unwrap().build().unwrap();
    assert_eq!(stack.doubts, Vec::<String>::new());
    let prices = stack.prices();
    // Read, written, and written for long; nothing is the price of other input.
    for (provider, model, [read, write, long]) in [
        ("anthropic", "claude-sonnet-4-6", ["0.6", "7.5", "12"]),
        ("anthropic", "claude-opus-5-5-20261120", ["0.4", "10", "16"]),
        ("anthropic", "claude-sonnet-4", ["0.3", "3.75", "6"]),
        ("anthropic", "claude-not-known", ["0.3", "3.75", "6"]),
        ("anthropic", "claude-free-writes", ["0.3", "0", "0"]),
        ("anthropic", "claude-sonnet-5", ["1", "9", "14.4"]),
        ("anthropic", "claude-haiku-4-5", ["", "", ""]),
        ("bedrock", "our-profile", ["0.2", "5", "8"]),
        ("openai", "gpt-4o", ["2.5", "", ""]),
        ("openai", "our-fine-tune", ["", "", ""]),
    ] {
        let found = prices.find(Some(provider), model).unwrap();
        assert_eq!(found.model, model);
        let rates = found.price.standard;
        let caches = [rates.cache_read, rates.cache_write, rates.cache_write_long];
        let expected = [read, write, long].map(|rate| rate.parse::<Rate>().ok());
        assert_eq!(caches, expected, "{model}");
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

/// A8: by the file, for callers that name no deadline.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_longer_than_the_queue_lets_them() {
    let text = "rate_limiting: {
        margin: 0s, queue: { max_wait: 2m }, agents: {
            slow: { rpd: 1 }, quick: { rpm: 1 }, busy: { concurrent_requests: 1 } } }";
    let stack = Config::from_yaml(text).unwrap().build().unwrap();
    let of = |agent: &'static str| Tags::new().with(Tag::Agent, agent);
    let call = |agent| Call::new().tags(of(agent));
    let limiter = &stack.limiter;
    for agent in ["slow", "quick"] {
        drop(limiter.acquire(call(agent)).await.unwrap());
    }
    let began = Instant::now();
    let late = |refused: &Rejection| matches!(refused, Rejection::DeadlineExceeded(_));
    let refused = limiter.acquire(call("slow")).await.unwrap_err();
    assert!(late(&refused), "{refused}");
    let room = refused.retry_after().unwrap();
    assert!(room > Duration::from_secs(86_000), "{room:?}");
    let foretold = limiter.peek(&call("slow")).await.unwrap_err();
    assert!(late(&foretold), "{foretold}");
    // What the caller says is less.
    let hurried = call("quick").max_wait(Duration::from_secs(30));
    let refused = limiter.acquire(hurried).await.unwrap_err();
    assert!(late(&refused), "{refused}");

    let inner = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let request = |agent| {
        let body = Full::from(r#"{"model":"m","max_tokens":1,"messages":[]}"#);
        let request = Request::post("http://provider/v1/chat/completions").extension(of(agent));
        request.body(body).unwrap()
    };
    let paved = ServiceBuilder::new().layer(stack.layer.clone());
    let alone = ServiceBuilder::new().layer(AdmissionLayer::new(limiter.clone()));
    let paved = paved.service(inner).oneshot(request("slow")).await.unwrap();
    let alone = alone.service(inner).oneshot(request("slow")).await.unwrap();
    for extensions in [paved.extensions(), alone.extensions()] {
        let refused = extensions.get::<Rejection>().unwrap();
        assert!(late(refused), "{refused}");
    }
    assert_eq!(began.elapsed(), Duration::ZERO, "all of them at once");

    // In time there is room.
    drop(limiter.acquire(call("quick")).await.unwrap());
    let waited = began.elapsed().as_secs();
    assert!((59..62).contains(&waited), "{waited}");
    // Nobody knows when this one ends.
    let held = limiter.acquire(call("busy")).await.unwrap();
    let began = Instant::now();
    let refused = limiter.acquire(call("busy")).await.unwrap_err();
    assert!(late(&refused), "{refused}");
    let waited = began.elapsed().as_secs();
    assert!((119..122).contains(&waited), "{waited}");
    drop(held);

    // Nor does a reload end it.
    let other = Config::from_yaml(&text.replace("rpm: 1", "rpm: 2")).unwrap();
    assert_eq!(stack.reload(&other).await.unwrap().changed.len(), 1);
    let began = Instant::now();
    let refused = limiter.acquire(call("slow")).await.unwrap_err();
    assert!(late(&refused), "{refused}");
    assert_eq!(began.elapsed(), Duration::ZERO);
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
    assert_eq!(config.queue.max_wait, None);
    assert_eq!(Duration::from(config.queue.aging), Duration::from_secs(10));
}
