use std::sync::Arc;

use http::Request;

use super::*;
use crate::failover::{ApiKey, Auth, Provider, Route, Routes, Target, candidate::ways};

const CHAT: &str = r#"{"model":"gpt-5.5","messages":[]}"#;

fn candidate(target: Target) -> Arc<Candidate> {
    let routes = Routes::new([("any", Route::ordered([target]))]).unwrap();
    let turns = ways(&routes)["any"].targets.turn(|_| false);
    turns[0].keys[0].clone()
}

/// Where some provider of the routes takes its keys.
fn odd() -> HeaderName {
    HeaderName::from_static("x-odd")
}

fn provider(name: &str, base: &str) -> Provider {
    Provider::new(name, base).unwrap()
}

fn with_key(name: &str, base: &str) -> Provider {
    provider(name, base).key(ApiKey::new("main", "SECRET-theirs").unwrap())
}

/// Headers that callers show who they are in.
const CREDENTIALS: [&str; 24] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-goog-user-project",
    "ocp-apim-subscription-key",
    "openai-organization",
    "openai-project",
    "anthropic-workspace-id",
    "x-amz-security-token",
    "x-auth-token",
    "x-litellm-api-key",
    "cf-aig-authorization",
    "helicone-auth",
    "x-portkey-api-key",
    "cf-access-jwt-assertion",
    "x-goog-iap-jwt-assertion",
    "x-amzn-oidc-data",
    "x-amzn-oidc-identity",
    "x-userinfo",
    "x-passwd",
    "x-odd",
];

/// A call that shows every credential there is.
fn called(uri: &str, body: &'static str) -> (Parts, Bytes) {
    let mut request = Request::post(uri).header("content-length", body.len());
    for name in CREDENTIALS {
        request = request.header(name, "SECRET-callers");
    }
    let request = request
        .header("host", "elsewhere")
        .header("anthropic-version", "2023-06-01")
        .header("idempotency-key", "7")
        .body(())
        .unwrap();
    (request.into_parts().0, Bytes::from_static(body.as_bytes()))
}

fn sent(uri: &str, body: &'static str, dialect: Dialect, target: Target) -> Option<(Parts, Bytes)> {
    let (parts, body) = called(uri, body);
    let Rewritten { parts, body, .. } =
        rewrite(&parts, (&body, None), dialect, &candidate(target), &[odd()])?;
    Some((parts, body))
}

#[test]
fn address_model_and_length_are_the_targets() {
    let openai = with_key("openai", "https://api.openai.com/v1");
    let azure = with_key(
        "azure",
        "https://mine.openai.azure.com/openai/deployments/d?api-version=2026-10-01",
    );
    let gemini = with_key("gemini", "https://generativelanguage.googleapis.com/v1beta");
    let uri = "https://first/v1/chat/completions";
    let gemini_uri =
        "https://first/v1beta/models/a:streamGenerateContent?alt=sse&key=SECRET-callers";
    for (uri, dialect, target, expected) in [
        (
            uri,
            Dialect::OpenAiChat,
            Target::new(&openai, "b"),
            "https://api.openai.com/v1/chat/completions",
        ),
        (
            uri,
            Dialect::OpenAiChat,
            Target::new(&azure, "b"),
            "https://mine.openai.azure.com/openai/deployments/d/chat/completions?api-version=2026-10-01",
        ),
        (
            "https://first/openai/deployments/x/chat/completions?api-version=2020-01-01&x=1",
            Dialect::OpenAiChat,
            Target::new(&azure, "b"),
            "https://mine.openai.azure.com/openai/deployments/d/chat/completions?api-version=2026-10-01&x=1",
        ),
        (
            "https://first/v1/responses/compact",
            Dialect::OpenAiResponses,
            Target::new(&openai, "b"),
            "https://api.openai.com/v1/responses/compact",
        ),
        (
            "https://first/openai/deployments/x/responses/compact?api-version=2020-01-01",
            Dialect::OpenAiResponses,
            Target::new(&azure, "b"),
            "https://mine.openai.azure.com/openai/deployments/d/responses/compact?api-version=2026-10-01",
        ),
        (
            gemini_uri,
            Dialect::Gemini,
            Target::new(&gemini, "b").sent_as("models b"),
            "https://generativelanguage.googleapis.com/v1beta/models/models%20b:streamGenerateContent?alt=sse",
        ),
    ] {
        let (parts, body) = sent(uri, CHAT, dialect, target).unwrap();
        assert_eq!(parts.uri.to_string(), expected);
        assert_eq!(
            parts.headers["content-length"],
            body.len().to_string().as_str()
        );
        assert!(!parts.headers.contains_key("host"));
        assert_eq!(parts.headers["idempotency-key"], "7");
        assert_eq!(parts.headers["anthropic-version"], "2023-06-01");
    }
    let target = Target::new(&openai, "b").sent_as("ft:b");
    let (_, body) = sent(uri, CHAT, Dialect::OpenAiChat, target).unwrap();
    assert_eq!(body, r#"{"model":"ft:b","messages":[]}"#);
}

#[test]
fn credentials_of_one_never_reach_another() {
    let base = "https://api.openai.com/v1";
    let keyless = provider("vllm", "http://localhost:8000/v1");
    let own_header = with_key("odd", base).auth(Auth::Header("x-odd".parse().unwrap()));
    for (target, shown) in [
        (
            Target::new(&with_key("openai", base), "b"),
            Some(("authorization", "Bearer SECRET-theirs")),
        ),
        (
            Target::new(&with_key("anthropic", base), "b"),
            Some(("x-api-key", "SECRET-theirs")),
        ),
        (
            Target::new(&with_key("azure", base), "b"),
            Some(("api-key", "SECRET-theirs")),
        ),
        (
            Target::new(&with_key("gemini", base), "b"),
            Some(("x-goog-api-key", "SECRET-theirs")),
        ),
        (
            Target::new(&own_header, "b"),
            Some(("x-odd", "SECRET-theirs")),
        ),
        (Target::new(&keyless, "b"), None),
    ] {
        let uri = "https://first/v1/chat/completions?key=SECRET&API_KEY=SECRET&apiKey=SECRET&%6Bey=SECRET\
                   &sig=SECRET&x-amz-signature=SECRET&oauth_token=SECRET&client_assertion=SECRET&kept=1";
        let (parts, _) = sent(uri, CHAT, Dialect::OpenAiChat, target).unwrap();
        assert_eq!(parts.uri.query(), Some("kept=1"));
        let secrets: Vec<(&str, &[u8])> = parts
            .headers
            .iter()
            .filter(|(_, value)| value.as_bytes().windows(6).any(|part| part == b"SECRET"))
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let expected: Vec<(&str, &[u8])> = shown
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        assert_eq!(secrets, expected);
        // Marked, so that nothing that prints headers prints it.
        assert!(!format!("{parts:?}").contains("SECRET"), "{parts:?}");
    }
}

#[test]
fn a_caller_keeps_its_own_only_where_it_came_for() {
    let uri = "https://api.openai.com/v1/chat/completions?key=SECRET-callers";
    let (parts, body) = called(uri, CHAT);
    for (base, keeps) in [
        ("https://api.openai.com/v1", true),
        ("http://api.openai.com/v1", false),
        ("https://api.openai.com:8443/v1", false),
        ("https://api.openai.com.evil.example/v1", false),
        ("https://api.openai.com/v1/other", false),
        ("https://api.openai.com/v", false),
        ("https://api.openai.com", true),
    ] {
        let target = Target::new(&provider("openai", base), "b");
        let rewritten = rewrite(
            &parts,
            (&body, None),
            Dialect::OpenAiChat,
            &candidate(target),
            &[odd()],
        )
        .unwrap();
        assert_eq!(rewritten.keeps_key, keeps, "{base}");
        let text = |parts: &Parts| parts.headers.contains_key("authorization");
        assert_eq!(text(&rewritten.parts), keeps, "{base}");
        assert_eq!(rewritten.parts.uri.query().is_some(), keeps, "{base}");
    }
}

#[test]
fn what_cannot_be_changed_goes_nowhere_else() {
    let target = || Target::new(&with_key("openai", "https://up/v1"), "b");
    for (uri, body, dialect) in [
        ("https://first/v1/models", CHAT, Dialect::Generic),
        (
            "https://first/v1/chat/completions",
            "no json",
            Dialect::OpenAiChat,
        ),
        (
            "https://first/publishers/anthropic/models/c:rawPredict",
            CHAT,
            Dialect::AnthropicMessages,
        ),
    ] {
        assert!(sent(uri, body, dialect, target()).is_none(), "{uri}");
    }
}

#[test]
fn the_body_asks_for_the_target_whatever_the_url_says() {
    let openai = with_key("openai", "https://up/v1");
    let uri = "https://first/openai/deployments/b/chat/completions";
    for body in [r#"{"model":"o1-pro"}"#, "{}"] {
        let (_, body) = sent(uri, body, Dialect::OpenAiChat, Target::new(&openai, "b")).unwrap();
        assert_eq!(body, r#"{"model":"b"}"#);
    }
}
