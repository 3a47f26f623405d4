//! Where well-known providers are, without what callers' paths begin with, and how they take keys.

use http::HeaderName;

use crate::failover::Auth;

const ADDRESSES: [(&str, &str); 11] = [
    ("openai", "https://api.openai.com"),
    ("anthropic", "https://api.anthropic.com"),
    ("gemini", "https://generativelanguage.googleapis.com"),
    ("mistral", "https://api.mistral.ai"),
    ("groq", "https://api.groq.com/openai"),
    ("xai", "https://api.x.ai"),
    ("deepseek", "https://api.deepseek.com"),
    ("openrouter", "https://openrouter.ai/api"),
    ("cohere", "https://api.cohere.com"),
    ("together", "https://api.together.xyz"),
    ("fireworks", "https://api.fireworks.ai/inference"),
];

pub(super) fn address(name: &str) -> Option<&'static str> {
    let known = ADDRESSES.iter().find(|(known, _)| *known == name);
    known.map(|(_, address)| *address)
}

/// Whether providers of models have this name.
pub(super) fn is_provider(name: &str) -> bool {
    address(name).is_some()
        || ["azure", "bedrock", "vertex", "vertex_ai", "perplexity"].contains(&name)
}

pub(super) fn names() -> String {
    ADDRESSES.map(|(name, _)| name).join(", ")
}

pub(super) fn auth(name: &str) -> Auth {
    match name {
        "anthropic" => Auth::Header(HeaderName::from_static("x-api-key")),
        "azure" => Auth::Header(HeaderName::from_static("api-key")),
        "gemini" => Auth::Header(HeaderName::from_static("x-goog-api-key")),
        _ => Auth::Bearer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::Upstream;

    #[test]
    fn every_address_is_one_without_what_paths_begin_with() {
        for (name, address) in ADDRESSES {
            assert!(address.parse::<Upstream>().is_ok(), "{name}");
            assert!(
                address.starts_with("https://") && !address.ends_with("/v1"),
                "{name}"
            );
        }
    }
}
