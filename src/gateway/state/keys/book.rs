//! The keys as calls find them.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;

use super::{
    key::{Key, KeyState},
    token::Hash,
};

/// All keys, by the beginning of their hashes.
#[derive(Debug, Default)]
pub(in crate::gateway) struct KeyBook(HashMap<[u8; 8], Vec<Arc<Key>>>);

/// Why a token is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotTaken {
    /// The same for all that are none, however near they come.
    #[error("this key is not known here")]
    Unknown,
    #[error("the key `{0}` is disabled")]
    Disabled(String),
    #[error("the key `{name}` expired at {at}")]
    Expired { name: String, at: Timestamp },
}

impl KeyBook {
    pub(in crate::gateway) fn of<'k>(keys: impl IntoIterator<Item = &'k Key>) -> Self {
        let mut book = KeyBook::default();
        for key in keys {
            let place = book.0.entry(key.hash.place()).or_default();
            place.push(Arc::new(key.clone()));
        }
        book
    }

    /// The key of a token.
    pub(in crate::gateway) fn find(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Arc<Key>, NotTaken> {
        let hash = Hash::of(token);
        let at_place = self.0.get(&hash.place()).into_iter().flatten();
        // All of them, whichever it is.
        let mut found = None;
        for key in at_place {
            if key.hash == hash {
                found = Some(key);
            }
        }
        let key = found.ok_or(NotTaken::Unknown)?;
        let name = key.name.clone();
        match key.state(now) {
            KeyState::Good => Ok(key.clone()),
            KeyState::Disabled => Err(NotTaken::Disabled(name)),
            KeyState::Expired => Err(NotTaken::Expired {
                name,
                at: key.expires.unwrap_or(now),
            }),
        }
    }
}
