//! Names of the environment in a configuration, and what they stand for.

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    ConfigError,
    error::of_limit,
    tree::{At, Node, Value},
};

/// A replaced value that is shorter is looked for only in what is said of its own place: as a word of a message it says
/// nothing.
const TELLING: usize = 4;

/// How a variable of the environment is looked up.
pub(super) type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Whether a variable that is not set is an error where it is a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    AreNeeded,
    /// Nothing will be sent: another text stands there in its place.
    #[cfg(feature = "simulate")]
    MayBeMissing,
}

impl Keys {
    /// What stands at this path in place of a variable that is not set, if anything may.
    fn stand_in(self, path: &str, name: &str) -> Option<String> {
        #[cfg(feature = "simulate")]
        if self == Keys::MayBeMissing {
            // `keys[1]`, `keys[1].key`, `gateway.upstreams.openai.key`
            let last = path.rsplit('.').next().unwrap_or(path);
            let last = last.split('[').next().unwrap_or(last);
            return ["key", "keys"]
                .contains(&last)
                .then(|| format!("no-{name}"));
        }
        let _ = (path, name);
        None
    }
}

/// What was replaced where. It makes no two configurations different.
#[derive(Clone, Default)]
pub(crate) struct Replaced(Vec<Place>);

#[derive(Clone)]
struct Place {
    path: String,
    written: String,
    /// It may be a secret.
    value: SecretString,
    /// What each name in it stands for: errors may be about a part of the text.
    parts: Vec<(String, SecretString)>,
}

impl PartialEq for Replaced {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl std::fmt::Debug for Replaced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|place| &place.path))
            .finish()
    }
}

impl Replaced {
    /// The same error, with what was written in the file where it would show what that stands for.
    pub(super) fn hide(&self, error: ConfigError) -> ConfigError {
        let (path, said) = match &error {
            ConfigError::Value { path, reason } => (path, reason.clone()),
            ConfigError::Limit { path, source } => (path, of_limit(source)),
            ConfigError::Store(said) => {
                return ConfigError::Store(self.hide_in("rate_limiting.store", said));
            }
            ConfigError::Syntax { .. } | ConfigError::File { .. } => return error,
        };
        let hidden = self.hide_in(path, &said);
        if hidden == said {
            return error;
        }
        ConfigError::Value {
            path: path.clone(),
            reason: hidden,
        }
    }

    /// What is said of a place, with what was written in the file where it would show what that stands for.
    pub(super) fn hide_in(&self, path: &str, said: &str) -> String {
        let block = |path: &str| path.rsplit_once('.').map_or(0, |(block, _)| block.len());
        let places = self.0.iter().filter(|place| {
            // A limit is told by its own name, where the file may have another.
            let is_beside = path.get(..block(path)) == place.path.get(..block(&place.path));
            let is_about = path.starts_with(&place.path) || place.path.starts_with(path);
            is_about || is_beside || place.value.expose_secret().len() >= TELLING
        });
        places.fold(said.to_owned(), |said, place| {
            let whole = without(&said, place.value.expose_secret(), &place.written);
            let telling = |part: &&(String, SecretString)| part.1.expose_secret().len() >= TELLING;
            let parts = place.parts.iter().filter(telling);
            parts.fold(whole, |said, (name, value)| {
                without(&said, value.expose_secret(), name)
            })
        })
    }
}

/// The text with every value replaced by what was written; one that is short only where it is a word by itself.
fn without(text: &str, value: &str, written: &str) -> String {
    if value.is_empty() {
        return text.to_owned();
    }
    let part_of_word = |c: char| c.is_alphanumeric() || c == '.';
    let mut hidden = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(value) {
        let (before, from) = rest.split_at(at);
        let after = &from[value.len()..];
        let is_word = !hidden.ends_with(part_of_word) || !before.is_empty();
        let is_word =
            is_word && !before.ends_with(part_of_word) && !after.starts_with(part_of_word);
        hidden.push_str(before);
        hidden.push_str(if is_word || value.len() >= TELLING {
            written
        } else {
            value
        });
        rest = after;
    }
    hidden + rest
}

/// Replaces every name in the values of a tree.
pub(super) fn replace(
    node: &mut Node,
    environment: Environment<'_>,
    keys: Keys,
) -> Result<Replaced, ConfigError> {
    let mut replaced = Replaced::default();
    walk(node, "", (environment, keys), &mut replaced)?;
    Ok(replaced)
}

fn walk(
    node: &mut Node,
    path: &str,
    (environment, keys): (Environment<'_>, Keys),
    replaced: &mut Replaced,
) -> Result<(), ConfigError> {
    let at = node.at;
    match &mut node.value {
        Value::Text { text, written } => {
            let known = |name: &str| environment(name).or_else(|| keys.stand_in(path, name));
            let Some((value, parts)) =
                filled(text, &known).map_err(|reason| wrong(path, at, reason))?
            else {
                return Ok(());
            };
            if text.replace("$${", "").contains("${") {
                replaced.0.push(Place {
                    path: path.to_owned(),
                    written: text.clone(),
                    value: value.clone().into(),
                    parts,
                });
                *written = Some(text.clone());
            }
            *text = value;
        }
        Value::List(nodes) => {
            for (place, node) in nodes.iter_mut().enumerate() {
                let path = format!("{path}[{place}]");
                walk(node, &path, (environment, keys), replaced)?;
            }
        }
        Value::Map(pairs) => {
            for (key, node) in pairs {
                let dot = if path.is_empty() { "" } else { "." };
                walk(
                    node,
                    &format!("{path}{dot}{}", key.name),
                    (environment, keys),
                    replaced,
                )?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Whole(_) | Value::Negative(_) | Value::Float(_) => {}
    }
    Ok(())
}

fn wrong(path: &str, at: At, reason: String) -> ConfigError {
    ConfigError::Syntax {
        path: path.to_owned(),
        reason,
        line: at.line,
        column: at.column,
    }
}

/// A text with its names replaced, and each name with what stands for it.
type Filled = (String, Vec<(String, SecretString)>);

/// `None` where there are no names.
fn filled(text: &str, environment: Environment<'_>) -> Result<Option<Filled>, String> {
    let mut rest = text;
    let (mut whole, mut parts) = (String::new(), Vec::new());
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        let inside = &from["${".len()..];
        if let Some(before) = before.strip_suffix('$') {
            whole.push_str(before);
            whole.push_str("${");
            rest = inside;
            continue;
        }
        let Some((name, further)) = inside.split_once('}') else {
            return Err("a `${` is not closed; write `${NAME}`, or `$${` for itself".to_owned());
        };
        whole.push_str(before);
        let value = value_of(name, environment)?;
        whole.push_str(&value);
        parts.push((format!("${{{name}}}"), value.into()));
        rest = further;
    }
    whole.push_str(rest);
    Ok(text.contains("${").then_some((whole, parts)))
}

/// What stands for `NAME` or `NAME:-other`.
fn value_of(asked: &str, environment: Environment<'_>) -> Result<String, String> {
    let (name, other) = match asked.split_once(":-") {
        Some((name, other)) => (name, Some(other)),
        None => (asked, None),
    };
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !is_name {
        return Err(format!(
            "`${{{asked}}}` names no environment variable; write `${{NAME}}`, or `$${{` for `${{` itself"
        ));
    }
    let value = environment(name);
    match (value, other) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(other)) => Ok(other.to_owned()),
        (None, None) => Err(format!(
            "the environment variable `{name}` is not set; set it, or write `${{{name}:-other}}`"
        )),
    }
}

#[cfg(test)]
#[path = "environment_tests.rs"]
mod tests;
