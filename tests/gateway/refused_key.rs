//! What callers hear where an upstream refuses the key of the gateway, and where it refuses their own.

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::{
    calls::{chat, client, json_of},
    keys::Keyed,
    process::{Gateway, soon},
    upstream::refusing,
};

/// That the answer is ours, and says nothing of the key. Its error.
async fn is_ours(call: RequestBuilder) -> Value {
    let answer = soon(call.send()).await.unwrap();
    let headers = answer.headers().clone();
    let (status, body) = json_of(answer).await;
    assert_eq!(status, 502, "{body}");
    // SDKs would repeat what begins with a 5.
    assert_eq!(headers["x-should-retry"], "false");
    assert!(headers.contains_key("x-quota-call"));
    assert!(!headers.contains_key("www-authenticate"));
    let help = headers["link"].to_str().unwrap();
    assert!(help.contains("#upstream_key_refused>"), "{help}");
    let text = body.to_string();
    assert!(
        !text.contains("sk-of") && !text.contains("Incorrect"),
        "{text}"
    );
    body
}

fn messages(gateway: &Gateway) -> RequestBuilder {
    let call = client().post(gateway.url("/v1/messages"));
    call.header("anthropic-version", "2023-06-01")
        .body(r#"{"model":"claude-haiku-5-5","max_tokens":9,"messages":[]}"#)
}

#[tokio::test]
async fn a_key_of_the_gateway_that_is_refused_is_not_the_fault_of_its_callers() {
    let at = refusing(401).await;
    let upstreams = format!(
        "{{ openai: {{ url: 'http://{at}', key: sk-of-openai }}, \
            anthropic: {{ url: 'http://{at}', key: sk-of-anthropic }}, \
            tool: {{ url: 'http://{at}', key: sk-of-tool }}, \
            other: {{ url: 'http://{at}', key: sk-of-other, auth: {{ header: x-token }} }} }}"
    );
    // Each gives back the only place there is.
    let mut keyed = Keyed::start(&upstreams, "{ global: { concurrent_requests: 1 } }").await;
    let token = keyed.key(&["ci"]).await;
    let gateway = &keyed.gateway;
    let chat = |stream: bool| {
        let call = chat(gateway, json!({"stream": stream}));
        call.header("x-quota-key", &token)
    };
    for stream in [false, true] {
        let body = is_ours(chat(stream)).await;
        assert_eq!(body["error"]["code"], "upstream_key_refused");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains("`openai`"), "{message}");
    }
    let body = is_ours(messages(gateway).header("x-api-key", &token)).await;
    let error = &body["error"];
    assert_eq!(error["type"], "api_error");
    assert_eq!(error["details"]["error_code"], "upstream_key_refused");
    let tool = client().get(gateway.url("/tool/find")).bearer_auth(&token);
    assert_eq!(is_ours(tool).await["code"], "upstream_key_refused");
    // What another API refuses may be what the caller shows it, as a password, where it does not repeat the key.
    let other = client()
        .get(gateway.url("/other/login"))
        .bearer_auth(&token);
    let answer = soon(other.send()).await.unwrap();
    assert_eq!(answer.headers()["www-authenticate"], "Bearer");
    let (status, body) = json_of(answer).await;
    assert_eq!(
        (status, &body["error"]["message"]),
        (401, &json!("Incorrect API key provided: "))
    );
}

#[tokio::test]
async fn a_403_is_about_the_key_where_the_provider_says_so() {
    let at = refusing(403).await;
    let upstreams = format!(
        "{{ openai: {{ url: 'http://{at}', key: sk-of-openai }}, \
            tool: {{ url: 'http://{at}', key: sk-of-tool }} }}"
    );
    let mut keyed = Keyed::start(&upstreams, "{}").await;
    let token = keyed.key(&["ci"]).await;
    let gateway = &keyed.gateway;
    let body = is_ours(chat(gateway, json!({})).header("x-quota-key", &token)).await;
    assert_eq!(body["error"]["code"], "upstream_key_refused");
    // Another API repeats the key.
    let tool = client().get(gateway.url("/tool/find")).bearer_auth(&token);
    assert_eq!(is_ours(tool).await["code"], "upstream_key_refused");
}

#[tokio::test]
async fn what_is_said_of_the_callers_own_key_passes_as_it_is() {
    let gateway = Gateway::start(&format!("http://{}", refusing(401).await), "{}").await;
    let models = client().get(gateway.url("/v1/models"));
    for call in [chat(&gateway, json!({})), models.bearer_auth("sk-caller")] {
        let answer = soon(call.send()).await.unwrap();
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
        let (status, body) = json_of(answer).await;
        let error = &body["error"];
        assert_eq!((status, &error["code"]), (401, &json!("invalid_api_key")));
        let message = error["message"].as_str().unwrap();
        assert_eq!(message, "Incorrect API key provided: Bearer sk-caller");
    }
}
