//! C2: the block that users write loads as it stands, serves, and enforces every limit in it. C5: by whatever name.
#![cfg(feature = "config")]

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, Service, ServiceExt as _, service_fn};
use tower_quota::{
    CallOptions, Money, Rejection, Tag, Tags,
    config::{Config, Stack},
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

/// Provider, model, requests and tokens a minute, dollars for a million tokens of input and of output.
const MODELS: [(&str, &str, u64, u64, u64, u64); 3] = [
    ("openai", "gpt-4", 500, 150_000, 30_000, 60_000),
    ("openai", "gpt-3.5-turbo", 3_500, 90_000, 500, 1_500),
    ("anthropic", "claude-sonnet-4", 50, 40_000, 3_000, 15_000),
];

/// What each call is billed.
const INPUT: u64 = 1_000;
const OUTPUT: u64 = 2_000;

fn stack(text: &str) -> Stack {
    Config::from_yaml(text).unwrap().build().unwrap()
}

/// The block without what holds for all models, under which theirs would never fire.
fn without_global() -> String {
    let lines = BLOCK.lines().filter(|line| !line.contains("global:"));
    lines.collect::<Vec<_>>().join("\n")
}

/// A provider of both APIs, who bills every answer alike.
fn serve(
    stack: &Stack,
) -> impl Service<Request<Full<Bytes>>, Response = Response<impl http_body::Body>, Error = Infallible>
+ Clone {
    let inner = service_fn(|request: Request<Full<Bytes>>| async move {
        let usage = if request.uri().path().ends_with("messages") {
            format!(r#"{{"input_tokens":{INPUT},"output_tokens":{OUTPUT}}}"#)
        } else {
            format!(r#"{{"prompt_tokens":{INPUT},"completion_tokens":{OUTPUT}}}"#)
        };
        let answer = format!(r#"{{"usage":{usage}}}"#);
        let response = Response::builder().header("content-type", "application/json");
        Ok::<_, Infallible>(response.body(Full::<Bytes>::from(answer)).unwrap())
    });
    stack.layer.layer(inner)
}

fn request(
    provider: &str,
    model: &str,
    max_tokens: u64,
    agent: &str,
    run: &str,
) -> Request<Full<Bytes>> {
    let path = match provider {
        "openai" => "/v1/chat/completions",
        _ => "/v1/messages",
    };
    let body = format!(r#"{{"model":"{model}","max_tokens":{max_tokens},"messages":[]}}"#);
    let tags = Tags::new().with(Tag::Agent, agent).with(Tag::Run, run);
    Request::post(path)
        .header("anthropic-version", "2023-06-01")
        .extension(tags)
        .extension(CallOptions::new().max_wait(Duration::ZERO))
        .body(Full::from(body))
        .unwrap()
}

/// Sends, and reads the answer to its end: what was refused and by which limit.
macro_rules! send {
    ($service:expr, $request:expr) => {{
        let answer = $service.clone().oneshot($request).await.unwrap();
        let refused = answer.extensions().get::<Rejection>().cloned();
        drop(answer.into_body().collect().await);
        refused
    }};
}

fn limit_of(refused: Option<Rejection>) -> String {
    let refused = refused.expect("refused");
    let shortage = refused.shortage().unwrap_or_else(|| panic!("{refused}"));
    shortage.limit.clone()
}

/// A2: tokens per window: total, input, output.
#[tokio::test(start_paused = true)]
async fn c2_every_model_of_the_block_is_served_and_costs_what_it_costs_its_agent() {
    for (provider, model, _, _, input, output) in MODELS {
        let stack = stack(BLOCK);
        let service = serve(&stack);
        let refused = send!(
            service,
            request(provider, model, 2_000, "my_production_agent", "r")
        );
        assert_eq!(refused, None, "{model}");
        let budgets = stack.limiter.budgets().await.unwrap();
        assert_eq!(
            budgets[0].budget,
            "cost $10.00/hour for agent=my_production_agent"
        );
        let cost = Money::from_nanos(INPUT * input + OUTPUT * output);
        assert_eq!(
            (budgets[0].settled, budgets[0].reserved),
            (cost, Money::ZERO),
            "{model}"
        );
        let found = stack.resolve(Some(provider), model);
        assert_eq!(found.limits.len(), 7, "{found}");
        assert_eq!(found.price.unwrap().steps, Vec::<&str>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn c2_every_model_of_the_block_is_held_to_its_tokens() {
    for (provider, model, _, tpm, ..) in MODELS {
        let stack = stack(&without_global());
        let service = serve(&stack);
        // Of somebody who has no budget.
        let call = |max_tokens| request(provider, model, max_tokens, "another", "r");
        let tokens = format!("tokens {tpm}/min for provider={provider}, model={model}");
        let refused = send!(service, call(tpm + 1));
        assert!(
            matches!(refused, Some(Rejection::NeverFits(_))),
            "{refused:?}"
        );
        assert_eq!(limit_of(refused), tokens);
        // OpenAI charges what is declared, Anthropic what was used.
        let each = match provider {
            "openai" => OUTPUT,
            _ => INPUT + OUTPUT,
        };
        for sent in 0..tpm / each {
            assert_eq!(send!(service, call(OUTPUT)), None, "{model}: {sent}");
        }
        assert_eq!(limit_of(send!(service, call(OUTPUT))), tokens, "{model}");
        tokio::time::advance(Duration::from_millis(60_501)).await;
        assert_eq!(
            send!(service, call(OUTPUT)),
            None,
            "{model}: a minute later"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn c2_requests_are_held_to_their_number_where_no_tokens_lack() {
    for (provider, model, rpm, ..) in MODELS {
        let text = without_global();
        let text: Vec<String> = text
            .lines()
            .map(|line| line.split(", tokens_per_minute").next().unwrap().to_owned())
            .zip(text.lines())
            .map(|(cut, line)| {
                if cut.len() < line.len() {
                    cut + " }"
                } else {
                    cut
                }
            })
            .collect();
        let stack = stack(&text.join("\n"));
        let service = serve(&stack);
        let small = || request(provider, model, 1, "another", "r");
        for sent in 0..rpm {
            assert_eq!(send!(service, small()), None, "{model}: {sent}");
        }
        let named = format!("requests {rpm}/min for provider={provider}, model={model}");
        assert_eq!(limit_of(send!(service, small())), named);
    }
}

#[tokio::test(start_paused = true)]
async fn c2_all_of_it_is_held_to_the_limits_over_all_calls() {
    let stack = stack(BLOCK);
    let service = serve(&stack);
    let small = |model| request("openai", model, 1, "another", "r");
    for sent in 0..30 {
        assert_eq!(send!(service, small("gpt-4")), None, "{sent}");
    }
    assert_eq!(limit_of(send!(service, small("gpt-4"))), "tokens 90000/min");
    let mut held = Vec::new();
    for _ in 0..10 {
        tokio::time::advance(Duration::from_secs(61)).await;
        held.push(
            service
                .clone()
                .oneshot(small("gpt-3.5-turbo"))
                .await
                .unwrap(),
        );
    }
    assert_eq!(limit_of(send!(service, small("gpt-4"))), "concurrency 10");
}

#[tokio::test(start_paused = true)]
async fn c2_the_agent_is_held_to_its_budget_and_its_run_to_its_requests() {
    let stack = stack(BLOCK);
    let service = serve(&stack);
    let call = |agent, run| request("openai", "gpt-4", 20_000, agent, run);
    // 15 cents each, and with 20 000 tokens of output at most $1.20 and a little for the input.
    let mut sent = 0;
    let refused = loop {
        match send!(service, call("my_production_agent", "one")) {
            None => sent += 1,
            Some(refused) => break refused,
        }
        tokio::time::advance(Duration::from_secs(10)).await;
    };
    assert!(matches!(refused, Rejection::BudgetExceeded(_)), "{refused}");
    assert_eq!(
        limit_of(Some(refused)),
        "cost $10.00/hour for agent=my_production_agent"
    );
    // With 58 of them $8.70 is spent, and another one fits; with 59 $8.85, and it does not.
    assert_eq!(sent, 59);
    assert_eq!(send!(service, call("another", "one")), None);
    // An hour later there is money again, and the run ends with its hundredth request.
    tokio::time::advance(Duration::from_secs(3_700)).await;
    let cheap = || request("openai", "gpt-3.5-turbo", 1, "my_production_agent", "one");
    for _ in sent..100 {
        assert_eq!(send!(service, cheap()), None);
        tokio::time::advance(Duration::from_secs(3)).await;
    }
    let refused = send!(service, cheap()).unwrap();
    assert!(matches!(refused, Rejection::RunUsedUp(_)), "{refused}");
}

#[test]
fn c2_budgets_over_all_calls_have_their_names_and_one_threshold() {
    let stack = stack(
        "rate_limiting: { max_hourly_spend: 1, max_daily_spend: 5, max_weekly_spend: 20, max_monthly_spend: 50,
           currency: USD, alert_threshold: 0.8 }",
    );
    let limits: Vec<String> = stack
        .limiter
        .limits()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        limits,
        [
            "cost $1.00/calendar hour in UTC",
            "cost $5.00/calendar day in UTC",
            "cost $20.00/calendar week in UTC",
            "cost $50.00/calendar month in UTC",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn c5_every_name_of_a_model_is_under_its_limit_and_has_its_price() {
    let text = "
rate_limiting:
  max_daily_spend: 1000
  model_aliases: { our-chat: gpt-4 }
  limits: [{ quantity: requests, amount: 1, every: 1m, when: { model: gpt-4 } }]";
    for name in [
        "gpt-4",
        "gpt-4-0613",
        "openai/gpt-4",
        "openai/gpt-4-0613",
        "gpt-4-latest",
        "our-chat",
    ] {
        let stack = stack(text);
        let service = serve(&stack);
        assert_eq!(
            send!(service, request("openai", "gpt-4", 1, "a", "r")),
            None
        );
        let refused = send!(service, request("openai", name, 1, "a", "r"));
        assert!(
            limit_of(refused).starts_with("requests 1/min for model=gpt-4"),
            "{name}"
        );
        let found = stack.resolve(Some("openai"), name);
        assert_eq!(found.limits.len(), 2, "{found}");
        assert_eq!(found.limits[0].steps.is_empty(), name == "gpt-4", "{found}");
        let price = found.price.unwrap_or_else(|| panic!("{name}"));
        assert_eq!(
            price.price.standard.input.to_string(),
            "$30.00 per million tokens",
            "{name}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn c5_two_models_are_never_taken_for_one() {
    let text = "rate_limiting: { limits: [{ quantity: requests, amount: 1, every: 1m, when: { model: gpt-4 } }] }";
    let stack = stack(text);
    let service = serve(&stack);
    assert_eq!(
        send!(service, request("openai", "gpt-4-0613", 1, "a", "r")),
        None
    );
    for other in [
        "gpt-4o",
        "gpt-4.1",
        "gpt-4-turbo",
        "gpt-4-32k-0613",
        "gpt-4-1106-preview",
        "gpt-4-2413",
        "gpt-4:free",
        "gpt-4-001",
    ] {
        assert_eq!(
            send!(service, request("openai", other, 1, "a", "r")),
            None,
            "{other}"
        );
        assert!(
            stack.resolve(Some("openai"), other).limits.is_empty(),
            "{other}"
        );
    }
}

/// A snapshot that has a price of its own, and the limit of its model.
const SNAPSHOT: (&str, &str) = ("gpt-4o-2024-05-13", "gpt-4o");

#[test]
fn c5_no_name_in_the_price_table_leads_to_the_limit_of_another_model() {
    let stack = stack("rate_limiting: {}");
    let prices = stack.prices();
    let names: Vec<&str> = prices.iter().map(|(_, model, _)| model).collect();
    let yaml = |name: &str| {
        format!(
            "rate_limiting: {{ limits: [{{ quantity: requests, amount: 1, every: 1m, when: {{ model: '{name}' }} }}] }}"
        )
    };
    let mut same = Vec::new();
    for name in &names {
        let limited = Config::from_yaml(&yaml(name)).unwrap().build().unwrap();
        let others = names.iter().filter(|other| *other != name);
        let led = others.filter(|other| !limited.resolve(None, other).limits.is_empty());
        same.extend(led.map(|other| (*other, *name)));
    }
    for known in [
        ("anthropic.claude-sonnet-5-5", "claude-sonnet-5-5"),
        ("us.anthropic.claude-opus-5-5", "claude-opus-5-5"),
        ("eu.amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0"),
        SNAPSHOT,
    ] {
        assert!(same.contains(&known), "{known:?}");
    }
    // The same models, as Bedrock names them: with a region or their maker in front.
    same.retain(|(other, name)| {
        let before = other.strip_suffix(name);
        let is_of_bedrock = before.is_some_and(|before| before.ends_with('.'));
        !is_of_bedrock && (*other, *name) != SNAPSHOT
    });
    assert!(same.is_empty(), "{same:?}");
}

#[tokio::test(start_paused = true)]
async fn c5_a_limit_on_a_snapshot_adds_to_that_on_its_model() {
    let text = "
rate_limiting:
  limits:
    - { quantity: requests, amount: 3, every: 1m, when: { model: gpt-4o } }
    - { quantity: requests, amount: 1, every: 1m, when: { model: gpt-4o-2024-08-06 } }";
    let stack = stack(text);
    let service = serve(&stack);
    let call = |model| request("openai", model, 1, "a", "r");
    assert_eq!(send!(service, call("gpt-4o-2024-08-06")), None);
    let refused = limit_of(send!(service, call("gpt-4o-2024-08-06")));
    assert_eq!(refused, "requests 1/min for model=gpt-4o-2024-08-06");
    assert_eq!(send!(service, call("gpt-4o-2024-11-20")), None);
    assert_eq!(send!(service, call("gpt-4o")), None);
    assert_eq!(
        limit_of(send!(service, call("gpt-4o"))),
        "requests 3/min for model=gpt-4o"
    );
}

#[tokio::test(start_paused = true)]
async fn c5_a_provider_has_one_name_whatever_a_file_calls_it() {
    let text = "
rate_limiting:
  providers: { google: { gemini-2.5-pro: { rpm: 1 } } }
  limits: [{ quantity: requests, amount: 2, every: 1m, when: { provider: vertex_ai } }]
  budgets: [{ amount: 5, every: day, when: { provider: [azure_openai] } }]";
    let stack = stack(text);
    let limits: Vec<String> = stack
        .limiter
        .limits()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        limits,
        [
            "requests 1/min for provider=gemini|google, model=gemini-2.5-pro",
            "requests 2/min for provider=gemini|vertex_ai",
            "cost $5.00/calendar day in UTC for provider=azure|azure_openai",
        ]
    );
    let service = serve(&stack);
    let call = || {
        Request::post("/v1beta/models/gemini-2.5-pro:generateContent")
            .extension(CallOptions::new().max_wait(Duration::ZERO))
            .body(Full::from(r#"{"contents":[]}"#))
            .unwrap()
    };
    assert_eq!(send!(service, call()), None);
    assert!(limit_of(send!(service, call())).starts_with("requests 1/min"));
    for provider in ["gemini", "google", "vertex_ai"] {
        let found = stack.resolve(Some(provider), "gemini-2.5-pro");
        assert_eq!(found.limits.len(), 2, "{provider}: {found}");
    }
    assert_eq!(
        stack.resolve(Some("azure_openai"), "gpt-4o").limits.len(),
        1
    );
}

#[test]
fn c5_bedrock_and_azure_names_lead_to_one_limit_and_one_price() {
    let text = "
rate_limiting:
  providers:
    bedrock: { claude-opus-5-5: { rpm: 7 } }
    azure: { gpt-4o: { rpm: 9 } }
  model_aliases:
    our-deployment: azure/gpt-4o
    'arn:aws:bedrock:us-east-1:1:application-inference-profile/x1': bedrock/anthropic.claude-opus-5-5";
    let stack = stack(text);
    for (provider, name, rpm) in [
        ("bedrock", "anthropic.claude-opus-5-5", 7),
        ("bedrock", "us.anthropic.claude-opus-5-5-20260101-v1:0", 7),
        (
            "bedrock",
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-5-5-20260101-v1:0",
            7,
        ),
        (
            "bedrock",
            "arn:aws:bedrock:us-east-1:1:application-inference-profile/x1",
            7,
        ),
        ("azure", "gpt-4o", 9),
        ("azure", "our-deployment", 9),
    ] {
        let found = stack.resolve(Some(provider), name);
        assert_eq!(found.limits.len(), 1, "{found}");
        assert!(
            found.limits[0]
                .limit
                .starts_with(&format!("requests {rpm}/min")),
            "{found}"
        );
        assert!(found.price.is_some(), "{found}");
    }
    assert!(stack.doubts.is_empty(), "{:?}", stack.doubts);
    let nothing = stack.resolve(Some("openai"), "gpt-99");
    assert_eq!(
        nothing.to_string(),
        "gpt-99\n  no limit\n  no price: where there is a budget, such calls are refused, unless `unknown_price` is `allow`"
    );
}
