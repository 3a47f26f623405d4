//! From text to values, with errors that say where, what and what was meant.

use serde::de::DeserializeOwned;
use serde_saphyr::Error;

use super::ConfigError;

/// How alike two names must be for one to be the other misspelled, of 1.
const ALIKE: f64 = 0.7;

/// Reads YAML, and so JSON, which is YAML as well.
pub(crate) fn from_yaml<T: DeserializeOwned>(text: &str) -> Result<T, ConfigError> {
    let mut path = String::new();
    let read = serde_saphyr::with_deserializer_from_str(text, |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            path = error.path().to_string();
            error.into_inner()
        })
    });
    // Without the lines of the file around it: a configuration may hold secrets, and errors are logged.
    read.map_err(|error| syntax(path, error.without_snippet()))
}

fn syntax(path: String, error: &Error) -> ConfigError {
    let reason = match error {
        Error::SerdeUnknownField {
            field, expected, ..
        } => unknown("key", field, expected),
        Error::SerdeUnknownVariant {
            variant, expected, ..
        } => unknown("value", variant, expected),
        Error::SerdeMissingField { field, .. } => format!("the key `{field}` is missing"),
        other => without_place(&other.to_string()).to_owned(),
    };
    let at = error.location();
    ConfigError::Syntax {
        // The whole file is not a place.
        path: if path == "." { String::new() } else { path },
        reason,
        line: at.map_or(0, |at| at.line()),
        column: at.map_or(0, |at| at.column()),
    }
}

/// What is not known, and what may have been meant: the name that is most like it, else all there are.
fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let alike = |known: &&&str| strsim::jaro_winkler(name, known);
    let nearest = known.iter().max_by(|a, b| alike(a).total_cmp(&alike(b)));
    match nearest.filter(|nearest| alike(nearest) >= ALIKE) {
        Some(nearest) => format!("the {what} `{name}` is not known; did you mean `{nearest}`?"),
        None => format!(
            "the {what} `{name}` is not known; there are {}",
            known.join(", ")
        ),
    }
}

/// The message without the line and column in front of it.
fn without_place(message: &str) -> &str {
    let rest = message.strip_prefix("error: ").unwrap_or(message);
    match rest.split_once(": ") {
        Some((place, reason)) if place.starts_with("line ") => reason,
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unlike_everything_is_answered_with_all_there_is() {
        let known = ["rpm", "headroom"];
        assert_eq!(
            unknown("key", "headrom", &known),
            "the key `headrom` is not known; did you mean `headroom`?"
        );
        assert_eq!(
            unknown("key", "xyz", &known),
            "the key `xyz` is not known; there are rpm, headroom"
        );
    }

    #[test]
    fn only_the_place_is_taken_off_a_message() {
        assert_eq!(without_place("line 2 column 3: a: b"), "a: b");
        assert_eq!(without_place("error: line 2 column 3: a"), "a");
        assert_eq!(without_place("a: b"), "a: b");
    }
}
