//! What callers hear where an upstream refuses the key of the gateway, and where it refuses their own.

use std::net::SocketAddr;

use axum::{body::Body, response::Response};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::{
    calls::{chat, client, json_of},
    keys::Keyed,
    process::{Gateway, soon},
    upstream::{answering, echo, refusing},
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

/// Answers with the status that the call's `x-status` says, and repeats the key. Nobody is to come again.
async fn repeating() -> SocketAddr {
    answering(|parts| {
        let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap());
        let shown = header("authorization").unwrap_or_default();
        let said = json!({"error": {
            "message": format!("no such thing for {shown}"),
            "type": "invalid_request_error", "param": null, "code": null,
        }});
        Response::builder()
            .status(header("x-status").unwrap().parse::<u16>().unwrap())
            .header("content-type", "application/json")
            .header("x-should-retry", "false")
            .body(Body::from(said.to_string()))
            .unwrap()
    })
    .await
}

#[tokio::test]
async fn no_error_of_an_upstream_repeats_the_key_that_it_is_sent() {
    let at = repeating().await;
    let text = format!(
        "rate_limiting: {{}}
gateway:
  listen: '127.0.0.1:0'
  upstreams:
    openai: {{ url: 'http://{at}', key: sk-of-openai }}
    tool: {{ url: 'http://{at}', key: sk-of-tool }}
    own: {{ url: 'http://{at}', key: none }}
    open: {{ url: 'http://{at}' }}"
    );
    let gateway = Gateway::start_text("", &text).await;
    for status in ["400", "403", "404", "429", "500"] {
        let get = |path: &str| {
            let call = client().get(gateway.url(path));
            call.header("x-status", status)
        };
        for call in [
            chat(&gateway, json!({})).header("x-status", status),
            get("/v1/models"),
            get("/tool/find"),
        ] {
            let body = is_ours(call).await;
            assert!(body.to_string().contains("upstream_key_refused"), "{body}");
        }
        // A mere word in the place of a key, and what the caller has shown by itself.
        for (path, shown) in [("/own/x", "none"), ("/open/x", "sk-caller")] {
            let call = get(path).bearer_auth("sk-caller");
            let (_, body) = json_of(soon(call.send()).await.unwrap()).await;
            if (path, status) != ("/own/x", "403") {
                let message = format!("no such thing for Bearer {shown}");
                assert_eq!(body["error"]["message"], message, "{status}");
            }
        }
    }
}

#[tokio::test]
async fn nor_does_one_of_a_target_of_a_route() {
    let at = repeating().await;
    let text = format!(
        "rate_limiting:
  retry: {{ max_attempts: 1 }}
  failover:
    providers: {{ one: {{ base_url: 'http://{at}/v1', keys: [sk-of-target] }} }}
    routes: {{ gpt-5.5: [one/gpt-5.5] }}
gateway: {{ listen: '127.0.0.1:0' }}"
    );
    let gateway = Gateway::start_text("", &text).await;
    for status in ["400", "403", "429"] {
        let call = chat(&gateway, json!({"model": "gpt-5.5"}));
        let call = call.header("x-status", status).send();
        let (answered, body) = json_of(soon(call).await.unwrap()).await;
        assert!(!body.to_string().contains("sk-of"), "{status}: {body}");
        assert!(answered >= 400, "{status}: {body}");
        if status == "400" {
            assert_eq!(body["error"]["code"], "upstream_key_refused");
            let message = body["error"]["message"].as_str().unwrap();
            assert!(message.contains("`one`"), "{message}");
        }
    }
}

/// What is in a coding would not be read here.
#[tokio::test]
async fn an_upstream_with_a_key_is_asked_for_plain_answers() {
    let at = echo().await;
    let text = format!(
        "rate_limiting: {{}}
gateway:
  listen: '127.0.0.1:0'
  upstreams:
    tool: {{ url: 'http://{at}', key: sk-of-tool }}
    open: {{ url: 'http://{at}' }}"
    );
    let gateway = Gateway::start_text("", &text).await;
    for (path, asked, expected) in [
        ("/tool/x", Some("gzip, br"), json!("identity")),
        ("/tool/x", None, Value::Null),
        ("/open/x", Some("gzip, br"), json!("gzip, br")),
    ] {
        let call = client().get(gateway.url(path));
        let call = match asked {
            Some(codings) => call.header("accept-encoding", codings),
            None => call,
        };
        let (_, seen) = json_of(soon(call.send()).await.unwrap()).await;
        assert_eq!(seen["headers"]["accept-encoding"], expected, "{path}");
    }
}
