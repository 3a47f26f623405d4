//! What things are called in OpenTelemetry's conventions for generative AI.
//!
//! <https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-metrics.md>

use crate::wire::Dialect;

/// What a call in this API does.
pub(crate) fn operation_name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiEmbeddings | Dialect::CohereEmbed => "embeddings",
        Dialect::Gemini => "generate_content",
        Dialect::Generic => "request",
        _ => "chat",
    }
}

/// What a provider is called there; ours where it has no name.
pub(crate) fn provider_name(provider: &str) -> &str {
    match provider {
        "azure" => "azure.ai.openai",
        "bedrock" => "aws.bedrock",
        "gemini" => "gcp.gemini",
        "vertex" => "gcp.vertex_ai",
        "mistral" => "mistral_ai",
        "moonshot" => "moonshot_ai",
        "xai" => "x_ai",
        "watsonx" => "ibm.watsonx.ai",
        other => other,
    }
}
