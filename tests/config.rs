//! Configuration: the block that users write loads and enforces; what makes no sense is refused by its path.
#![cfg(feature = "config")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{ServiceBuilder, ServiceExt as _, service_fn};
use tower_quota::{
    Limiter, Rejection, Tag, Tags,
    config::{Config, ConfigError},
    limiter::Call,
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
        ]
    );
}

#[test]
fn the_block_in_the_readme_loads_and_builds() {
    let readme = include_str!("../README.md");
    let block = readme
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let stack = Config::from_yaml(block.unwrap()).unwrap().build().unwrap();
    assert_eq!(stack.limiter.limits().iter().count(), 6);
    assert!(stack.unenforced.is_empty());
}

#[test]
fn what_is_not_enforced_is_said_and_the_rest_is_not_said() {
    let stack = Config::from_yaml(BLOCK).unwrap().build().unwrap();
    let cost = "rate_limiting.agents.my_production_agent.max_cost_per_hour: budgets are not enforced by this version";
    assert_eq!(stack.unenforced, [cost]);
    let spends = "rate_limiting: { max_daily_spend: 5, max_monthly_spend: 50, currency: USD, alert_threshold: 0.8 }";
    let stack = Config::from_yaml(spends).unwrap().build().unwrap();
    assert_eq!(stack.unenforced.len(), 3);
}

#[test]
fn json_and_short_names_mean_the_same() {
    let long = Config::from_yaml(
        "rate_limiting: { global: { requests_per_minute: 6, tokens_per_minute: 9 } }",
    );
    let json = Config::from_yaml(r#"{"rate_limiting": {"global": {"rpm": 6, "tpm": 9}}}"#);
    assert_eq!(long.unwrap(), json.unwrap());
}

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

/// Each with what its message must name.
#[test]
fn every_wrong_value_is_refused_by_its_path() {
    let limit = |fields: &str| format!("limits: [ {{ {fields} }} ]");
    let cases = [
        (
            "global: { requests_per_minute: 0 }".into(),
            "rate_limiting.global.requests_per_minute",
        ),
        (
            "global: { rpm: 0 }".into(),
            "rate_limiting.global.requests_per_minute",
        ),
        (
            "global: { concurrent_requests: 0 }".into(),
            "rate_limiting.global.concurrent_requests",
        ),
        (
            "agents: { a: { max_requests_per_run: 0 } }".into(),
            "rate_limiting.agents.a.max_requests_per_run",
        ),
        (
            "providers: { p: { m: { tpm: 0 } } }".into(),
            "rate_limiting.providers.p.m.tokens_per_minute",
        ),
        (
            "retry: { max_attempts: 0 }".into(),
            "rate_limiting.retry.max_attempts",
        ),
        (
            "queue: { weights: { a: 0 } }".into(),
            "rate_limiting.queue.weights.a",
        ),
        (
            "queue: { max_waiting: 0 }".into(),
            "rate_limiting.queue.max_waiting",
        ),
        (
            limit("quantity: requests, amount: 1"),
            "rate_limiting.limits[0]",
        ),
        (
            limit("quantity: requests, amount: 1, every: 1m, headroom: 1.5"),
            "`headroom`",
        ),
        (
            "global: { rpm: 5, headroom: 0 }".into(),
            "rate_limiting.global.requests_per_minute",
        ),
        (
            limit("quantity: requests, amount: 1, every: 1m, slice: 1m"),
            "`slice`",
        ),
        (
            limit("quantity: concurrency, amount: 1, slice: 1s"),
            "`slice`",
        ),
        (
            limit("quantity: requests, amount: 9, every: 1m, shares: { team: { a: 0.5, b: 0.6 } }"),
            "rate_limiting.limits[0]: limit 0 (requests 9/min (guaranteed shares for 2)): `shares` for `team=b`",
        ),
        (
            limit(
                "quantity: requests, amount: 9, every: 1m, shares: { team: { a: 0.1 }, user: { u: 0.1 } }",
            ),
            "`shares` for `user=u`: the shares of one limit go by one tag",
        ),
        (
            limit(
                "quantity: requests, amount: 9, every: 1m, per: [team], shares: { team: { a: 0 } }",
            ),
            "`shares`",
        ),
        ("max_counts: 0".into(), "rate_limiting.max_counts"),
        (
            limit("quantity: requests, amount: 1, every: 1m, amounts: { a: 5 }"),
            "`amounts`",
        ),
        (
            limit("quantity: requests, amount: 1, every: 1m, per: [agent], amounts: { a: 0 }"),
            "`amounts`",
        ),
        (
            limit("quantity: tokens, amount: 1, every: 1m, count_refused: true"),
            "`count_refused`",
        ),
        ("headroom: -0.5".into(), "rate_limiting.headroom"),
        (
            limit("quantity: concurrency, amount: 1, every: 1s"),
            "`period`",
        ),
        (
            limit("quantity: requests, amount: 1, every: 20000w"),
            "`period`",
        ),
        (
            limit("quantity: requests, amount: 1, every: 1m, margin: 2m"),
            "`margin`",
        ),
        (
            limit("quantity: requests, amount: 1, every: 1m, per: [run, run]"),
            "`per`",
        ),
        (
            "global: { rpm: 5 }, limits: [ { quantity: requests, amount: 6, every: 1m } ]".into(),
            "same thing",
        ),
    ];
    for (block, names) in cases {
        let config = Config::from_yaml(&format!("rate_limiting: {{ {block} }}")).expect(&block);
        let error = config.build().expect_err(&block).to_string();
        assert!(error.contains(names), "{block}: {error}");
    }
}

#[test]
fn what_does_not_belong_there_is_refused_with_its_line() {
    let cases = [
        ("rate_limiting:\n  globl: {}", "globl"),
        (
            "rate_limiting:\n  global: { requests_per_min: 5 }",
            "requests_per_min",
        ),
        ("rate_limiting:\n  global: { rpm: -5 }", "-5"),
        ("rate_limiting:\n  global: { rpm: many }", "many"),
        (
            "rate_limiting:\n  limits: [ { quantity: apples, amount: 1 } ]",
            "apples",
        ),
        ("rate_limiting:\n  margin: soon", "soon"),
        (
            "rate_limiting:\n  limits: [ { quantity: requests, amount: 1, charge: mine } ]",
            "mine",
        ),
        ("rate_limits: {}", "rate_limits"),
        ("rate_limiting:\n  global: { rpm: 1, rpm: 2 }", "rpm"),
    ];
    for (text, names) in cases {
        let Err(ConfigError::Syntax(error)) = Config::from_yaml(text) else {
            panic!("{text} was taken")
        };
        assert!(error.contains(names), "{text}: {error}");
        assert!(error.contains("line"), "{text}: {error}");
    }
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
