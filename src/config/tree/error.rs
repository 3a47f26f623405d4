//! Why a tree does not fit what is read from it.

use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

use super::At;

/// How alike two names must be for one to be the other misspelled, of 1.
const ALIKE: f64 = 0.7;

/// What a block of limits is, in words.
pub(in crate::config) const LIMITS: &str = "limits, as `{ rpm: 60 }`";
const WHOLE: &str = "a whole number, as 60";
const NUMBER: &str = "a number, as 0.5";

/// What does not fit, and where.
#[derive(Debug)]
pub(crate) struct TreeError {
    pub(crate) reason: String,
    pub(crate) at: At,
    /// Whether it leaves out what a name was replaced by.
    is_hidden: bool,
}

impl TreeError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        TreeError {
            reason: reason.into(),
            at: At::default(),
            is_hidden: false,
        }
    }

    /// Where names were replaced, no error shows by what: only that it does not fit, and what is wanted.
    pub(super) fn hidden(self, misfit: &str, wanted: Option<&str>) -> Self {
        if self.is_hidden {
            return self;
        }
        let wanted = wanted.map_or(String::new(), |wanted| format!("; wanted is {wanted}"));
        TreeError {
            reason: format!("{misfit}{wanted}"),
            at: self.at,
            is_hidden: true,
        }
    }

    /// The same error at this place, where it has none yet: the innermost is told.
    pub(super) fn or_at(mut self, at: At) -> Self {
        if self.at == At::default() {
            self.at = at;
        }
        self
    }
}

impl Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for TreeError {}

impl de::Error for TreeError {
    fn custom<T: Display>(reason: T) -> Self {
        TreeError::new(reason.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        TreeError::new(format!("invalid type: {}", instead(unexpected, expected)))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        TreeError::new(format!("invalid value: {}", instead(unexpected, expected)))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        TreeError::new(unknown("key", field, expected))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        TreeError::new(unknown("value", variant, expected))
    }

    fn missing_field(field: &'static str) -> Self {
        TreeError::new(format!("the key `{field}` is missing"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        TreeError::new(format!(
            "`{field}` is said twice, or under two of its names"
        ))
    }
}

/// What is there, and what is wanted. Without a text that is wrong: it may be a key that has slipped into the wrong line.
fn instead(unexpected: Unexpected<'_>, expected: &dyn Expected) -> String {
    let wanted = in_words(&expected.to_string());
    let wants_number = [WHOLE, NUMBER].contains(&wanted.as_str());
    match unexpected {
        Unexpected::Str(text) if wants_number && text.trim().parse::<f64>().is_ok() => {
            format!("a text, expected {wanted}, without quotes")
        }
        Unexpected::Str(_) => format!("a text, expected {wanted}"),
        Unexpected::Unsigned(_) if wanted == WHOLE => {
            format!("{unexpected}, expected a smaller one")
        }
        other => format!("{other}, expected {wanted}"),
    }
}

/// What serde expects, in words of a file and not of a program.
pub(super) fn in_words(expected: &str) -> String {
    let words = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" | "i64" => WHOLE,
        "f64" => NUMBER,
        "struct Quota" => LIMITS,
        "a sequence" => "a list",
        other if other.starts_with("struct ") => "a block",
        other => other,
    };
    words.to_owned()
}

/// That what stands for names does not belong where they were written. It is not shown.
pub(super) fn misfit(written: &str, text: &str) -> String {
    match text.trim().is_empty() {
        true => format!("what `{written}` stands for is empty: set its variable"),
        false => format!("what `{written}` stands for does not belong here"),
    }
}

/// What is not known, and what may have been meant: the name that is most like it, else all there are.
pub(in crate::config) fn unknown(what: &str, name: &str, known: &[&str]) -> String {
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
}
