//! C1: what a configuration says of retries, providers and routes is in force.
#![cfg(feature = "config")]

use std::collections::BTreeMap;

use http::StatusCode;
use tower_layer::Layer as _;
use tower_quota::config::{Config, LiteLlmConfig, Stack};

use crate::providers::{Came, MODEL, Providers, request, send};

fn built(text: &str) -> Stack {
    let config = Config::from_yaml(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    config
        .build()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Two providers, with this under `failover:` beside them.
fn failover(routes: &str, more: &str) -> String {
    format!(
        "rate_limiting:
  failover:
    providers:
      one: {{ base_url: http://one/v1, keys: [KEY-one] }}
      two: {{ base_url: http://two/v1, keys: [KEY-two], auth: {{ header: x-api-key }} }}
    routes: {{ {MODEL}: {routes} }}
    {more}"
    )
}

async fn sent(stack: &Stack, providers: &Providers) -> Came {
    let service = stack.layer.layer(providers.clone());
    send(&service, request()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn f1_the_second_target_serves_with_its_own_key_where_the_first_fails() {
    let providers = Providers::new(["one", "two"]);
    providers.fault("one", "status=500");
    let stack = built(&failover(
        &format!("[one/{MODEL}, {{ target: two/{MODEL}, sent_as: mine }}]"),
        "",
    ));
    let came = sent(&stack, &providers).await;
    assert_eq!(came.status, 200, "{}", came.body);
    assert_eq!(*came.asked().last().unwrap(), "two");
    for (host, model) in [("one", MODEL), ("two", "mine")] {
        let ledger = providers.at(host).ledger();
        let entry = &ledger.entries()[0];
        assert_eq!(
            (&*entry.key, &*entry.model),
            (&*format!("KEY-{host}"), model)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn f1_a_reason_that_is_switched_off_is_handed_on_and_the_breaker_opens_as_it_says() {
    let providers = Providers::new(["one", "two"]);
    providers.fault("one", "status=500");
    let route = format!("[one/{MODEL}, two/{MODEL}]");
    let stack = built(&failover(&route, "not_on: [server_error]"));
    assert_eq!(
        sent(&stack, &providers).await.status,
        StatusCode::INTERNAL_SERVER_ERROR
    );
    assert_eq!(providers.attempts("two"), 0);

    let stack = built(&failover(&route, "breaker: { failures: 1, open_for: 1h }"));
    let before = providers.attempts("one");
    for _ in 0..5 {
        assert_eq!(sent(&stack, &providers).await.status, 200);
    }
    let asked = providers.attempts("one") - before;
    assert!((1..=3).contains(&asked), "by the first call alone: {asked}");
}

#[tokio::test(start_paused = true)]
async fn f3_weights_of_targets_and_of_keys_are_kept() {
    let providers = Providers::new(["one", "two"]);
    let stack = built(&format!(
        "rate_limiting:
  failover:
    providers:
      one: {{ base_url: http://one/v1, keys: [{{ label: a, key: KEY-a, weight: 3 }}, KEY-b], pool: weighted }}
      two: {{ base_url: http://two/v1, keys: [KEY-c, KEY-d], pool: round_robin }}
    routes:
      {MODEL}: {{ weighted: [{{ target: one/{MODEL}, weight: 2 }}, two/{MODEL}] }}"
    ));
    for _ in 0..24 {
        assert_eq!(sent(&stack, &providers).await.status, 200);
    }
    let mut keys: BTreeMap<String, usize> = BTreeMap::new();
    for host in ["one", "two"] {
        for entry in providers.at(host).ledger().entries() {
            *keys.entry(entry.key.to_string()).or_default() += 1;
        }
    }
    let expected = [("KEY-a", 12), ("KEY-b", 4), ("KEY-c", 4), ("KEY-d", 4)];
    let expected = expected.map(|(key, count)| (key.to_owned(), count));
    assert_eq!(keys, BTreeMap::from(expected));
}

#[tokio::test(start_paused = true)]
async fn f7_limits_on_a_key_hold_by_its_label_and_the_next_key_serves() {
    let providers = Providers::new(["one"]);
    let stack = built(&format!(
        "rate_limiting:
  limits:
    - {{ quantity: requests, amount: 1, every: 1h, when: {{ api_key: key-1 }} }}
  failover:
    providers: {{ one: {{ base_url: http://one/v1, keys: [KEY-a, KEY-b] }} }}
    routes: {{ {MODEL}: [one/{MODEL}] }}"
    ));
    for _ in 0..3 {
        assert_eq!(sent(&stack, &providers).await.status, 200);
    }
    let ledger = providers.at("one").ledger();
    let keys: Vec<&str> = ledger.entries().iter().map(|entry| &*entry.key).collect();
    assert_eq!(keys, ["KEY-a", "KEY-b", "KEY-b"]);
}

#[tokio::test(start_paused = true)]
async fn r1_retries_are_as_often_and_as_patient_as_the_configuration_says() {
    for (retry, expected) in [
        ("{}", 3),
        ("{ max_attempts: 6 }", 6),
        // Without a share of the calls nor a reserve nothing is repeated.
        (
            "{ max_attempts: 6, retry_budget: { percent: 0, reserve: 0 } }",
            1,
        ),
        (
            "{ max_attempts: 6, retry_budget: { percent: 0, reserve: 2 } }",
            3,
        ),
        ("{ max_attempts: 40, retry_budget: off }", 40),
    ] {
        let providers = Providers::new(["called"]);
        providers.fault("called", "status=500");
        let stack = built(&format!("rate_limiting: {{ retry: {retry} }}"));
        assert_eq!(sent(&stack, &providers).await.status, 500);
        assert_eq!(providers.attempts("called"), expected, "{retry}");
    }
    // Waits are a tenth of a second at most.
    let providers = Providers::new(["called"]);
    providers.fault("called", "status=500");
    let stack =
        built("rate_limiting: { retry: { max_attempts: 9, backoff: { base: 1ms, cap: 100ms } } }");
    let start = tokio::time::Instant::now();
    sent(&stack, &providers).await;
    let latency = std::time::Duration::from_millis(200) * 9;
    assert!(
        start.elapsed() <= latency + std::time::Duration::from_millis(8 * 100),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn r8_what_may_have_been_billed_goes_nowhere_else_where_it_is_not_wanted() {
    for (retry, status) in [("{}", Some(200)), ("{ repeats_uncertain: false }", None)] {
        let providers = Providers::new(["one", "two"]);
        providers.fault("one", "drop");
        let text = failover(&format!("[one/{MODEL}, two/{MODEL}]"), "patience: 1s");
        let stack = built(&format!("{text}\n  retry: {retry}"));
        let service = stack.layer.layer(providers.clone());
        let came = send(&service, request()).await;
        assert_eq!(
            came.ok().map(|came| came.status.as_u16()),
            status,
            "{retry}"
        );
        assert_eq!(providers.attempts("two"), usize::from(status.is_some()));
    }
}

#[tokio::test(start_paused = true)]
async fn c4_a_file_of_litellm_serves_as_it_stands() {
    let providers = Providers::new(["one", "two", "three"]);
    let text = format!(
        "model_list:
  - {{ model_name: {MODEL}, litellm_params: {{ model: openai/m-1, api_base: http://one/v1, api_key: os.environ/ONE, weight: 2 }} }}
  - {{ model_name: {MODEL}, litellm_params: {{ model: openai/m-1, api_base: http://two/v1, api_key: KEY-two }} }}
  - {{ model_name: other, litellm_params: {{ model: groq/m-2, api_base: http://three/v1, api_key: KEY-three }} }}
litellm_settings: {{ fallbacks: [{{ {MODEL}: [other] }}], num_retries: 0 }}"
    );
    let read =
        LiteLlmConfig::from_text(&text, |name| (name == "ONE").then(|| "KEY-one".to_owned()));
    let read = read.unwrap();
    assert!(read.not_understood.is_empty(), "{:?}", read.not_understood);
    let stack = read.config.build().unwrap();
    assert!(stack.doubts.is_empty(), "{:?}", stack.doubts);
    let attempts = || ["one", "two", "three"].map(|host| providers.attempts(host));
    for _ in 0..6 {
        assert_eq!(sent(&stack, &providers).await.status, 200);
    }
    assert_eq!(attempts(), [4, 2, 0]);
    for host in ["one", "two"] {
        providers.fault(host, "status=401");
    }
    let came = sent(&stack, &providers).await;
    assert_eq!((came.status.as_u16(), attempts()[2]), (200, 1));
    for (host, model) in [("one", "m-1"), ("two", "m-1"), ("three", "m-2")] {
        let ledger = providers.at(host).ledger();
        for entry in ledger.entries() {
            assert_eq!(
                (&*entry.key, &*entry.model),
                (&*format!("KEY-{host}"), model)
            );
        }
    }
}

/// Two servers without keys, both of them known as `vllm`, with these routes.
fn servers(routes: &str) -> Stack {
    built(&format!(
        "rate_limiting:
  failover:
    providers:
      east: {{ provider: vllm, base_url: http://one/v1 }}
      west: {{ provider: vllm, base_url: http://two/v1 }}
    routes: {routes}"
    ))
}

#[tokio::test(start_paused = true)]
async fn f1_a_server_without_a_key_that_says_wait_leaves_the_other_one_alone() {
    let providers = Providers::new(["one", "two"]);
    providers.fault("one", "status=429;retry-after=30");
    let stack = servers(&format!("{{ {MODEL}: [east/{MODEL}, west/{MODEL}] }}"));
    let start = tokio::time::Instant::now();
    for _ in 0..3 {
        let came = sent(&stack, &providers).await;
        assert_eq!(came.status, 200, "{}", came.body);
        let last = came.attempts.made.last().unwrap();
        assert_eq!(last.target.to_string(), format!("vllm/{MODEL} (west)"));
    }
    let took = start.elapsed();
    assert!(took < std::time::Duration::from_secs(5), "{took:?}");
    assert_eq!(["one", "two"].map(|host| providers.attempts(host)), [1, 3]);
    for host in ["one", "two"] {
        let ledger = providers.at(host).ledger();
        assert!(ledger.entries().iter().all(|entry| entry.key.is_empty()));
    }
}

#[tokio::test(start_paused = true)]
async fn f6_a_server_without_a_key_whose_quota_is_used_up_is_left_alone() {
    let providers = Providers::new(["one", "two"]);
    providers.fault("one", "insufficient-quota");
    let stack = servers(&format!("{{ {MODEL}: [east/{MODEL}, west/{MODEL}] }}"));
    for _ in 0..3 {
        let came = sent(&stack, &providers).await;
        assert_eq!(came.status, 200, "{}", came.body);
    }
    assert_eq!(["one", "two"].map(|host| providers.attempts(host)), [1, 3]);
}

/// The not: it was sent no key, so it says nothing of one that others are refused for.
#[tokio::test(start_paused = true)]
async fn f6_a_server_without_a_key_that_refuses_a_caller_is_asked_by_the_next() {
    let providers = Providers::new(["one", "two"]);
    providers.fault("one", "status=401");
    let stack = servers(&format!("{{ {MODEL}: [east/{MODEL}, west/{MODEL}] }}"));
    for _ in 0..3 {
        assert_eq!(sent(&stack, &providers).await.status, 200);
    }
    assert_eq!(["one", "two"].map(|host| providers.attempts(host)), [3, 3]);
}

#[tokio::test(start_paused = true)]
async fn f1_a_server_without_a_key_has_its_name_as_a_tag_only_where_it_has_to() {
    let providers = Providers::new(["one", "two"]);
    for (routes, named) in [
        (format!("{{ {MODEL}: [east/{MODEL}] }}"), None),
        (
            format!("{{ {MODEL}: [east/{MODEL}], other: [west/gpt-5.4] }}"),
            None,
        ),
        (
            format!("{{ {MODEL}: [east/{MODEL}], other: [west/{MODEL}] }}"),
            Some("east"),
        ),
    ] {
        let came = sent(&servers(&routes), &providers).await;
        let target = &came.attempts.made[0].target;
        assert_eq!(target.api_key.as_deref(), named, "{routes}");
    }
}

/// What is in a file of LiteLLM, with a deployment of one model at each of these addresses.
fn deployed(at: &[(&str, &str)]) -> Stack {
    let mut text = "model_list:\n".to_owned();
    for (host, more) in at {
        text += &format!(
            "  - {{ model_name: {MODEL}, litellm_params: {{ model: hosted_vllm/m-1, api_base: http://{host}/v1{more} }} }}\n"
        );
    }
    let read = LiteLlmConfig::from_text(&text, |_| None).unwrap();
    assert!(read.not_understood.is_empty(), "{:?}", read.not_understood);
    read.config.build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn c4_a_limit_of_one_deployment_holds_though_none_of_them_has_a_key() {
    let providers = Providers::new(["one", "two"]);
    let stack = deployed(&[("one", ", rpm: 3"), ("two", "")]);
    for _ in 0..8 {
        let came = sent(&stack, &providers).await;
        assert_eq!(came.status, 200, "{}", came.body);
    }
    assert_eq!(["one", "two"].map(|host| providers.attempts(host)), [3, 5]);
    let ledger = providers.at("one").ledger();
    assert!(ledger.entries().iter().all(|entry| entry.key.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn c4_deployments_without_keys_at_one_address_are_one() {
    let limits = |stack: &Stack| -> Vec<String> {
        let limits = stack.limiter.limits();
        limits.iter().map(ToString::to_string).collect()
    };
    let providers = Providers::new(["one", "two"]);
    let stack = deployed(&[
        ("one", ", rpm: 2"),
        ("one", ", rpm: 3"),
        ("two", ", rpm: 5"),
    ]);
    assert_eq!(
        limits(&stack),
        [
            "requests 10/min for provider=hosted_vllm, model=m-1".to_owned(),
            format!("requests 5/min for api_key={MODEL}#0, model=m-1, provider=hosted_vllm"),
            format!("requests 5/min for api_key={MODEL}#2, model=m-1, provider=hosted_vllm"),
        ]
    );
    let mut named = Vec::new();
    for _ in 0..2 {
        let came = sent(&stack, &providers).await;
        named.extend(came.attempts.made[0].target.api_key.clone());
    }
    named.sort();
    let expected = [format!("{MODEL}#0"), format!("{MODEL}#2")];
    let named: Vec<&str> = named.iter().map(|name| &**name).collect();
    assert_eq!(named, expected);

    // One that is alone is told from nobody.
    let stack = deployed(&[("one", ", rpm: 2")]);
    let came = sent(&stack, &providers).await;
    assert_eq!(came.attempts.made[0].target.api_key, None);
}
