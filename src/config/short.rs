//! Values with a short form: a word or a list in place of a block.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{
        self, DeserializeOwned, MapAccess, SeqAccess, Unexpected, Visitor,
        value::MapAccessDeserializer,
    },
};

/// What is read from a block, or from something shorter. No error shows what was there: it may be a secret.
pub(super) trait Short: Sized {
    /// The block.
    type Block: DeserializeOwned;
    /// What belongs there, in words.
    const WANTED: &'static str;

    /// Of the block.
    fn of_block(block: Self::Block) -> Result<Self, String>;

    /// Of a text.
    fn of_text(text: &str) -> Result<Self, String>;

    /// Of a list.
    fn of_list<'de, A: SeqAccess<'de>>(_: A) -> Result<Self, A::Error> {
        Err(de::Error::invalid_type(Unexpected::Seq, &Self::WANTED))
    }
}

pub(super) fn read<'de, T: Short, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(Reads(PhantomData))
}

struct Reads<T>(PhantomData<T>);

impl<T: Short> Reads<T> {
    fn no<V, E: de::Error>(what: &str) -> Result<V, E> {
        Err(E::custom(format!(
            "{what} does not belong here; wanted is {}",
            T::WANTED
        )))
    }
}

impl<'de, T: Short> Visitor<'de> for Reads<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WANTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::of_text(text).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::of_list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        let block = T::Block::deserialize(MapAccessDeserializer::new(map))?;
        T::of_block(block).map_err(de::Error::custom)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<T, E> {
        // YAML's older readers, and people, take `off` for it.
        match value {
            false => T::of_text("off").or_else(|_| Self::no("false")),
            true => Self::no("true"),
        }
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<T, E> {
        Self::no("a number")
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<T, E> {
        Self::no("a number")
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<T, E> {
        Self::no("a number")
    }

    fn visit_unit<E: de::Error>(self) -> Result<T, E> {
        Self::no("nothing")
    }
}
