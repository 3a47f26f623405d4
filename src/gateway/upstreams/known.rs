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

/// Where Azure has resources of OpenAI's models, of other models, and of all that it sells, and its other clouds.
const AZURE: [&str; 8] = [
    ".openai.azure.com",
    ".openai.azure.us",
    ".openai.azure.cn",
    ".services.ai.azure.com",
    ".models.ai.azure.com",
    ".cognitiveservices.azure.com",
    ".cognitiveservices.azure.us",
    ".cognitiveservices.azure.cn",
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

/// Whether providers of models are at this host, whatever they are named here.
pub(super) fn is_host(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let is_at = |address: &str| {
        let address = address.trim_start_matches("https://");
        address.split('/').next() == Some(host.as_str())
    };
    // What others sell by the token is there under names of one's own.
    let is_azure = AZURE.iter().any(|end| host.ends_with(end));
    let is_bedrock = host.starts_with("bedrock-runtime") && host.contains(".amazonaws.com");
    let is_cloud = is_azure || is_bedrock || host.ends_with("aiplatform.googleapis.com");
    is_cloud || ADDRESSES.iter().any(|(_, address)| is_at(address))
}

/// Whether an API of Google's is at this host.
pub(super) fn is_googles(host: &str) -> bool {
    let (host, end) = (host.as_bytes(), b"googleapis.com");
    let Some(at) = host.len().checked_sub(end.len()) else {
        return false;
    };
    host[at..].eq_ignore_ascii_case(end) && (at == 0 || host[at - 1] == b'.')
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
    fn providers_are_known_by_where_they_are() {
        for host in [
            "api.openai.com",
            "API.Groq.com",
            "mine.openai.azure.com",
            "mine.openai.azure.us",
            "mine.cognitiveservices.azure.com",
            "bedrock-runtime.eu-west-1.amazonaws.com",
            "bedrock-runtime-fips.us-gov-west-1.amazonaws.com",
            "bedrock-runtime.cn-north-1.amazonaws.com.cn",
            "europe-west4-aiplatform.googleapis.com",
        ] {
            assert!(is_host(host), "{host}");
        }
        for (host, is) in [
            ("generativelanguage.googleapis.com", true),
            ("Europe-West4-AIPlatform.googleapis.com", true),
            ("GoogleAPIs.com", true),
            (".googleapis.com", true),
            ("notgoogleapis.com", false),
            ("apis.com", false),
            ("", false),
            ("api.openai.com", false),
        ] {
            assert_eq!(is_googles(host), is, "{host}");
        }
        for host in [
            "api.openai.com.evil.example",
            "openai.azure.com",
            "127.0.0.1",
            "s3.amazonaws.com",
            "",
        ] {
            assert!(!is_host(host), "{host}");
        }
    }

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
