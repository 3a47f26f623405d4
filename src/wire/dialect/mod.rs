//! The APIs that are understood. Each is one file; this one only tells them apart.

mod anthropic_messages;
mod bedrock;
mod bedrock_converse;
mod bedrock_invoke;
mod cohere_chat;
mod cohere_embed;
mod gemini;
mod gemini_embed;
mod generic;
mod ollama;
mod openai;
mod openai_chat;
mod openai_embeddings;
mod openai_responses;
mod spec;

use http::HeaderMap;

use self::spec::InUrl;
pub(super) use self::{
    bedrock::error_type,
    spec::{Field, Spec},
};

/// An API as callers see it: its paths, its JSON, its streams, its errors.
///
/// Several providers speak [`OpenAiChat`](Dialect::OpenAiChat): the dialect says how to read a call, not who answers
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// OpenAI "Chat Completions" and the older "Completions", and APIs compatible with them: Azure, Mistral, Groq, xAI,
    /// DeepSeek, OpenRouter, Together, Fireworks, vLLM, llama.cpp, and the compatible APIs of Google and Ollama.
    OpenAiChat,
    /// OpenAI "Responses", which Azure, Groq, xAI and OpenRouter offer too.
    OpenAiResponses,
    /// OpenAI "Embeddings", and APIs compatible with it.
    OpenAiEmbeddings,
    /// Anthropic "Messages", including Vertex's form of it.
    AnthropicMessages,
    /// Google's `generateContent` and `streamGenerateContent`, of Gemini and of Vertex.
    Gemini,
    /// Google's `embedContent` and `batchEmbedContents`.
    GeminiEmbed,
    /// Bedrock `Converse` and `ConverseStream`.
    BedrockConverse,
    /// Bedrock `InvokeModel` and `InvokeModelWithResponseStream`, with the JSON of the model's vendor.
    BedrockInvoke,
    /// Cohere "Chat", version 2.
    CohereChat,
    /// Cohere "Embed" and "Rerank", version 2.
    CohereEmbed,
    /// Ollama's own `chat` and `generate`.
    Ollama,
    /// Any other HTTP API: nothing is read from its bodies.
    Generic,
}

/// The dialects that can be detected, the most particular first.
const DETECTABLE: [Dialect; 11] = [
    Dialect::AnthropicMessages,
    Dialect::OpenAiChat,
    Dialect::OpenAiResponses,
    Dialect::OpenAiEmbeddings,
    Dialect::Gemini,
    Dialect::GeminiEmbed,
    Dialect::BedrockConverse,
    Dialect::BedrockInvoke,
    Dialect::CohereChat,
    Dialect::CohereEmbed,
    Dialect::Ollama,
];

impl Dialect {
    /// Tells the dialect from the path of a request (without its query) and its headers.
    ///
    /// | path | dialect |
    /// |---|---|
    /// | `…/chat/completions`, `…/v1/completions`, `…/fim/completions`, `…/beta/completions`, `…/agents/completions` | OpenAI chat |
    /// | `…/v1/responses`, `/openai/responses`, Azure's `…/deployments/{name}/responses` | OpenAI responses |
    /// | any of these with `/compact` behind it | OpenAI responses |
    /// | `…/v1/embeddings`, `…/openai/embeddings`, Azure's `…/deployments/{name}/embeddings` | OpenAI embeddings |
    /// | `…/v1/messages` with an `anthropic-version` header, which that API requires | Anthropic messages |
    /// | `…/publishers/anthropic/models/{model}:rawPredict`, `:streamRawPredict` | Anthropic messages |
    /// | `…/models/{model}:generateContent`, `:streamGenerateContent` | Gemini |
    /// | `…/models/{model}:embedContent`, `:batchEmbedContents` | Gemini embed |
    /// | `/model/{model}/converse`, `/converse-stream` | Bedrock converse |
    /// | `/model/{model}/invoke`, `/invoke-with-response-stream` | Bedrock invoke |
    /// | `…/v2/chat`; `…/v2/embed`, `…/v2/rerank` | Cohere chat; embed |
    /// | `/api/chat`, `/api/generate` and nothing before it | Ollama |
    ///
    /// Everything else is generic, including the neighbours of these paths that generate nothing, such as
    /// `/v1/messages/count_tokens` and `…/publishers/anthropic/models/count-tokens:rawPredict`.
    ///
    /// ```
    /// use http::HeaderMap;
    /// use tower_quota::wire::Dialect;
    ///
    /// let headers = HeaderMap::new();
    /// assert_eq!(Dialect::detect("/v1/chat/completions", &headers), Dialect::OpenAiChat);
    /// assert_eq!(Dialect::detect("/v1/models", &headers), Dialect::Generic);
    /// ```
    #[must_use]
    pub fn detect(path: &str, headers: &HeaderMap) -> Dialect {
        let serves = |dialect: &Dialect| dialect.spec().serves(path, headers);
        let found = DETECTABLE.into_iter().find(serves);
        found.unwrap_or(Dialect::Generic)
    }

    /// The model that stands in a path of this dialect.
    #[cfg(feature = "gateway")]
    pub(crate) fn model_in(self, path: &str) -> Option<String> {
        self.spec().in_url(path).model
    }

    /// Returns the provider that defined the dialect, as limits and prices name it: `openai`, `anthropic`, `gemini`,
    /// `bedrock`, `cohere` or `ollama`. `None` for [`Generic`](Dialect::Generic).
    #[must_use]
    pub fn provider(self) -> Option<&'static str> {
        self.spec().provider()
    }

    /// Returns its name for data, in one word: `openai_chat`, `anthropic_messages`, `generic`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Dialect::OpenAiChat => "openai_chat",
            Dialect::OpenAiResponses => "openai_responses",
            Dialect::OpenAiEmbeddings => "openai_embeddings",
            Dialect::AnthropicMessages => "anthropic_messages",
            Dialect::Gemini => "gemini",
            Dialect::GeminiEmbed => "gemini_embed",
            Dialect::BedrockConverse => "bedrock_converse",
            Dialect::BedrockInvoke => "bedrock_invoke",
            Dialect::CohereChat => "cohere_chat",
            Dialect::CohereEmbed => "cohere_embed",
            Dialect::Ollama => "ollama",
            Dialect::Generic => "generic",
        }
    }

    pub(super) fn spec(self) -> &'static dyn Spec {
        match self {
            Dialect::OpenAiChat => &openai_chat::OpenAiChat,
            Dialect::OpenAiResponses => &openai_responses::OpenAiResponses,
            Dialect::OpenAiEmbeddings => &openai_embeddings::OpenAiEmbeddings,
            Dialect::AnthropicMessages => &anthropic_messages::AnthropicMessages,
            Dialect::Gemini => &gemini::Gemini,
            Dialect::GeminiEmbed => &gemini_embed::GeminiEmbed,
            Dialect::BedrockConverse => &bedrock_converse::BedrockConverse,
            Dialect::BedrockInvoke => &bedrock_invoke::BedrockInvoke,
            Dialect::CohereChat => &cohere_chat::CohereChat,
            Dialect::CohereEmbed => &cohere_embed::CohereEmbed,
            Dialect::Ollama => &ollama::Ollama,
            Dialect::Generic => &generic::Generic,
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
