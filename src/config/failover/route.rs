//! Routes.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::SeqAccess};

use super::TargetConfig;
use crate::config::{
    schema,
    short::{self, Short},
};

/// The targets of a model name: a list, in the order in which they are tried; or a block with `ordered` or `weighted`,
/// and `degraded`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RouteConfig {
    /// The targets.
    pub targets: Vec<TargetConfig>,
    /// Whether each target is tried first as often as its weight says, and the others follow.
    pub weighted: bool,
    /// The targets that serve once a share of a budget is used.
    pub degraded: Option<DegradedConfig>,
    /// Where the targets stand in the file.
    pub(super) written: Written,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// They are the whole value.
    List,
    /// Under this key of it.
    Key(&'static str),
}

/// Cheaper targets that serve in place of the others once a share of a budget is used.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DegradedConfig {
    /// The share of a budget from which on these targets serve, reserved money included: `0.9`. It is enough that one of the
    /// budgets that the call counts in reaches it.
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    pub from: f64,
    /// The targets, in the order in which they are tried. Below that share they serve only when no other target can.
    pub targets: Vec<TargetConfig>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Block {
    /// The targets: the first one that can serve a call does.
    #[serde(default)]
    ordered: Option<Vec<TargetConfig>>,
    /// The targets: each is tried first as often as its weight says, and the others follow.
    #[serde(default)]
    weighted: Option<Vec<TargetConfig>>,
    /// Cheaper targets that serve in place of the others once a share of a budget is used.
    #[serde(default)]
    degraded: Option<DegradedConfig>,
}

impl RouteConfig {
    pub(in crate::config) fn weighted(targets: Vec<TargetConfig>) -> Self {
        RouteConfig {
            targets,
            weighted: true,
            degraded: None,
            written: Written::Key("weighted"),
        }
    }
}

impl PartialEq for RouteConfig {
    /// However it was written.
    fn eq(&self, other: &Self) -> bool {
        let all = |route: &Self| {
            (
                route.targets.clone(),
                route.weighted,
                route.degraded.clone(),
            )
        };
        all(self) == all(other)
    }
}

impl Short for RouteConfig {
    type Block = Block;
    const WANTED: &'static str =
        "a list of targets, [openai/gpt-5.5], or a block with `ordered` or `weighted`";

    fn of_block(block: Block) -> Result<Self, String> {
        let (targets, written) = match (block.ordered, block.weighted) {
            (Some(targets), None) => (targets, "ordered"),
            (None, Some(targets)) => (targets, "weighted"),
            _ => {
                return Err(
                    "says not which targets serve; write them under `ordered` or under `weighted`, one of the two"
                        .to_owned(),
                );
            }
        };
        Ok(RouteConfig {
            targets,
            weighted: written == "weighted",
            degraded: block.degraded,
            written: Written::Key(written),
        })
    }

    fn of_text(_: &str) -> Result<Self, String> {
        Err(format!(
            "a text does not belong here; wanted is {}",
            Self::WANTED
        ))
    }

    fn of_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut targets = Vec::new();
        while let Some(target) = list.next_element()? {
            targets.push(target);
        }
        Ok(RouteConfig {
            targets,
            weighted: false,
            degraded: None,
            written: Written::List,
        })
    }
}

impl<'de> Deserialize<'de> for RouteConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short::read(deserializer)
    }
}

schema::short! { RouteConfig: Block, ["array"], TargetConfig }
