//! Providers.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::key::{self, KeyConfig};
use crate::{
    config::{
        schema,
        short::{self, Short},
    },
    failover::Pool,
};

/// A provider, or another account or region of one: where its API is, and its keys.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ProviderConfig {
    /// Its base URL, as its SDK is given it: `https://api.openai.com/v1`. It may be left out of `openai`, `anthropic`,
    /// `gemini`, `groq`, `mistral`, `deepseek`, `openrouter`, `xai`, `together`, `fireworks` and `cohere`: then it is the
    /// one of theirs that takes calls in OpenAI's API. Of `anthropic` that takes calls in its own API as well; for those
    /// in Gemini's own write `https://generativelanguage.googleapis.com/v1beta`, for those in Cohere's
    /// `https://api.cohere.com`.
    #[schemars(regex(pattern = r"^https?://|\$\{[A-Za-z_]"))]
    pub base_url: Option<String>,
    /// By which name limits and prices know it, where it is another than its own: `azure` of one that is called
    /// `azure-west`.
    #[schemars(length(min = 1))]
    pub provider: Option<String>,
    /// How it takes keys, where its name does not say: `bearer`, or `{ header: api-key }`. Most take `bearer`; `azure`
    /// takes `api-key`, `anthropic` `x-api-key`, `gemini` at its own API `x-goog-api-key`.
    pub auth: Option<AuthConfig>,
    /// Its API keys. Without any, calls that came for its very address keep the caller's, and all others have none: as for
    /// a server of one's own.
    #[serde(deserialize_with = "key::list")]
    pub keys: Vec<KeyConfig>,
    /// In which order its keys are tried.
    pub pool: PoolName,
}

/// How a provider takes keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthConfig {
    /// `bearer`: as `Authorization: Bearer …`.
    Bearer,
    /// `{ header: api-key }`: in that header.
    Header(String),
}

/// In which order keys are tried: a [`Pool`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PoolName {
    /// The first as long as it can be used.
    #[default]
    Ordered,
    /// Each first in turn.
    RoundRobin,
    /// Each first as often as its weight says.
    Weighted,
    /// First the one with the most room left.
    MostHeadroom,
}

impl PoolName {
    pub(super) fn pool(self) -> Pool {
        match self {
            PoolName::Ordered => Pool::Ordered,
            PoolName::RoundRobin => Pool::RoundRobin,
            PoolName::Weighted => Pool::Weighted,
            PoolName::MostHeadroom => Pool::MostHeadroom,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Block {
    /// The header that the key goes in.
    #[schemars(length(min = 1))]
    header: String,
}

impl Short for AuthConfig {
    type Block = Block;
    const WANTED: &'static str = "`bearer`, or a header: { header: api-key }";

    fn of_block(block: Block) -> Result<Self, String> {
        Ok(AuthConfig::Header(block.header))
    }

    fn of_text(text: &str) -> Result<Self, String> {
        match text {
            "bearer" => Ok(AuthConfig::Bearer),
            // It may be the key.
            _ => Err(format!(
                "the text does not belong here; wanted is {}",
                Self::WANTED
            )),
        }
    }
}

impl<'de> Deserialize<'de> for AuthConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short::read(deserializer)
    }
}

schema::short! { AuthConfig: Block, ["string"] }

impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without its query, nor who is named in it: some put a key there.
        let plain = |url: &String| -> String {
            let address = url.split(['?', '#']).next().unwrap_or_default();
            match (address.split_once("://"), address.rsplit_once('@')) {
                (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
                _ => address.to_owned(),
            }
        };
        f.debug_struct("ProviderConfig")
            .field("base_url", &self.base_url.as_ref().map(plain))
            .field("provider", &self.provider)
            .field("auth", &self.auth)
            .field("keys", &self.keys)
            .field("pool", &self.pool)
            .finish()
    }
}
