use http::HeaderValue;

use super::*;

fn detect(path: &str, header: Option<&'static str>) -> Dialect {
    let mut headers = HeaderMap::new();
    if let Some(name) = header {
        headers.insert(name, HeaderValue::from_static("2023-06-01"));
    }
    Dialect::detect(path, &headers)
}

#[test]
fn tells_dialects_by_path_and_header() {
    let anthropic = Some("anthropic-version");
    for (path, header, expected) in [
        ("/v1/chat/completions", None, Dialect::OpenAiChat),
        (
            "/proxy/openai/v1/chat/completions",
            None,
            Dialect::OpenAiChat,
        ),
        ("/v1/messages", anthropic, Dialect::AnthropicMessages),
        ("/api/v1/messages", anthropic, Dialect::AnthropicMessages),
    ] {
        assert_eq!(detect(path, header), expected, "{path}");
    }
}

#[test]
fn takes_no_other_path_for_a_dialect() {
    let anthropic = Some("anthropic-version");
    for (path, header) in [
        ("", None),
        ("/v1/completions", None),
        ("/v1/chat/completions/chatcmpl-1", None),
        ("/v1/messages", None),
        ("/v1/messages/count_tokens", anthropic),
        ("/v1/messages/batches", anthropic),
        ("/v1/models", anthropic),
    ] {
        assert_eq!(detect(path, header), Dialect::Generic, "{path}");
    }
}

#[test]
fn fields_fit_the_set_that_finds_duplicates() {
    for dialect in DETECTABLE {
        assert!(dialect.spec().request().len() <= 64);
    }
}

#[test]
fn names_the_provider() {
    assert_eq!(Dialect::OpenAiChat.provider(), Some("openai"));
    assert_eq!(Dialect::AnthropicMessages.provider(), Some("anthropic"));
    assert_eq!(Dialect::Generic.provider(), None);
}
