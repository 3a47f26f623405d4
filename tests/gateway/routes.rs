//! F1, F2, G1: calls for routed models go to their targets, with the targets' own keys.

use serde_json::json;
use tower_quota::sim::{FaultRule, SimConfig, SimServer, Simulator};

use crate::{
    calls::{chat, client, json_of},
    ports::taken,
    process::{ConfigFile, Gateway},
    upstream::echo,
};

/// A file with these base URLs of its two providers, without an upstream.
fn file(one: &str, two: &str) -> String {
    format!(
        "rate_limiting:
  retry: {{ max_attempts: 1 }}
  failover:
    breaker: {{ failures: 1, open_for: 1h }}
    providers:
      one: {{ base_url: '{one}/v1', keys: [sk-of-one] }}
      two: {{ base_url: '{two}/v1', keys: [{{ label: west, key: sk-of-two }}], auth: {{ header: api-key }}, provider: azure }}
    routes:
      gpt-5.5: [one/gpt-5.5, {{ target: two/gpt-5.5, sent_as: mine }}]
      gpt-5.4: [two/gpt-5.4]
gateway: {{ listen: '127.0.0.1:0' }}
"
    )
}

async fn failing() -> SimServer {
    failing_by("status=500").await
}

async fn failing_by(fault: &str) -> SimServer {
    let config = SimConfig {
        faults: vec![FaultRule {
            fault: fault.parse().unwrap(),
            probability: 1.0,
            nth: None,
        }],
        ..SimConfig::default()
    };
    Simulator::start(config).await.unwrap()
}

#[tokio::test]
async fn f2_where_the_first_fails_the_second_serves_and_nobody_sees_a_key_of_another() {
    let (first, second) = (failing().await, format!("http://{}", echo().await));
    let mut gateway = Gateway::start_text("", &file(&first.base_url(), &second)).await;
    let call = chat(&gateway, json!({"model": "gpt-5.5", "max_tokens": 50}))
        .header("api-key", "sk-caller-2")
        .header("x-api-key", "sk-caller-3")
        .header("x-goog-api-key", "sk-caller-4")
        .header("cookie", "session=sk-caller-5")
        .header("openai-organization", "sk-caller-6")
        .header("x-quota-agent", "scout")
        .header("x-kept", "yes");
    let (status, seen) = json_of(call.send().await.unwrap()).await;
    assert_eq!(status, 200, "{seen}");

    let ledger = first.ledger();
    assert_eq!(&*ledger.entries()[0].key, "sk-of-one");
    assert_eq!(ledger.attempts(), 1);
    let headers = &seen["headers"];
    assert_eq!(seen["path"], "/v1/chat/completions");
    assert_eq!(headers["api-key"], "sk-of-two");
    assert_eq!(headers["x-kept"], "yes");
    for secret in ["sk-caller", "sk-of-one", "scout"] {
        assert!(!headers.to_string().contains(secret), "{headers}");
    }
    let said = gateway.complaint().await;
    assert_eq!(
        said,
        "tower-quota: failover: one/gpt-5.5 (key-1) fails; passed over for 3600 s"
    );
}

#[tokio::test]
async fn where_no_target_serves_the_header_says_the_wait_that_the_words_say() {
    let (first, second) = (
        failing_by("status=429;retry-after=300").await,
        failing_by("insufficient-quota").await,
    );
    let text = file(&first.base_url(), &second.base_url())
        .replace("    breaker: ", "    park_for: 90s\n    breaker: ");
    let gateway = Gateway::start_text("", &text).await;
    let call = || chat(&gateway, json!({"model": "gpt-5.5", "max_tokens": 50}));
    assert_eq!(call().send().await.unwrap().status(), 429);

    let answer = call().send().await.unwrap();
    let after = answer.headers()["retry-after"].to_str().unwrap();
    let after: u64 = after.parse().unwrap();
    let (status, body) = json_of(answer).await;
    assert_eq!((status, &body["error"]["code"]), (503, &json!("no_target")));
    let message = body["error"]["message"].as_str().unwrap();
    let parked = "gpt-5.5 (west) is out of money or quota, or its key is refused";
    assert!(message.contains(parked), "{message}");
    let (_, wait) = message.rsplit_once("; worth another try in ").unwrap();
    let wait: f64 = wait.trim_end_matches(" s").parse().unwrap();
    assert!(wait <= 90.0 && wait > 30.0, "{message}");
    let early = after as f64 - wait;
    assert!((0.0..=1.0).contains(&early), "{after}: {message}");
}

#[tokio::test]
async fn an_upstream_with_a_key_sees_nothing_of_the_callers_and_one_without_does() {
    let at = echo().await;
    let text = format!(
        "rate_limiting: {{}}
gateway:
  listen: '127.0.0.1:0'
  upstreams:
    own: {{ url: 'http://{at}', key: sk-of-own }}
    open: {{ url: 'http://{at}' }}
"
    );
    let gateway = Gateway::start_text("", &text).await;
    for (name, hidden) in [("own", true), ("open", false)] {
        let path = format!("/{name}/x?api_key=sk-caller-1&access_token=sk-caller-2&kept=yes");
        let call = client()
            .post(gateway.url(&path))
            .header("authorization", "Bearer sk-caller-3")
            .header("x-amz-security-token", "sk-caller-4")
            .header("x-a-key", "sk-caller-5")
            .header("openai-project", "sk-caller-6")
            .header("idempotency-key", "kept")
            .body("{}");
        let (status, seen) = json_of(call.send().await.unwrap()).await;
        assert_eq!(status, 200, "{seen}");
        assert_eq!(seen["headers"]["idempotency-key"], "kept");
        let path = seen["path"].as_str().unwrap();
        assert!(path.ends_with("kept=yes"), "{path}");
        assert_eq!(!seen.to_string().contains("sk-caller"), hidden, "{seen}");
        let shown = seen["headers"]["authorization"].as_str().unwrap();
        assert_eq!(shown == "Bearer sk-of-own", hidden);
    }
}

#[tokio::test]
async fn f1_two_providers_bill_what_they_served_and_streams_pass() {
    let (first, second) = (
        failing().await,
        Simulator::start(SimConfig::default()).await.unwrap(),
    );
    let text =
        file(&first.base_url(), &second.base_url()).replace("header: api-key", "header: x-api-key");
    let gateway = Gateway::start_text("", &text).await;
    for stream in [false, true] {
        let body = json!({"model": "gpt-5.5", "max_tokens": 50, "stream": stream});
        let answer = chat(&gateway, body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let text = answer.text().await.unwrap();
        assert_eq!(text.ends_with("data: [DONE]\n\n"), stream, "{text}");
    }
    let (first, second) = (first.ledger(), second.ledger());
    assert_eq!((first.attempts(), second.attempts()), (1, 2));
    for entry in second.entries() {
        assert_eq!((&*entry.key, &*entry.model), ("sk-of-two", "mine"));
    }
}

#[tokio::test]
async fn without_an_upstream_other_models_are_a_404_that_names_those_there_are() {
    let upstream = format!("http://{}", echo().await);
    let gateway = Gateway::start_text("", &file(&upstream, &upstream)).await;
    let (status, body) = json_of(
        chat(&gateway, json!({"model": "gpt-9"}))
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(status, 404);
    assert_eq!(
        body["error"]["message"],
        "no route for the model `gpt-9`; the models served here are gpt-5.4, gpt-5.5"
    );
    assert_eq!(body["error"]["code"], "no_route");

    let call = client()
        .post(gateway.url("/v1/messages"))
        .header("anthropic-version", "2023-06-01")
        .body(r#"{"model":"claude","max_tokens":9,"messages":[]}"#);
    let answer = call.send().await.unwrap();
    assert_eq!(answer.headers()["x-should-retry"], "false");
    let (status, body) = json_of(answer).await;
    assert_eq!((status, &body["type"]), (404, &json!("error")));
    assert_eq!(body["error"]["type"], "not_found_error");

    let call = client()
        .post(gateway.url("/v1/images/generations"))
        .body("{}");
    let (status, body) = json_of(call.send().await.unwrap()).await;
    assert_eq!(status, 404);
    let detail = &body["error"]["message"];
    let detail = detail.as_str().or(body["detail"].as_str()).unwrap();
    assert!(detail.contains("a call without a model"), "{body}");
}

#[tokio::test]
async fn g1_the_models_that_have_a_route_are_listed_as_each_api_lists_them() {
    let upstream = format!("http://{}", echo().await);
    let gateway = Gateway::start_text("", &file(&upstream, &upstream)).await;
    for (path, header, names) in [
        ("/v1/models", "accept", ["/data/0/id", "/data/1/id"]),
        (
            "/v1/models",
            "anthropic-version",
            ["/data/0/display_name", "/last_id"],
        ),
        (
            "/v1beta/models",
            "accept",
            ["/models/0/displayName", "/models/1/displayName"],
        ),
    ] {
        let call = client().get(gateway.url(path)).header(header, "x");
        let (status, body) = json_of(call.send().await.unwrap()).await;
        assert_eq!(status, 200, "{body}");
        let names = names.map(|name| body.pointer(name).unwrap().as_str().unwrap());
        assert_eq!(names, ["gpt-5.4", "gpt-5.5"]);
    }
}

#[tokio::test]
async fn with_an_upstream_other_models_go_there_with_the_callers_key() {
    let [routed, upstream] = [echo().await, echo().await].map(|addr| format!("http://{addr}"));
    let text = file(&routed, &routed).replace(
        "gateway: {",
        &format!("gateway: {{ upstream: '{upstream}',"),
    );
    let gateway = Gateway::start_text(&upstream, &text).await;
    for (model, host, key) in [
        ("gpt-9", &upstream, "Bearer sk-caller"),
        ("gpt-5.5", &routed, "Bearer sk-of-one"),
    ] {
        let call = chat(&gateway, json!({"model": model, "max_tokens": 9}));
        let (status, seen) = json_of(call.send().await.unwrap()).await;
        assert_eq!(status, 200, "{seen}");
        assert_eq!(seen["headers"]["authorization"], key);
        assert_eq!(
            seen["headers"]["host"],
            host.strip_prefix("http://").unwrap()
        );
    }
    let models = client()
        .get(gateway.url("/v1/models"))
        .header("authorization", "Bearer sk-caller");
    let (_, seen) = json_of(models.send().await.unwrap()).await;
    assert_eq!(seen["headers"]["authorization"], "Bearer sk-caller");
    assert_eq!(
        seen["headers"]["host"],
        upstream.strip_prefix("http://").unwrap()
    );
}

#[tokio::test]
async fn where_no_target_can_be_reached_it_is_a_502_that_names_the_last() {
    let [(_one, one), (_two, two)] = [taken(), taken()];
    let [one, two] = [one, two].map(|addr| format!("http://{addr}"));
    let gateway = Gateway::start_text("", &file(&one, &two)).await;
    let call = chat(&gateway, json!({"model": "gpt-5.5", "max_tokens": 9}));
    let (status, body) = json_of(call.send().await.unwrap()).await;
    assert_eq!(status, 502, "{body}");
    assert_eq!(body["error"]["code"], "upstream_not_reached");
    let message = body["error"]["message"].as_str().unwrap();
    let begins = format!("the upstream {two} could not be reached: ");
    assert!(message.starts_with(&begins), "{message}");
    assert!(!message.contains("sk-"), "{message}");
}

#[tokio::test]
async fn c4_a_file_of_litellm_is_served_as_it_stands() {
    let (first, second) = (
        failing().await,
        Simulator::start(SimConfig::default()).await.unwrap(),
    );
    let text = format!(
        "model_list:
  - {{ model_name: chat, litellm_params: {{ model: openai/m-1, api_base: '{}/v1', api_key: sk-of-one, rpm: 600 }} }}
  - {{ model_name: other, litellm_params: {{ model: groq/m-2, api_base: '{}/v1', api_key: sk-of-two, seed: 7 }} }}
router_settings: {{ fallbacks: [{{ chat: [other] }}] }}
",
        first.base_url(),
        second.base_url()
    );
    let file = ConfigFile::new(&text);
    let mut gateway =
        Gateway::start_args(&["--litellm", file.path(), "--listen", "127.0.0.1:0"]).await;
    let said = gateway.complaint().await;
    assert!(
        said.starts_with("tower-quota: not in force: model_list[1].litellm_params.seed: "),
        "{said}"
    );
    let (status, body) = json_of(
        chat(&gateway, json!({"model": "chat", "max_tokens": 50}))
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(status, 200, "{body}");
    assert!(first.ledger().attempts() > 0);
    let ledger = second.ledger();
    let entry = &ledger.entries()[0];
    assert_eq!((&*entry.key, &*entry.model), ("sk-of-two", "m-2"));
}
