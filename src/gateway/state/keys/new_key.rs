//! What is said of a key when it is made.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::{
    claimable::Claimable,
    key::{BadKey, Key, Role},
    token::{Hash, NoChance, token},
};
use crate::tags::Tag;

/// A key that is to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct NewKey {
    /// Its name.
    pub name: String,
    /// What its holder may do.
    #[serde(default)]
    pub role: Role,
    /// The tags that every call with the key has. An admin's key has none.
    #[serde(default)]
    pub tags: BTreeMap<Tag, String>,
    /// The tags that its holder may set by header, and the values they may have. By default, agent, user and run may
    /// have any value.
    #[serde(default)]
    pub may: Option<BTreeMap<Tag, Vec<Claimable>>>,
    /// The highest priority that its holder may ask for.
    #[serde(default)]
    pub max_priority: i32,
    /// When it expires.
    #[serde(default)]
    pub expires: Option<Timestamp>,
}

impl NewKey {
    /// A key of this name for making calls, with the defaults.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        NewKey {
            name: name.into(),
            ..NewKey::default()
        }
    }

    /// The key, and its token, which is nowhere else.
    pub(in crate::gateway) fn made(self, now: Timestamp) -> Result<(Key, SecretString), NotMade> {
        // Those that are in a file already are taken as they are.
        if self.role == Role::Admin && !self.tags.is_empty() {
            return Err(BadKey::TagsOfAdmin.into());
        }
        let token = token()?;
        let key = Key {
            hash: Hash::of(token.expose_secret()),
            name: self.name,
            role: self.role,
            tags: self.tags,
            may: self.may.unwrap_or_else(Claimable::usual),
            max_priority: self.max_priority,
            expires: self.expires,
            disabled: false,
            created: now,
        };
        key.check()?;
        Ok((key, token))
    }
}

/// Why a key was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::gateway) enum NotMade {
    #[error(transparent)]
    Bad(#[from] BadKey),
    #[error(transparent)]
    NoChance(#[from] NoChance),
}
