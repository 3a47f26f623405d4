//! Providers.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

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
    /// The base URL, as you would give it to the provider's SDK: `https://api.openai.com/v1`. You may leave it out for
    /// `openai`, `anthropic`, `gemini`, `groq`, `mistral`, `deepseek`, `openrouter`, `xai`, `together`, `fireworks` and
    /// `cohere`: then it is their address for calls in OpenAI's API. Anthropic's address takes calls in its own API as
    /// well. For calls in Gemini's own API write `https://generativelanguage.googleapis.com/v1beta`, for calls in Cohere's
    /// own API `https://api.cohere.com`.
    #[schemars(regex(pattern = r"^https?://|\$\{[A-Za-z_]"))]
    pub base_url: Option<String>,
    /// The name by which limits and prices know the provider, if it is not the name of this entry: `azure` for an entry that
    /// is called `azure-west`.
    #[schemars(length(min = 1))]
    pub provider: Option<String>,
    /// How the provider takes keys, if that does not follow from its name: `bearer`, or `{ header: api-key }`. Most take
    /// `bearer`; `azure` takes `api-key`, `anthropic` takes `x-api-key`, and `gemini` in its own API takes
    /// `x-goog-api-key`.
    pub auth: Option<AuthConfig>,
    /// The provider's API keys. You may leave them out, for example for a server of your own: then calls that came for
    /// exactly this address keep the caller's key, and all others are sent without a key.
    #[serde(deserialize_with = "key::list")]
    pub keys: Vec<KeyConfig>,
    /// The order in which the keys are tried: `ordered` as they are listed, `round_robin` with each first in turn, `weighted`
    /// with each first as often as its weight says, `most_headroom` with the one first that has the most room left.
    pub pool: PoolName,
    /// What its targets have as their tag `api_key` where it has no keys, if that was said elsewhere.
    #[serde(skip)]
    pub(in crate::config) label: Option<String>,
}

/// How a provider takes keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthConfig {
    /// `bearer`: in `Authorization: Bearer …`.
    Bearer,
    /// `{ header: api-key }`: in that header.
    Header(String),
}

/// The order in which keys are tried: a [`Pool`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PoolName {
    /// The first key, as long as it can be used.
    #[default]
    Ordered,
    /// Each key first in turn.
    RoundRobin,
    /// Each key first as often as its weight says.
    Weighted,
    /// The key with the most room left first.
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
