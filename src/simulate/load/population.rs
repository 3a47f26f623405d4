//! Agents that are made up.

use std::{collections::BTreeMap, path::Path, time::SystemTime};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};

use super::{
    Draw, Rate,
    bounds::{TOO_LONG, bounded},
    moment,
};
use crate::{
    config::{ConfigError, Format, Span, other_from_path, other_from_text},
    simulate::LoadError,
    tags::Tags,
};

/// Made-up agents in groups, each group with its models, its sizes and its pace. Unknown keys are errors.
///
/// ```
/// use tower_quota::simulate::Population;
///
/// let population = Population::from_yaml("
/// seed: 7
/// groups:
///   scouts:
///     agents: 20
///     tags: { team: research }
///     models: { gpt-4o: 1, gpt-4o-mini: 3 }
///     input: { p50: 800, p95: 4000 }
///     output: { uniform: [50, 400] }
///     latency: { p50: 2s, p95: 8s }
///     think: 5s
///     for: 10m
/// ")?;
/// assert_eq!(population.agents(), 20);
/// # Ok::<(), tower_quota::simulate::LoadError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Population {
    /// The seed for everything that is drawn. Every agent draws for itself, so more agents do not change what the
    /// others do.
    #[serde(default)]
    pub seed: u64,
    /// The wall-clock time at the beginning: `2026-11-26T12:00:00Z`.
    #[serde(default, deserialize_with = "date")]
    pub start: Option<SystemTime>,
    /// The groups, by their names.
    pub groups: BTreeMap<String, Group>,
}

/// Agents that are alike.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Group {
    /// How many agents there are.
    #[serde(default = "one")]
    pub agents: u32,
    /// The tags of their calls. Without an `agent` among them, each agent has a name of its own, `scouts-1`; with one,
    /// they all have that name.
    #[serde(default)]
    pub tags: Tags,
    /// The models that they call: one, several equally often (`[gpt-4o, gpt-4o-mini]`), or by weight
    /// (`{ gpt-4o: 1, gpt-4o-mini: 3 }`).
    #[serde(alias = "model")]
    pub models: Models,
    /// How urgent their calls are.
    #[serde(default)]
    pub priority: i32,
    /// Input tokens of a call.
    pub input: Draw<u64>,
    /// Output tokens of a call.
    pub output: Draw<u64>,
    /// The output cap that calls name; no output is longer.
    #[serde(default)]
    pub max_tokens: Option<u64>,
    /// How long an answer takes.
    pub latency: Draw<Span>,
    /// Closed loop: how long after its last answer an agent calls again; after a refusal, at least a second.
    #[serde(default)]
    pub think: Option<Draw<Span>>,
    /// Open loop: how often each agent calls on average, at random and without waiting for its answers.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// The time over which the agents begin one by one, instead of all at once.
    #[serde(default)]
    pub ramp: Span,
    /// How many calls each agent makes.
    #[serde(default)]
    pub calls: Option<u64>,
    /// For how long each agent calls, from its own beginning on.
    #[serde(default, rename = "for")]
    pub lasts: Option<Span>,
    /// How many calls of an agent make a run. Its tag `run` is `scouts-1/1` and so on.
    #[serde(default)]
    pub calls_per_run: Option<u64>,
    /// How long a call may wait for room.
    #[serde(default)]
    pub max_wait: Option<Span>,
}

/// Models, and how often each is called in relation to the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Models(pub(super) Vec<(String, u32)>);

fn one() -> u32 {
    1
}

impl Population {
    /// Reads a file in the format that its ending names: `.yaml`, `.yml`, `.json` or `.toml`.
    ///
    /// # Errors
    /// If it cannot be read or is invalid, with the place in the file.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        Self::checked(other_from_path(path.as_ref()))
    }

    /// Reads YAML.
    ///
    /// # Errors
    /// If it is invalid, with the place in the text.
    pub fn from_yaml(text: &str) -> Result<Self, LoadError> {
        Self::checked(other_from_text(text, Format::Yaml))
    }

    fn checked(read: Result<Self, ConfigError>) -> Result<Self, LoadError> {
        let population = read.map_err(LoadError::Population)?;
        if population.groups.is_empty() {
            return Err(wrong("groups".to_owned(), "is empty"));
        }
        for (name, group) in &population.groups {
            let path = |field: &str| format!("groups.{name}.{field}");
            match (group.think.is_some(), group.rate.is_some()) {
                (true, true) => {
                    let reason =
                        "does not go with `think`: agents either wait for their answers or do not";
                    return Err(wrong(path("rate"), reason));
                }
                (false, false) => {
                    let reason =
                        "is missing, and so is `rate`: one of them says when an agent calls";
                    return Err(wrong(path("think"), reason));
                }
                _ => {}
            }
            if group.calls.is_none() && group.lasts.is_none() {
                return Err(wrong(
                    path("for"),
                    "is missing, and so is `calls`: it would never end",
                ));
            }
            if let Some(field) = group.too_long() {
                return Err(wrong(path(field), TOO_LONG));
            }
            if group.rate.is_some_and(|rate| !rate.is_bounded()) {
                return Err(wrong(path("rate"), "is less than once in 100 years"));
            }
            if group.calls_per_run == Some(0) {
                return Err(wrong(path("calls_per_run"), "is 0"));
            }
        }
        Ok(population)
    }

    /// How many agents there are in all.
    #[must_use]
    pub fn agents(&self) -> u64 {
        self.groups
            .values()
            .map(|group| u64::from(group.agents))
            .sum()
    }
}

impl Group {
    /// The first field that says a longer span than makes sense.
    fn too_long(&self) -> Option<&'static str> {
        let drawn = |draw: Draw<Span>| draw.is_bounded();
        let said = |span: Span| bounded(span.into()).is_ok();
        let fields = [
            ("latency", drawn(self.latency)),
            ("think", self.think.is_none_or(drawn)),
            ("ramp", said(self.ramp)),
            ("for", self.lasts.is_none_or(said)),
            ("max_wait", self.max_wait.is_none_or(said)),
        ];
        let wrong = fields.into_iter().find(|(_, is_bounded)| !is_bounded);
        wrong.map(|(field, _)| field)
    }
}

fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = || {
        de::Error::custom(format!(
            "`{text}` is no date; write it as 2026-11-26T12:00:00Z"
        ))
    };
    moment::date(&text).map(Some).ok_or_else(wrong)
}

fn wrong(path: String, reason: &str) -> LoadError {
    LoadError::Population(ConfigError::Value {
        path,
        reason: reason.to_owned(),
    })
}

impl<'de> Deserialize<'de> for Models {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads;

        impl<'de> Visitor<'de> for Reads {
            type Value = Models;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a model, a list of them, or `{ gpt-4o: 1, gpt-4o-mini: 3 }`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Models, E> {
                checked(vec![(text.to_owned(), 1)])
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Models, A::Error> {
                let mut models = Vec::new();
                while let Some(model) = list.next_element()? {
                    models.push((model, 1));
                }
                checked(models)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Models, A::Error> {
                let mut models = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    models.push(pair);
                }
                checked(models)
            }
        }

        fn checked<E: de::Error>(models: Vec<(String, u32)>) -> Result<Models, E> {
            if models.iter().any(|(model, _)| model.is_empty()) {
                return Err(E::custom("a model has no name"));
            }
            match models.iter().any(|(_, weight)| *weight > 0) {
                true => Ok(Models(models)),
                false => Err(E::custom("there is no model that is ever called")),
            }
        }

        deserializer.deserialize_any(Reads)
    }
}
