//! What a configuration says, in whatever format: values, each with the place it stands at.

mod error;
mod json;
mod read;
mod toml;
mod yaml;

pub(super) use error::{LIMITS, TreeError, unknown};

use super::{ConfigError, Format};

/// How deep values may stand inside others.
const DEEPEST: usize = 64;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) value: Value,
}

/// A place in a file: line and column from 1; 0 where they are not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

/// The key of a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    pub(crate) at: At,
    pub(crate) name: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Whole(u64),
    Negative(i64),
    Float(f64),
    Text {
        text: String,
        /// What is in the file, where names in it were replaced.
        written: Option<String>,
    },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Value::Text {
            text: text.into(),
            written: None,
        }
    }
}

impl Node {
    pub(crate) fn of(text: &str, format: Format) -> Result<Node, ConfigError> {
        match format {
            Format::Yaml => yaml::read(text),
            Format::Json => json::read(text),
            Format::Toml => toml::read(text),
        }
    }
}

/// Where the byte at `offset` of a text stands.
fn at(text: &str, offset: usize) -> At {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    At {
        line: before.matches('\n').count() as u64 + 1,
        column: line.chars().count() as u64 + 1,
    }
}

/// What is said of a key that is there already.
fn twice(key: &str) -> String {
    format!("the key `{key}` stands twice")
}

/// What does not read at all.
fn unreadable(reason: impl Into<String>, at: At) -> ConfigError {
    ConfigError::Syntax {
        path: String::new(),
        reason: reason.into(),
        line: at.line,
        column: at.column,
    }
}
