//! G2: keys for callers: who calls, and what they may claim.

use std::path::PathBuf;

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tower_quota::sim::{SimConfig, Simulator};

use crate::{
    calls::{client, json_of},
    process::{Gateway, run},
    upstream::echo,
};

/// A folder with a file of keys, and a gateway that takes them.
pub(crate) struct Keyed {
    _folder: tempfile::TempDir,
    pub(crate) state: PathBuf,
    pub(crate) gateway: Gateway,
}

impl Keyed {
    /// In front of these upstreams, with this under `rate_limiting:`. `make` makes the first keys.
    pub(crate) async fn start(upstreams: &str, rate_limiting: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state.json");
        let text = format!(
            "rate_limiting: {rate_limiting}
gateway: {{ listen: '127.0.0.1:0', state: '{}', upstreams: {upstreams} }}",
            state.display()
        );
        let gateway = Gateway::start_text("", &text).await;
        Keyed {
            _folder: folder,
            state,
            gateway,
        }
    }

    /// Makes a key in the file, and has the gateway take it. The token.
    pub(crate) async fn key(&mut self, args: &[&str]) -> String {
        let state = self.state.to_str().unwrap();
        let made = run(&[&["admin", "--state", state, "key", "create"], args].concat()).await;
        assert!(made.status.success(), "{made:?}");
        let mut said = self.gateway.hangup().await;
        while !said.contains("reloaded") {
            said = self.gateway.complaint().await;
        }
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    }
}

fn chat(gateway: &Gateway) -> RequestBuilder {
    let call = client().post(gateway.url("/v1/chat/completions"));
    call.body(r#"{"model":"sim-1","max_tokens":9,"messages":[]}"#)
}

fn messages(gateway: &Gateway) -> RequestBuilder {
    let call = client().post(gateway.url("/v1/messages"));
    call.header("anthropic-version", "2023-06-01")
        .body(r#"{"model":"sim-1","max_tokens":9,"messages":[]}"#)
}

fn generate(gateway: &Gateway, query: &str) -> RequestBuilder {
    let path = format!("/v1beta/models/gemini-pro:generateContent{query}");
    client().post(gateway.url(&path)).body(r#"{"contents":[]}"#)
}

/// The error's message, where each API has it.
async fn refused(call: RequestBuilder) -> (u16, String, Value) {
    let (status, body) = json_of(call.send().await.unwrap()).await;
    let message = body["error"]["message"]
        .as_str()
        .unwrap_or_else(|| panic!("{body}"));
    (status, message.to_owned(), body)
}

#[tokio::test]
async fn a_key_is_taken_wherever_sdks_put_it_and_goes_no_further() {
    let upstream = format!("http://{}", echo().await);
    let upstreams = format!(
        "{{ openai: {{ url: '{upstream}', key: sk-ours-1 }}, anthropic: {{ url: '{upstream}', key: sk-ours-2 }},
            gemini: {{ url: '{upstream}', key: sk-ours-3 }}, local: {{ url: '{upstream}' }} }}"
    );
    let mut keyed = Keyed::start(&upstreams, "{}").await;
    let token = keyed.key(&["ci"]).await;
    let gateway = &keyed.gateway;
    let bearer = format!("Bearer {token}");
    let local = |path: &str| client().get(gateway.url(&format!("/local{path}")));
    for (call, name, ours) in [
        (
            chat(gateway).header("authorization", &bearer),
            "authorization",
            "Bearer sk-ours-1",
        ),
        (
            chat(gateway).header("api-key", &token),
            "authorization",
            "Bearer sk-ours-1",
        ),
        (
            messages(gateway).header("x-api-key", &token),
            "x-api-key",
            "sk-ours-2",
        ),
        (
            messages(gateway).header("authorization", &bearer),
            "x-api-key",
            "sk-ours-2",
        ),
        (
            generate(gateway, "").header("x-goog-api-key", &token),
            "x-goog-api-key",
            "sk-ours-3",
        ),
        (
            generate(gateway, &format!("?alt=sse&key={token}")),
            "x-goog-api-key",
            "sk-ours-3",
        ),
        (
            local("/x").header("authorization", &bearer),
            "authorization",
            "",
        ),
        (
            local("/x")
                .header("x-quota-key", &token)
                .header("authorization", "Bearer mine"),
            "authorization",
            "Bearer mine",
        ),
        (
            chat(gateway)
                .header("x-quota-key", &token)
                .header("authorization", "Bearer mine"),
            "authorization",
            "Bearer sk-ours-1",
        ),
        // It does not go on, though somebody puts it into two places.
        (
            local("/x")
                .header("x-quota-key", &token)
                .header("authorization", &bearer),
            "authorization",
            "",
        ),
        // Among others it is known by its beginning.
        (
            chat(gateway)
                .header("authorization", "Bearer mine")
                .header("x-api-key", &token),
            "authorization",
            "Bearer sk-ours-1",
        ),
    ] {
        let (status, seen) = json_of(call.send().await.unwrap()).await;
        assert_eq!(status, 200, "{seen}");
        let had = seen["headers"].get(name).and_then(Value::as_str);
        assert_eq!(had.unwrap_or_default(), ours, "{seen}");
        let text = seen.to_string();
        assert!(!text.contains("tq-") && !text.contains("x-quota"), "{text}");
    }
}

#[tokio::test]
async fn what_is_no_good_key_is_the_error_of_the_callers_api() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let upstreams = format!("{{ sim: {{ url: '{}' }} }}", sim.base_url());
    let mut keyed = Keyed::start(&upstreams, "{}").await;
    let old = keyed
        .key(&["old", "--expires", "2999-01-01T00:00:00Z"])
        .await;
    // A thousand years later.
    let kept = std::fs::read_to_string(&keyed.state).unwrap();
    std::fs::write(&keyed.state, kept.replace("2999-", "2001-")).unwrap();
    let off = keyed.key(&["off"]).await;
    let state = keyed.state.to_str().unwrap();
    let done = run(&["admin", "--state", state, "key", "disable", "off"]).await;
    assert!(done.status.success(), "{done:?}");
    keyed.gateway.hangup().await;

    let gateway = &keyed.gateway;
    for (token, code, word) in [
        (None, "missing_api_key", "there is no key"),
        (Some("sk-of-somebody"), "invalid_api_key", "not known here"),
        (
            Some("tq-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            "invalid_api_key",
            "not known here",
        ),
        (
            Some(&*old),
            "expired_api_key",
            "`old` expired at 2001-01-01",
        ),
        (Some(&*off), "disabled_api_key", "`off` is disabled"),
    ] {
        let with = |call: RequestBuilder, name: &str| match token {
            Some(token) => call.header(name, token),
            None => call,
        };
        let bearer = |call: RequestBuilder| match token {
            Some(token) => call.header("authorization", format!("Bearer {token}")),
            None => call,
        };
        let (status, message, body) = refused(bearer(chat(gateway))).await;
        assert_eq!((status, &body["error"]["code"]), (401, &json!(code)));
        assert!(message.contains(word), "{message}");
        let (status, message, body) = refused(with(messages(gateway), "x-api-key")).await;
        assert_eq!(
            (status, &body["error"]["type"]),
            (401, &json!("authentication_error"))
        );
        assert!(message.contains(word), "{message}");
        let (status, message, body) = refused(with(generate(gateway, ""), "x-goog-api-key")).await;
        assert_eq!(
            (status, &body["error"]["status"]),
            (401, &json!("UNAUTHENTICATED"))
        );
        assert!(message.contains(word), "{message}");
        // And for what generates nothing, too.
        let models = bearer(client().get(gateway.url("/v1/models")));
        assert_eq!(refused(models).await.0, 401);
    }
    assert_eq!(sim.ledger().attempts(), 0, "nothing reached the provider");
    let health = client().get(gateway.url("/healthz")).send().await.unwrap();
    assert_eq!(health.status(), 200, "health wants no key");
}

#[tokio::test]
async fn what_a_key_may_not_claim_is_refused_and_its_tags_count() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let upstreams = format!("{{ sim: {{ url: '{}' }} }}", sim.base_url());
    let limits = "{ limits: [
        { quantity: requests, amount: 2, every: 1h, when: { team: blue }, per: [key] },
        { quantity: requests, amount: 1, every: 1h, when: { agent: scout-1 } } ] }";
    let mut keyed = Keyed::start(&upstreams, limits).await;
    let args = [
        "blue",
        "--tag",
        "team=blue",
        "--may",
        "agent=scout-*",
        "--max-priority",
        "2",
    ];
    let blue = keyed.key(&args).await;
    let usual = keyed.key(&["usual"]).await;
    let gateway = &keyed.gateway;
    let call = |token: &str, headers: &[(&str, &str)]| {
        let call = chat(gateway).header("authorization", format!("Bearer {token}"));
        let headers = headers.iter();
        headers.fold(call, |call, (name, value)| call.header(*name, *value))
    };
    for (headers, word) in [
        (&[("x-quota-agent", "spy")][..], "x-quota-agent"),
        (&[("x-quota-team", "red")], "x-quota-team"),
        (&[("x-quota-user", "zoe")], "x-quota-user"),
        (&[("x-quota-priority", "3")], "above 2"),
    ] {
        let (status, message, body) = refused(call(&blue, headers)).await;
        assert_eq!(
            (status, &body["error"]["code"]),
            (403, &json!("not_allowed"))
        );
        assert!(message.contains(word), "{message}");
    }
    assert_eq!(
        refused(call(&usual, &[("x-quota-team", "blue")])).await.0,
        403
    );
    assert_eq!(sim.ledger().attempts(), 0);

    let claims = [
        ("x-quota-agent", "scout-1"),
        ("x-quota-team", "blue"),
        ("x-quota-priority", "2"),
    ];
    let ok = call(&blue, &claims).send().await.unwrap();
    assert_eq!(ok.status(), 200, "{}", ok.text().await.unwrap());
    let soon = [("x-quota-agent", "scout-1"), ("x-quota-deadline", "0s")];
    assert_eq!(
        refused(call(&blue, &soon)).await.0,
        429,
        "the agent's limit"
    );
    let deadline = [("x-quota-deadline", "0s")];
    assert_eq!(call(&blue, &deadline).send().await.unwrap().status(), 200);
    let (status, message, _) = refused(call(&blue, &deadline)).await;
    assert_eq!(status, 429);
    assert!(
        message.contains("for key=blue") || message.contains("key=blue"),
        "{message}"
    );
    // Another key, without the team, is under none of them.
    assert_eq!(call(&usual, &deadline).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_address_that_others_can_reach_wants_keys() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    let text = format!(
        "rate_limiting: {{}}
gateway: {{ listen: '0.0.0.0:0', upstream: 'http://127.0.0.1:1', state: '{}' }}",
        state.display()
    );
    let gateway = Gateway::start_text("", &text).await;
    let url = gateway.base_url.replace("0.0.0.0", "127.0.0.1");
    let call = client().get(format!("{url}/v1/models")).send().await;
    assert_eq!(call.unwrap().status(), 401);
}
