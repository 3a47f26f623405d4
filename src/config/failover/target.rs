//! Targets.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use crate::config::{
    schema,
    short::{self, Short},
};

/// A model of a provider that calls can go to: `openai/gpt-5.5`, or a block.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TargetConfig {
    /// The provider, by its name under `providers`.
    pub provider: String,
    /// The model, by the name that limits and prices use for it.
    pub model: String,
    /// The name that the provider uses for the model, if that is another one: an Azure deployment, a fine-tune.
    pub sent_as: Option<String>,
    /// How often the target is tried first, if the route is `weighted`. With 0 it is tried only after all others.
    pub weight: u32,
    /// How many tokens the model takes at most, input and output together. A call that was too long for another model goes
    /// only to targets that take more, or whose `context` is not set.
    pub context: Option<u64>,
}

/// `openai/gpt-5.5`
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Place {
    provider: String,
    model: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Block {
    /// The provider, by its name under `providers`, and its model: `openai/gpt-5.5`.
    #[schemars(with = "String", regex(pattern = r"^[^/]+/.|\$\{[A-Za-z_]"))]
    target: Place,
    /// The name that the provider uses for the model, if that is another one: an Azure deployment, a fine-tune.
    #[serde(default)]
    #[schemars(length(min = 1))]
    sent_as: Option<String>,
    /// How often the target is tried first, if the route is `weighted`. With 0 it is tried only after all others.
    #[serde(default = "one")]
    #[schemars(range(min = 0))]
    weight: u32,
    /// How many tokens the model takes at most, input and output together.
    #[serde(default)]
    #[schemars(range(min = 1))]
    context: Option<u64>,
}

fn one() -> u32 {
    1
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once('/') {
            Some((provider, model)) if !provider.is_empty() && !model.is_empty() => Ok(Place {
                provider: provider.to_owned(),
                model: model.to_owned(),
            }),
            // Without the text: it may be a key that has slipped into the wrong line.
            _ => Err("names no provider with a model; write it as openai/gpt-5.5".to_owned()),
        }
    }
}

impl TargetConfig {
    pub(in crate::config) fn new(provider: impl Into<String>, model: impl Into<String>) -> Self {
        TargetConfig {
            provider: provider.into(),
            model: model.into(),
            sent_as: None,
            weight: 1,
            context: None,
        }
    }
}

impl Short for TargetConfig {
    type Block = Block;
    const WANTED: &'static str = "a target, openai/gpt-5.5, or a block with `target`";

    fn of_block(block: Block) -> Result<Self, String> {
        let Block {
            target,
            sent_as,
            weight,
            context,
        } = block;
        Ok(TargetConfig {
            sent_as,
            weight,
            context,
            ..TargetConfig::new(target.provider, target.model)
        })
    }

    fn of_text(text: &str) -> Result<Self, String> {
        let Place { provider, model } = text.to_owned().try_into()?;
        Ok(TargetConfig::new(provider, model))
    }
}

impl<'de> Deserialize<'de> for TargetConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short::read(deserializer)
    }
}

schema::short! { TargetConfig: Block, ["string"] }
