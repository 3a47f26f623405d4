//! Where well-known providers are.

/// Base URLs that take calls in OpenAI's API.
const ADDRESSES: [(&str, &str); 11] = [
    ("openai", "https://api.openai.com/v1"),
    // Its own API as well.
    ("anthropic", "https://api.anthropic.com/v1"),
    (
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
    ),
    ("groq", "https://api.groq.com/openai/v1"),
    ("mistral", "https://api.mistral.ai/v1"),
    ("deepseek", "https://api.deepseek.com/v1"),
    ("openrouter", "https://openrouter.ai/api/v1"),
    ("xai", "https://api.x.ai/v1"),
    ("together", "https://api.together.xyz/v1"),
    ("fireworks", "https://api.fireworks.ai/inference/v1"),
    ("cohere", "https://api.cohere.ai/compatibility/v1"),
];

/// The base URL of a provider by our name for it.
pub(in crate::config) fn address(provider: &str) -> Option<&'static str> {
    let known = ADDRESSES.iter().find(|(name, _)| *name == provider);
    known.map(|(_, address)| *address)
}

/// Our names of the providers whose address is known.
pub(in crate::config) fn all() -> impl Iterator<Item = &'static str> {
    ADDRESSES.into_iter().map(|(name, _)| name)
}

/// Whose address is known.
pub(super) fn names() -> String {
    ADDRESSES.map(|(name, _)| name).join(", ")
}

/// Whether a provider takes keys as `Bearer` there, whatever its own API does.
pub(super) fn takes_bearer(provider: &str, base_url: &str) -> bool {
    provider == "gemini" && base_url.trim_end_matches('/').ends_with("/openai")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failover::Provider;

    #[test]
    fn every_address_is_one() {
        for (name, address) in ADDRESSES {
            assert!(Provider::new(name, address).is_ok(), "{name}");
            assert!(address.starts_with("https://"), "{name}");
        }
    }
}
