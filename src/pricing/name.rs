//! The many names of one provider.

/// A price that was found, and how it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found<'t> {
    /// The price.
    pub price: &'t super::Price,
    /// The provider whose price it is.
    pub provider: &'t str,
    /// The name that the price is listed under.
    pub model: &'t str,
    /// The steps from the name that was asked for to the listed one, in words. Empty if they are the same.
    pub steps: Vec<&'static str>,
}

/// Providers by the names that users, SDKs and LiteLLM give them, and by ours.
const PROVIDERS: [(&str, &str); 12] = [
    ("azure_ai", "azure"),
    ("azure_openai", "azure"),
    ("bedrock_converse", "bedrock"),
    ("aws.bedrock", "bedrock"),
    ("cohere_chat", "cohere"),
    ("fireworks_ai", "fireworks"),
    ("gcp.gemini", "gemini"),
    ("google", "gemini"),
    ("together_ai", "together"),
    ("vertex_ai", "gemini"),
    ("mistral_ai", "mistral"),
    ("x_ai", "xai"),
];

/// Our name of a provider.
pub(crate) fn provider(name: &str) -> &str {
    // LiteLLM says whose models Vertex serves: `vertex_ai-anthropic_models`.
    let name = if name.starts_with("vertex_ai-") {
        "vertex_ai"
    } else {
        name
    };
    let known = PROVIDERS.iter().find(|(other, _)| *other == name);
    known.map_or(name, |(_, ours)| ours)
}

/// All names of providers that have more than one, ours among them.
#[cfg(feature = "config")]
pub(crate) fn providers() -> impl Iterator<Item = &'static str> {
    PROVIDERS
        .into_iter()
        .flat_map(|(other, ours)| [other, ours])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_have_one_name() {
        assert_eq!(provider("vertex_ai"), "gemini");
        assert_eq!(provider("vertex_ai-llama_models"), "gemini");
        assert_eq!(provider("openai"), "openai");
    }
}
