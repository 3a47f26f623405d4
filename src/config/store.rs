//! `store:`, which may hold a password.

use serde::{Deserialize, Deserializer, de};

use super::short::{self, Short};
use crate::store::StoreSetting;

impl Short for StoreSetting {
    /// None is read.
    type Block = de::IgnoredAny;
    const WANTED: &'static str =
        "a store as a text: memory, \"sqlite:counts.db\", \"redis://127.0.0.1:6379/0\"";

    fn of_block(_: de::IgnoredAny) -> Result<Self, String> {
        Err(format!(
            "a block does not belong here; wanted is {}",
            Self::WANTED
        ))
    }

    fn of_text(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|error: <Self as std::str::FromStr>::Err| error.to_string())
    }
}

impl<'de> Deserialize<'de> for StoreSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short::read(deserializer)
    }
}
