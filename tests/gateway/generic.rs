//! G7: an API that nobody knows here gets what its callers send; of credentials, what is for it.

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::{
    calls::{client, json_of},
    keys::Keyed,
    upstream::echo,
};

/// In which proxies in front of a gateway sign who calls.
const IDENTITIES: [&str; 6] = [
    "cf-access-jwt-assertion",
    "x-goog-iap-jwt-assertion",
    "x-amzn-oidc-data",
    "x-amzn-oidc-identity",
    "x-userinfo",
    "x-passwd",
];

/// What the upstream says that reached it.
async fn seen(call: RequestBuilder) -> Value {
    let (status, seen) = json_of(call.send().await.unwrap()).await;
    assert_eq!(status, 200, "{seen}");
    seen
}

/// A gateway with keys in front of two APIs that nobody knows, one with a key of ours, and of OpenAI's; and a caller's token.
async fn started() -> (Keyed, String) {
    let at = echo().await;
    let upstreams = format!(
        "{{ open: {{ url: 'http://{at}' }}, own: {{ url: 'http://{at}', key: sk-of-own }}, \
            openai: {{ url: 'http://{at}', key: sk-of-openai }} }}"
    );
    let mut keyed = Keyed::start(&upstreams, "{}").await;
    let token = keyed.key(&["ci"]).await;
    (keyed, token)
}

#[tokio::test]
async fn what_is_called_a_key_in_a_query_reaches_an_upstream_without_one() {
    let (keyed, token) = started().await;
    let path = "/open/cookie?key=widget&api_key=z&q=1&sku=tq-1000";
    let call = client().get(keyed.gateway.url(path)).bearer_auth(&token);
    let seen = seen(call).await;
    assert_eq!(seen["path"], "/cookie?key=widget&api_key=z&q=1&sku=tq-1000");
    assert_eq!(seen["headers"]["authorization"], Value::Null);
}

#[tokio::test]
async fn what_is_called_a_key_in_headers_reaches_an_upstream_with_one_and_credentials_do_not() {
    let (keyed, token) = started().await;
    let kept = [
        ("mcp-session-id", "1868a90c"),
        ("x-idempotency-key", "once"),
        ("idempotency-key", "once"),
        ("x-project-id", "p-1"),
        ("x-page-token", "2"),
        ("x-author", "zoe"),
        ("x-part", "tq-9"),
    ];
    let hidden = [
        ("authorization", "Bearer sk-caller"),
        ("cookie", "session=sk-caller"),
        ("x-api-key", "sk-caller"),
        ("api-key", "sk-caller"),
        ("x-goog-api-key", "sk-caller"),
        ("x-auth-token", "sk-caller"),
        ("x-forwarded-access-token", "sk-caller"),
        ("x-amzn-oidc-accesstoken", "sk-caller"),
        ("cf-access-client-secret", "sk-caller"),
        ("private-token", "sk-caller"),
        ("openai-organization", "sk-caller"),
        ("openai-project", "sk-caller"),
    ];
    let path = "/own/mcp?key=widget&page_token=2&access_token=sk-caller&authorization=sk-caller";
    let call = client().post(keyed.gateway.url(path)).body("{}");
    let call = call.header("x-quota-key", &token);
    let identities = IDENTITIES.map(|name| (name, "sk-caller"));
    let headers = kept.iter().chain(&hidden).chain(&identities);
    let call = headers.fold(call, |call, (name, value)| call.header(*name, *value));
    let seen = seen(call).await;
    assert_eq!(seen["path"], "/mcp?key=widget&page_token=2");
    for (name, value) in kept {
        assert_eq!(seen["headers"][name], value, "{seen}");
    }
    assert_eq!(seen["headers"]["authorization"], "Bearer sk-of-own");
    assert!(!seen.to_string().contains("sk-caller"), "{seen}");
}

#[tokio::test]
async fn headers_of_an_upstream_that_is_known_are_rather_taken_off_than_shown() {
    let (keyed, token) = started().await;
    let call = client()
        .get(keyed.gateway.url("/openai/v1/models?key=sk-caller&q=1"))
        .header("x-quota-key", &token)
        .header("x-unheard-of-key", "sk-caller")
        .header("x-kept", "yes");
    let call = IDENTITIES
        .iter()
        .fold(call, |call, name| call.header(*name, "sk-caller"));
    let seen = seen(call).await;
    assert_eq!(
        (&seen["path"], &seen["headers"]["x-kept"]),
        (&json!("/v1/models?q=1"), &json!("yes"))
    );
    assert!(!seen.to_string().contains("sk-caller"), "{seen}");
}

#[tokio::test]
async fn a_token_of_the_gateway_reaches_no_upstream_from_any_place() {
    let (mut keyed, token) = started().await;
    let another = keyed.key(&["another"]).await;
    let gateway = &keyed.gateway;
    let bearer = format!("Bearer {token}");
    let cookie = format!("a=b; token={token}");
    let page = format!("https://example.com/?key={token}");
    let plain = |path: &str| client().get(gateway.url(path)).header("x-kept", "yes");
    let in_query = |path: &str, pair: &str| plain(&format!("{path}?q=1&{pair}"));
    for path in ["/open/x", "/own/x", "/openai/v1/x"] {
        let shown = |name: &str| plain(path).header(name, &token);
        let apart = || plain(path).header("x-quota-key", &token);
        for call in [
            plain(path).header("authorization", &bearer),
            shown("x-api-key"),
            shown("api-key"),
            shown("x-goog-api-key"),
            apart(),
            in_query(path, &format!("key={token}")),
            in_query(path, &format!("key={}", token.replace("tq-", "%74q-"))),
            // It is shown where it belongs, and beside that in other places.
            apart().header("authorization", &bearer),
            apart().header("cookie", &cookie),
            apart().header("referer", &page),
            apart().header("x-note", &bearer),
            shown("x-api-key").header("x-note", &token),
            shown("x-api-key").header("x-note", &another),
            shown("x-api-key").header("authorization", format!("Bearer {another}")),
            in_query(path, &format!("note={token}")).header("authorization", &bearer),
            in_query(path, &format!("note={another}")).header("x-quota-key", &token),
            in_query(path, &token).header("x-quota-key", &token),
        ] {
            let seen = seen(call).await;
            let text = seen.to_string();
            // Whatever way it is written in.
            let is_there = |token: &str| text.contains(&token[3..]);
            assert!(!is_there(&token) && !is_there(&another), "{text}");
            assert_eq!(seen["headers"]["x-kept"], "yes");
            let path = seen["path"].as_str().unwrap();
            assert!(path.ends_with("/x") || path.ends_with("/x?q=1"), "{path}");
        }
    }
}
