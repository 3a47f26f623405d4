//! The values of a tag that may be claimed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::tags::Tag;

/// A value that a key's holder may set a tag to: one value, `scout`; all values with the same beginning, `scout-*`; or
/// any value, `*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Claimable(String);

impl Claimable {
    /// Whether this value is one.
    pub(super) fn holds(&self, value: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => value.starts_with(beginning),
            None => self.0 == value,
        }
    }

    /// What holders may claim where nothing is said: which agent, which user and which run it is, but no team.
    pub(super) fn usual() -> BTreeMap<Tag, Vec<Claimable>> {
        let any = || vec![Claimable::from("*")];
        [Tag::Agent, Tag::User, Tag::Run]
            .map(|tag| (tag, any()))
            .into()
    }
}

impl From<&str> for Claimable {
    fn from(text: &str) -> Self {
        Claimable(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_a_beginning_or_any() {
        let holds = |text: &str, value: &str| Claimable::from(text).holds(value);
        assert!(holds("a", "a") && !holds("a", "ab") && !holds("a", ""));
        assert!(holds("a*", "a") && holds("a*", "ab") && !holds("a*", "b"));
        assert!(holds("*", "") && holds("*", "x"));
    }
}
