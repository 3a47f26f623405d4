//! The languages that the simulator speaks, and whose they are.

/// The language of a request and of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI chat completions.
    OpenAi,
    /// OpenAI responses.
    OpenAiResponses,
    /// OpenAI embeddings.
    OpenAiEmbeddings,
    /// Anthropic messages.
    Anthropic,
    /// Gemini's `generateContent` and `streamGenerateContent`.
    Gemini,
    /// Gemini's `embedContent` and `batchEmbedContents`.
    GeminiEmbeddings,
}

/// Who speaks it: what all dialects of one provider have in common, such as errors and headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provider {
    OpenAi,
    Anthropic,
    Gemini,
}

impl Dialect {
    pub(crate) fn provider(self) -> Provider {
        match self {
            Self::OpenAi | Self::OpenAiResponses | Self::OpenAiEmbeddings => Provider::OpenAi,
            Self::Anthropic => Provider::Anthropic,
            Self::Gemini | Self::GeminiEmbeddings => Provider::Gemini,
        }
    }

    /// Whether the model writes anything.
    pub(crate) fn generates(self) -> bool {
        !matches!(self, Self::OpenAiEmbeddings | Self::GeminiEmbeddings)
    }
}
