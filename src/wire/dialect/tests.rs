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
        (
            "/v1/projects/p/locations/l/publishers/anthropic/models/claude:streamRawPredict",
            None,
            Dialect::AnthropicMessages,
        ),
        (
            "/openai/deployments/d/chat/completions",
            None,
            Dialect::OpenAiChat,
        ),
        ("/v1/completions", None, Dialect::OpenAiChat),
        ("/v1/fim/completions", None, Dialect::OpenAiChat),
        ("/beta/completions", None, Dialect::OpenAiChat),
        ("/v1/agents/completions", None, Dialect::OpenAiChat),
        (
            "/openai/deployments/d/completions",
            None,
            Dialect::OpenAiChat,
        ),
        ("/v1/responses", None, Dialect::OpenAiResponses),
        ("/openai/v1/responses", None, Dialect::OpenAiResponses),
        ("/openai/responses", None, Dialect::OpenAiResponses),
        ("/v1/responses/compact", None, Dialect::OpenAiResponses),
        (
            "/openai/v1/responses/compact",
            None,
            Dialect::OpenAiResponses,
        ),
        (
            "/openai/deployments/d/responses/compact",
            None,
            Dialect::OpenAiResponses,
        ),
        (
            "/openai/deployments/d/responses",
            None,
            Dialect::OpenAiResponses,
        ),
        ("/v1/embeddings", None, Dialect::OpenAiEmbeddings),
        ("/v1beta/openai/embeddings", None, Dialect::OpenAiEmbeddings),
        (
            "/openai/deployments/d/embeddings",
            None,
            Dialect::OpenAiEmbeddings,
        ),
        (
            "/v1beta/models/gemini:generateContent",
            None,
            Dialect::Gemini,
        ),
        (
            "/v1/projects/p/locations/l/publishers/google/models/gemini:streamGenerateContent",
            None,
            Dialect::Gemini,
        ),
        (
            "/v1beta/models/gemini:embedContent",
            None,
            Dialect::GeminiEmbed,
        ),
        (
            "/v1beta/models/gemini:batchEmbedContents",
            None,
            Dialect::GeminiEmbed,
        ),
        ("/model/m/converse", None, Dialect::BedrockConverse),
        ("/model/m/converse-stream", None, Dialect::BedrockConverse),
        ("/model/m/invoke", None, Dialect::BedrockInvoke),
        (
            "/model/m/invoke-with-response-stream",
            None,
            Dialect::BedrockInvoke,
        ),
        ("/v2/chat", None, Dialect::CohereChat),
        ("/v2/embed", None, Dialect::CohereEmbed),
        ("/v2/rerank", None, Dialect::CohereEmbed),
        ("/api/chat", None, Dialect::Ollama),
        ("/api/generate", None, Dialect::Ollama),
    ] {
        assert_eq!(detect(path, header), expected, "{path}");
    }
}

#[test]
fn takes_no_other_path_for_a_dialect() {
    let anthropic = Some("anthropic-version");
    for (path, header) in [
        ("", None),
        ("/completions", None),
        ("/v1/completions/1", None),
        ("/v1/chat/completions/chatcmpl-1", None),
        ("/v1/messages", None),
        ("/v1/messages/count_tokens", anthropic),
        (
            "/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict",
            anthropic,
        ),
        ("/v1/messages/batches", anthropic),
        ("/v1/models", anthropic),
        ("/v1/responses/resp_1", None),
        ("/v1/responses/resp_1/compact", None),
        ("/v1/responses/compact/compact", None),
        ("/v1/compact", None),
        ("/responses", None),
        ("/embeddings", None),
        ("/v1beta/models/gemini:countTokens", None),
        ("/v1beta/models/:generateContent", None),
        ("/model/m/count-tokens", None),
        ("/model//converse", None),
        ("/invoke", None),
        ("/v1/api/chat", None),
        ("/api/tags", None),
        ("/v2/models", None),
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
    for (dialect, expected) in [
        (Dialect::OpenAiChat, Some("openai")),
        (Dialect::OpenAiResponses, Some("openai")),
        (Dialect::OpenAiEmbeddings, Some("openai")),
        (Dialect::AnthropicMessages, Some("anthropic")),
        (Dialect::Gemini, Some("gemini")),
        (Dialect::GeminiEmbed, Some("gemini")),
        (Dialect::BedrockConverse, Some("bedrock")),
        (Dialect::BedrockInvoke, Some("bedrock")),
        (Dialect::CohereChat, Some("cohere")),
        (Dialect::CohereEmbed, Some("cohere")),
        (Dialect::Ollama, Some("ollama")),
        (Dialect::Generic, None),
    ] {
        assert_eq!(dialect.provider(), expected);
    }
}
