//! From text to values, with errors that say where, what and what was meant.

use std::{fs, path::Path};

use serde::{Deserialize as _, de::DeserializeOwned};

use super::{
    Config, ConfigError, Format, Quota, RateLimiting,
    doubt::Elsewhere,
    environment::{self, Environment, Keys},
    schema,
    tree::{At, Key, LIMITS, Node, TreeError, Value},
};

/// A whole file: what holds the block of this crate.
pub(crate) trait Root: DeserializeOwned {
    fn rate_limiting(&mut self) -> &mut RateLimiting;

    /// The providers that are named beside that block.
    fn providers(&self) -> Vec<String> {
        Vec::new()
    }
}

pub(crate) fn from_path<T: Root>(path: &Path) -> Result<T, ConfigError> {
    let (text, format) = file(path)?;
    from_text(&text, format, &|name| std::env::var(name).ok())
}

/// As [`from_path`], where nothing will be sent: keys may name variables that are not set.
#[cfg(feature = "simulate")]
pub(crate) fn from_path_without_keys<T: Root>(path: &Path) -> Result<T, ConfigError> {
    let (text, format) = file(path)?;
    with_keys(
        &text,
        format,
        &|name| std::env::var(name).ok().filter(|value| !value.is_empty()),
        Keys::MayBeMissing,
    )
}

fn file(path: &Path) -> Result<(String, Format), ConfigError> {
    let format = Format::of_path(path)?;
    let text = fs::read_to_string(path).map_err(|error| ConfigError::File {
        file: path.to_owned(),
        reason: format!("cannot be read: {error}"),
    })?;
    Ok((text, format))
}

pub(crate) fn from_text<T: Root>(
    text: &str,
    format: Format,
    environment: Environment<'_>,
) -> Result<T, ConfigError> {
    with_keys(text, format, environment, Keys::AreNeeded)
}

/// Reads a file of another shape, without names of the environment.
#[cfg(feature = "simulate")]
pub(crate) fn other_from_path<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let (text, format) = file(path)?;
    other_from_text(&text, format)
}

/// As [`other_from_path`].
#[cfg(feature = "simulate")]
pub(crate) fn other_from_text<T: DeserializeOwned>(
    text: &str,
    format: Format,
) -> Result<T, ConfigError> {
    from_node(Node::of(text, format)?)
}

fn with_keys<T: Root>(
    text: &str,
    format: Format,
    environment: Environment<'_>,
    keys: Keys,
) -> Result<T, ConfigError> {
    let mut node = Node::of(text, format)?;
    let replaced = environment::replace(&mut node, environment, keys)?;
    let mut read: T = from_node(node)?;
    let elsewhere = Elsewhere(read.providers());
    let block = read.rate_limiting();
    block.replaced = replaced;
    block.elsewhere = elsewhere;
    Ok(read)
}

/// Reads a tree.
pub(super) fn from_node<T: DeserializeOwned>(node: Node) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(node).map_err(|error| {
        let path = error.path().to_string();
        let TreeError { reason, at, .. } = error.into_inner();
        ConfigError::Syntax {
            reason: of_whole_provider(&path, &reason).unwrap_or(reason),
            // The whole file is not a place.
            path: if path == "." { String::new() } else { path },
            line: at.line,
            column: at.column,
        }
    })
}

/// What helps where limits are written for a whole provider, in the place of its models.
fn of_whole_provider(path: &str, reason: &str) -> Option<String> {
    let place = path.strip_prefix("rate_limiting.providers.")?;
    let (provider, key) = place.rsplit_once('.')?;
    (reason.contains(LIMITS) && is_of_limits(key)).then(|| {
        format!(
            "`{key}` is no model: limits stand under a model here, as `gpt-4o: {{ rpm: 60 }}`; for a whole provider write \
             them under `rate_limiting.limits`, or `budgets`, with `when: {{ provider: {provider} }}`"
        )
    })
}

/// Whether a block of limits has this key.
fn is_of_limits(key: &str) -> bool {
    let at = At::default();
    let key = Key {
        at,
        name: key.to_owned(),
    };
    let nothing = Node {
        at,
        value: Value::Null,
    };
    let block = Node {
        at,
        value: Value::Map(vec![(key, nothing)]),
    };
    Quota::deserialize(block).is_ok()
}

impl Config {
    /// Reads a file in the format that its ending names: `.yaml`, `.yml`, `.json` or `.toml`.
    ///
    /// # Errors
    /// [`ConfigError::File`] where it cannot be read, or has another ending; else as [`from_yaml`](Self::from_yaml).
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        from_path(path.as_ref())
    }

    /// As [`from_path`](Self::from_path), where nothing will be sent, as in a simulation: a key may name a variable of the
    /// environment that is not set or empty. What it builds reaches no provider.
    ///
    /// # Errors
    /// As there.
    #[cfg(feature = "simulate")]
    pub fn from_path_without_keys(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        from_path_without_keys(path.as_ref())
    }

    /// Reads YAML.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`] for what does not read; values are checked by [`build`](Config::build).
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        Self::from_text(text, Format::Yaml, |name| std::env::var(name).ok())
    }

    /// Reads JSON. Keys and values are those of YAML.
    ///
    /// ```
    /// use tower_quota::config::Config;
    ///
    /// let json = Config::from_json(r#"{ "rate_limiting": { "global": { "rpm": 60 } } }"#)?;
    /// assert_eq!(json, Config::from_yaml("rate_limiting: { global: { rpm: 60 } }")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`from_yaml`](Self::from_yaml).
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        Self::from_text(text, Format::Json, |name| std::env::var(name).ok())
    }

    /// Reads TOML. Keys and values are those of YAML.
    ///
    /// ```
    /// use tower_quota::config::Config;
    ///
    /// let toml = Config::from_toml("[rate_limiting.providers.openai]\n\"gpt-4.1\" = { rpm = 60 }")?;
    /// assert_eq!(toml, Config::from_yaml("rate_limiting: { providers: { openai: { gpt-4.1: { rpm: 60 } } } }")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`from_yaml`](Self::from_yaml).
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Self::from_text(text, Format::Toml, |name| std::env::var(name).ok())
    }

    /// Reads text in this format, with these variables in place of the environment's: secrets of another store, or
    /// none.
    ///
    /// ```
    /// use tower_quota::config::{Config, Format};
    ///
    /// let text = "rate_limiting: { global: { rpm: '${RPM}' } }";
    /// let read = |text| Config::from_text(text, Format::Yaml, |name| (name == "RPM").then(|| "60".to_owned()));
    /// assert_eq!(read(text)?.rate_limiting.global.requests_per_minute, Some(60));
    /// assert_eq!(
    ///     read("rate_limiting: { time_zone: '${ZONE}' }").unwrap_err().to_string(),
    ///     "rate_limiting.time_zone: the environment variable `ZONE` is not set; set it, or write \
    ///      `${ZONE:-other}` (line 1, column 29)"
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`from_yaml`](Self::from_yaml).
    pub fn from_text(
        text: &str,
        format: Format,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        from_text(text, format, &environment)
    }
}

impl Config {
    /// The JSON Schema (draft 2020-12) of a file: for editors that complete keys, and for those who check files
    /// elsewhere. What only the values together can be wrong about, it does not know.
    ///
    /// ```
    /// use tower_quota::config::Config;
    ///
    /// let schema = Config::json_schema();
    /// assert_eq!(schema["properties"]["rate_limiting"]["$ref"], "#/$defs/RateLimiting");
    /// let quota = &schema["$defs"]["Quota"];
    /// assert_eq!(quota["additionalProperties"], false);
    /// assert_eq!(quota["properties"]["rpm"]["description"], "Another name of `requests_per_minute`.");
    /// ```
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        schema::of::<Self>()
    }
}

impl Root for Config {
    fn rate_limiting(&mut self) -> &mut RateLimiting {
        &mut self.rate_limiting
    }
}
