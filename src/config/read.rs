//! From text to values, with errors that say where, what and what was meant.

use std::{fs, path::Path};

use serde::de::DeserializeOwned;

use super::{
    ConfigError, Format, RateLimiting,
    environment::{self, Environment},
    tree::{Node, TreeError},
};

/// A whole file: what holds the block of this crate.
pub(crate) trait Root: DeserializeOwned {
    fn rate_limiting(&mut self) -> &mut RateLimiting;
}

pub(crate) fn from_path<T: Root>(path: &Path) -> Result<T, ConfigError> {
    let format = Format::of_path(path)?;
    let text = fs::read_to_string(path).map_err(|error| ConfigError::File {
        file: path.to_owned(),
        reason: format!("cannot be read: {error}"),
    })?;
    from_text(&text, format, &|name| std::env::var(name).ok())
}

pub(crate) fn from_text<T: Root>(
    text: &str,
    format: Format,
    environment: Environment<'_>,
) -> Result<T, ConfigError> {
    let mut node = Node::of(text, format)?;
    let replaced = environment::replace(&mut node, environment)?;
    let mut read: T = from_node(node)?;
    read.rate_limiting().replaced = replaced;
    Ok(read)
}

/// Reads a tree.
pub(super) fn from_node<T: DeserializeOwned>(node: Node) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(node).map_err(|error| {
        let path = error.path().to_string();
        let TreeError { reason, at, .. } = error.into_inner();
        ConfigError::Syntax {
            // The whole file is not a place.
            path: if path == "." { String::new() } else { path },
            reason,
            line: at.line,
            column: at.column,
        }
    })
}
