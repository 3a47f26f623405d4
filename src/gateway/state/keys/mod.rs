//! Virtual keys: who calls, by a token of which only the hash is kept.

mod book;
mod claimable;
mod difference;
mod key;
mod new_key;
mod token;

pub(super) use book::KeyBook;
pub(crate) use book::NotTaken;
pub use claimable::Claimable;
pub(in crate::gateway) use difference::Difference;
pub use key::{BadKey, Key, KeyState, Role};
pub(crate) use key::{NotAllowed, key_tag};
pub use new_key::NewKey;
pub(super) use new_key::NotMade;
pub use token::NoChance;
pub(crate) use token::TOKEN_PREFIX;
