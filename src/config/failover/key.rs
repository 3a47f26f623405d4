//! Keys, which nothing shows.

use std::fmt;

use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};

use crate::config::{
    schema,
    short::{self, Short},
};

/// An API key of a provider: `"${OPENAI_API_KEY}"`, or a block with a label.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyConfig {
    /// The name of the key: limits know it as the tag `api_key`, and reports show it. The default is `key-1`, `key-2` and so
    /// on, by the key's place in the list; if the provider's `provider` is set, with its name in front: `azure-west-key-1`.
    pub label: Option<String>,
    /// The key itself.
    pub key: Secret,
    /// How often the key is used compared with others, if the pool is `weighted`. With 0 it is used only when no other is
    /// left.
    pub weight: u32,
}

/// A secret in a configuration. It has no `Display`, and neither its `Debug` nor any error shows any of it. It is wiped
/// from memory when it is dropped; copies that are made while a file is read are not.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    pub(in crate::config) fn of(text: impl Into<String>) -> Self {
        Secret(SecretString::from(text.into()))
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Block {
    /// The name of the key: limits know it as the tag `api_key`, and reports show it.
    #[serde(default)]
    #[schemars(length(min = 1))]
    label: Option<String>,
    /// The key itself.
    #[schemars(with = "String", length(min = 1))]
    key: Secret,
    /// How often the key is used compared with others, if the pool is `weighted`. With 0 it is used only when no other is
    /// left.
    #[serde(default = "one")]
    #[schemars(range(min = 0))]
    weight: u32,
}

fn one() -> u32 {
    1
}

impl Short for Secret {
    /// None is read.
    type Block = de::IgnoredAny;
    const WANTED: &'static str = "an API key as a text: \"${OPENAI_API_KEY}\"";

    fn of_block(_: de::IgnoredAny) -> Result<Self, String> {
        Err(format!(
            "a block does not belong here; wanted is {}",
            Self::WANTED
        ))
    }

    fn of_text(text: &str) -> Result<Self, String> {
        Ok(Secret::of(text))
    }
}

impl Short for KeyConfig {
    type Block = Block;
    const WANTED: &'static str =
        "an API key as a text, \"${OPENAI_API_KEY}\", or a block with `key`, `label` and `weight`";

    fn of_block(block: Block) -> Result<Self, String> {
        let Block { label, key, weight } = block;
        Ok(KeyConfig { label, key, weight })
    }

    fn of_text(text: &str) -> Result<Self, String> {
        Ok(KeyConfig {
            label: None,
            key: Secret::of(text),
            weight: 1,
        })
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short::read(deserializer)
    }
}

impl<'de> Deserialize<'de> for KeyConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short::read(deserializer)
    }
}

schema::short! { KeyConfig: Block, ["string"] }

/// A list of keys; one that is no list is not shown.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<KeyConfig>, D::Error> {
    struct Keys;

    impl Keys {
        fn no<E: de::Error>() -> Result<Vec<KeyConfig>, E> {
            Err(E::custom(
                "is no list; write the keys as [\"${OPENAI_API_KEY}\"]",
            ))
        }
    }

    impl<'de> Visitor<'de> for Keys {
        type Value = Vec<KeyConfig>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of keys")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<KeyConfig>, A::Error> {
            let mut keys = Vec::new();
            while let Some(key) = list.next_element()? {
                keys.push(key);
            }
            Ok(keys)
        }

        fn visit_str<E: de::Error>(self, _: &str) -> Result<Vec<KeyConfig>, E> {
            Self::no()
        }

        fn visit_u64<E: de::Error>(self, _: u64) -> Result<Vec<KeyConfig>, E> {
            Self::no()
        }

        fn visit_i64<E: de::Error>(self, _: i64) -> Result<Vec<KeyConfig>, E> {
            Self::no()
        }

        fn visit_f64<E: de::Error>(self, _: f64) -> Result<Vec<KeyConfig>, E> {
            Self::no()
        }
    }

    deserializer.deserialize_seq(Keys)
}
