//! A virtual key: who calls with it, and what its holder may claim.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{claimable::Claimable, token::Hash};
use crate::tags::{Tag, Tags};

/// What the holder of a key may do.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// Make calls.
    #[default]
    Caller,
    /// Make calls, and look at the state of everything, or, if the key has tags, of what has those tags.
    Viewer,
    /// All of that, and change things.
    Admin,
}

impl Role {
    pub(in crate::gateway) fn name(self) -> &'static str {
        match self {
            Role::Caller => "caller",
            Role::Viewer => "viewer",
            Role::Admin => "admin",
        }
    }
}

/// A virtual key. It does not contain the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Key {
    /// Its name. Calls with the key have it as the tag `key`.
    pub name: String,
    pub(super) hash: Hash,
    /// What its holder may do.
    #[serde(default)]
    pub role: Role,
    /// The tags that every call with the key has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<Tag, String>,
    /// The tags that its holder may set by header, and the values they may have. No other tag may be set, except to the
    /// value it has in `tags`.
    #[serde(default = "Claimable::usual")]
    pub may: BTreeMap<Tag, Vec<Claimable>>,
    /// The highest priority that its holder may ask for.
    #[serde(default)]
    pub max_priority: i32,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Whether it is refused until somebody enables it again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// When it was made.
    pub created: Timestamp,
}

/// The tag that says by which key a call was made.
#[must_use]
pub(crate) fn key_tag() -> Tag {
    Tag::from("key")
}

/// Why a key cannot be made or found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadKey {
    /// Its name is not allowed.
    #[error(
        "`{0}` is no name of a key: write up to 64 letters, digits, dots, hyphens and underscores"
    )]
    Name(String),
    /// Another key has its name.
    #[error("there is a key `{0}` already; delete it first, or choose another name")]
    Taken(String),
    /// No key has this name.
    #[error("there is no key `{0}`")]
    Unknown(String),
    /// It has a tag that no key can set, because the tag is known of each call anyway.
    #[error("a key cannot set the tag `{0}`: that is known of each call by itself")]
    Tag(Tag),
    /// It is to be an admin's and has tags, by which one may take its rights for narrower than they are.
    #[error(
        "an admin's key sees and changes everything, whatever tags it has: leave them out, or make it the key of a viewer or of a caller"
    )]
    TagsOfAdmin,
}

impl Key {
    /// Whether the values make sense.
    ///
    /// # Errors
    /// The first that does not.
    pub(in crate::gateway) fn check(&self) -> Result<(), BadKey> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(is_plain) {
            return Err(BadKey::Name(self.name.clone()));
        }
        let set = self.tags.keys().chain(self.may.keys());
        let foreign = |tag: &&Tag| {
            matches!(tag, Tag::Provider | Tag::Model | Tag::ApiKey) || **tag == key_tag()
        };
        match set.into_iter().find(foreign) {
            Some(tag) => Err(BadKey::Tag(tag.clone())),
            None => Ok(()),
        }
    }

    /// The tags of a call, of what its headers claim; and nothing that its holder may not claim.
    pub(crate) fn admit(&self, claimed: &Tags, priority: i32) -> Result<Tags, NotAllowed> {
        let mut tags = Tags::new();
        for (tag, value) in &self.tags {
            tags.set(tag.clone(), value.as_str());
        }
        for (tag, value) in claimed.iter() {
            let is_own = self.tags.get(&tag).is_some_and(|own| own == value);
            let may = self.may.get(&tag);
            if !is_own && !may.is_some_and(|may| may.iter().any(|one| one.holds(value))) {
                return Err(NotAllowed {
                    key: self.name.clone(),
                    claim: Claim::Tag(tag),
                });
            }
            tags.set(tag, value);
        }
        if priority > self.max_priority {
            return Err(NotAllowed {
                key: self.name.clone(),
                claim: Claim::Priority(self.max_priority),
            });
        }
        tags.set(key_tag(), self.name.as_str());
        Ok(tags)
    }

    /// Whether it is valid now.
    #[must_use]
    pub fn state_now(&self) -> KeyState {
        self.state(Timestamp::now())
    }

    /// Whether it is good at this time.
    pub(in crate::gateway) fn state(&self, now: Timestamp) -> KeyState {
        match self.expires {
            _ if self.disabled => KeyState::Disabled,
            Some(expires) if expires <= now => KeyState::Expired,
            _ => KeyState::Good,
        }
    }
}

/// Whether a key is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyState {
    /// It is valid.
    Good,
    /// Somebody has disabled it.
    Disabled,
    /// It has expired.
    Expired,
}

/// A claim that the holder of a key may not make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotAllowed {
    key: String,
    claim: Claim,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Claim {
    Tag(Tag),
    Priority(i32),
}

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match &self.claim {
            Claim::Tag(tag) => write!(
                f,
                "the key `{key}` may not call under this x-quota-{tag}; leave the header out, or use another key"
            ),
            Claim::Priority(most) => write!(
                f,
                "the key `{key}` may not ask for a priority above {most} in x-quota-priority"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key {
            name: "ci".into(),
            hash: Hash::of("tq-x"),
            role: Role::Caller,
            tags: BTreeMap::from([(Tag::Team, "blue".to_owned())]),
            may: BTreeMap::from([
                (Tag::Agent, vec![Claimable::from("scout-*")]),
                (
                    Tag::User,
                    vec![Claimable::from("zoe"), Claimable::from("max")],
                ),
            ]),
            max_priority: 2,
            expires: None,
            disabled: false,
            created: Timestamp::UNIX_EPOCH,
        }
    }

    fn tags(text: &str) -> Tags {
        let pairs = text.split(' ').filter_map(|pair| pair.split_once('='));
        pairs.fold(Tags::new(), |tags, (tag, value)| tags.with(tag, value))
    }

    #[test]
    fn a_call_has_the_keys_tags_and_what_may_be_claimed() {
        let admit = |claimed: &str, priority| key().admit(&tags(claimed), priority);
        assert_eq!(admit("", -9), Ok(tags("team=blue key=ci")));
        let both = admit("agent=scout-7 user=max team=blue", 2);
        assert_eq!(both, Ok(tags("agent=scout-7 user=max team=blue key=ci")));
    }

    #[test]
    fn what_may_not_be_claimed_is_refused_by_name() {
        for (claimed, priority, word) in [
            ("agent=spy", 0, "x-quota-agent"),
            ("user=zoe2", 0, "x-quota-user"),
            ("team=red", 0, "x-quota-team"),
            ("run=1", 0, "x-quota-run"),
            ("", 3, "above 2"),
        ] {
            let refused = key().admit(&tags(claimed), priority).unwrap_err();
            let said = refused.to_string();
            assert!(said.contains(word) && said.contains("`ci`"), "{said}");
        }
    }

    #[test]
    fn a_key_says_nothing_of_where_calls_go_and_has_a_plain_name() {
        for tag in [Tag::Model, Tag::Provider, Tag::ApiKey, key_tag()] {
            let mut key = key();
            key.tags.insert(tag.clone(), "x".into());
            assert_eq!(key.check(), Err(BadKey::Tag(tag)));
        }
        for name in ["", "a b", "é", &"x".repeat(65), "a/b"] {
            let key = Key {
                name: name.into(),
                ..key()
            };
            assert!(key.check().is_err(), "{name}");
        }
        assert_eq!(key().check(), Ok(()));
    }

    #[test]
    fn it_ends_at_its_instant_and_while_it_is_disabled() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let mut key = Key {
            expires: Some(at(5)),
            ..key()
        };
        assert_eq!(key.state(at(4)), KeyState::Good);
        assert_eq!(key.state(at(5)), KeyState::Expired);
        key.disabled = true;
        assert_eq!(key.state(at(4)), KeyState::Disabled);
    }
}
