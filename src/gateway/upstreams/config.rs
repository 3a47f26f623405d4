//! `gateway.upstreams`

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::{Place, Upstream, known};
use crate::{
    config::{AuthConfig, Secret},
    failover::Auth,
};

/// A named upstream. Paths that begin with its name lead to it: `/mistral/v1/chat/completions` is
/// `/v1/chat/completions` of `mistral`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct UpstreamConfig {
    /// Its address, with or without the `/v1` that callers' paths begin with. It may be left out for `openai`, `anthropic`,
    /// `gemini`, `mistral`, `groq`, `xai`, `deepseek`, `openrouter`, `cohere`, `together` and `fireworks`.
    #[schemars(with = "Option<String>", regex(pattern = r"^https?://|\$\{[A-Za-z_]"))]
    pub url: Option<Upstream>,
    /// The name that limits and prices know it by, if that is not its own. A server of one's own reports what its streams used
    /// only if it is asked, and is asked if this says what it is: `vllm`, `ollama`, `llamacpp`, `lm_studio` or `sglang`.
    #[serde(deserialize_with = "filled")]
    #[schemars(length(min = 1))]
    pub provider: Option<String>,
    /// Its API key: `"${OPENAI_API_KEY}"`. It is sent instead of whatever credentials the caller shows. Without one,
    /// the caller's own credentials are sent on, except for keys of this gateway.
    #[serde(deserialize_with = "filled_secret")]
    #[schemars(with = "Option<String>", length(min = 1))]
    pub key: Option<Secret>,
    /// How it takes the key, if its name does not tell: `bearer`, or `{ header: x-api-key }`.
    pub auth: Option<AuthConfig>,
    /// Whether it gets all calls that have neither a route nor an upstream of their own. If there is only one upstream,
    /// it gets them in any case.
    pub default: bool,
    /// What happens, if there are budgets, to calls of which nothing but their number can be counted.
    pub unmetered: Option<Unmetered>,
}

fn filled<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    match text {
        Some(text) if text.trim().is_empty() => Err(de::Error::custom(
            "is empty; leave it out, or say something",
        )),
        text => Ok(text),
    }
}

fn filled_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    let secret = Option::<Secret>::deserialize(deserializer)?;
    match secret {
        Some(secret) if secret.expose().trim().is_empty() => Err(de::Error::custom(
            "its key is empty; leave it out where there is none",
        )),
        secret => Ok(secret),
    }
}

/// What happens to calls of which nothing but their number can be counted: those that give a provider work in a form
/// that is not understood here, such as images, audio and batches, so that their cost would be in no budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unmetered {
    /// They are refused if there is a budget.
    #[default]
    Deny,
    /// They pass, and cost nothing here. This is the default for upstreams that are not known as a provider by their
    /// name, their `provider` or their host.
    Allow,
}

/// An upstream that is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct BadUpstream {
    /// Where it stands: `gateway.upstreams.mine.auth.header`.
    pub(in crate::gateway) path: String,
    pub(in crate::gateway) reason: String,
}

impl BadUpstream {
    pub(super) fn two_defaults(name: &str, other: Option<&str>) -> Self {
        let other = other.map_or("gateway.upstream".to_owned(), |other| format!("`{other}`"));
        BadUpstream {
            path: format!("gateway.upstreams.{name}"),
            reason: format!("is `default`, and so is {other}; one of them can be"),
        }
    }
}

/// The first parts of paths that lead to this gateway itself, or to the APIs of providers.
const TAKEN: [&str; 8] = [
    "v1", "v1beta", "v2", "api", "quota", "healthz", "readyz", "metrics",
];

impl UpstreamConfig {
    pub(super) fn place(&self, name: &str) -> Result<Place, BadUpstream> {
        let bad_at = |field: &str, reason: String| BadUpstream {
            path: format!("gateway.upstreams.{name}{field}"),
            reason,
        };
        let bad = |reason| bad_at("", reason);
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        if name.is_empty() || !name.chars().all(is_plain) || TAKEN.contains(&name) {
            return Err(bad(format!(
                "is no name of an upstream: small letters, digits, hyphens, and none of {}",
                TAKEN.join(", ")
            )));
        }
        let known = known::address(name);
        let url = match (&self.url, known) {
            (Some(url), _) => url.clone(),
            (None, Some(address)) => address
                .parse()
                .map_err(|error: super::UpstreamError| bad(error.to_string()))?,
            (None, None) => {
                return Err(bad(format!(
                    "has no url, and is none whose address is known: these are {}",
                    known::names()
                )));
            }
        };
        let auth = match &self.auth {
            None => known::auth(name),
            Some(AuthConfig::Bearer) => Auth::Bearer,
            Some(AuthConfig::Header(header)) => {
                let header = HeaderName::try_from(header.as_str());
                let no = |_| bad_at(".auth.header", "is no name of a header".to_owned());
                Auth::Header(header.map_err(no)?)
            }
        };
        let key = self.key.as_ref().map(|key| {
            let text = format!("{}{}", auth.scheme(), key.expose());
            let value = HeaderValue::try_from(text);
            let value = value.ok().filter(|_| !key.expose().trim().is_empty());
            let mut value =
                value.ok_or_else(|| bad("its key is empty, or cannot be in a header".into()))?;
            value.set_sensitive(true);
            Ok(value)
        });
        let provider = self.provider.as_deref().unwrap_or(name);
        let is_known =
            known.is_some() || known::is_provider(provider) || known::is_host(url.host());
        let unmetered = match is_known {
            true => Unmetered::Deny,
            false => Unmetered::Allow,
        };
        Ok(Place {
            name: Some(Arc::from(name)),
            provider: Some(Arc::from(provider)),
            url,
            auth,
            key: key.transpose()?,
            is_provider: is_known,
            unmetered: self.unmetered.unwrap_or(unmetered),
        })
    }
}
