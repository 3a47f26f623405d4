//! Reading a tree by serde.

use serde::{
    Deserializer,
    de::{
        DeserializeSeed, EnumAccess, Error as _, Expected, IntoDeserializer, MapAccess, SeqAccess,
        Unexpected, VariantAccess, Visitor, value::StringDeserializer,
    },
    forward_to_deserialize_any,
};

use super::{
    Key, Node, TreeError, Value,
    error::{in_words, misfit},
};

type Read<T> = Result<T, TreeError>;

/// What a visitor wants, in words.
fn wanted<'de>(visitor: &impl Visitor<'de>) -> String {
    in_words(&(visitor as &dyn Expected).to_string())
}

impl Node {
    /// Reads a number or a truth value that a replaced name may stand for.
    fn scalar<'de, V: Visitor<'de>, T: std::str::FromStr>(
        self,
        visitor: V,
        visit: impl FnOnce(V, T) -> Read<V::Value>,
    ) -> Read<V::Value> {
        let Value::Text {
            text,
            written: Some(written),
        } = &self.value
        else {
            return self.deserialize_any(visitor);
        };
        let words = wanted(&visitor);
        let read = match text.trim().parse() {
            Ok(value) => visit(visitor, value),
            Err(_) => Err(TreeError::new(String::new())),
        };
        read.map_err(|error| {
            let misfit = misfit(written, text);
            error.hidden(&misfit, Some(&words)).or_at(self.at)
        })
    }

    /// Reads a value by its type, which may refuse it when it is read already.
    fn seeded<'de, S: DeserializeSeed<'de>>(self, seed: S) -> Read<S::Value> {
        let at = self.at;
        let misfit = match &self.value {
            Value::Text {
                text,
                written: Some(written),
            } => Some(misfit(written, text)),
            _ => None,
        };
        let read = seed.deserialize(self).map_err(|error| error.or_at(at));
        read.map_err(|error| match &misfit {
            Some(misfit) => error.hidden(misfit, None),
            None => error,
        })
    }
}

macro_rules! numbers {
    ($($method:ident: $visit:ident($number:ty),)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
            self.scalar(visitor, |visitor, number: $number| visitor.$visit(number))
        })*
    };
}

impl<'de> Deserializer<'de> for Node {
    type Error = TreeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        let at = self.at;
        let read = match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Whole(value) => visitor.visit_u64(value),
            Value::Negative(value) => visitor.visit_i64(value),
            Value::Float(value) => visitor.visit_f64(value),
            Value::Text {
                text,
                written: None,
            } => visitor.visit_string(text),
            Value::Text {
                text,
                written: Some(written),
            } => {
                let (words, misfit) = (wanted(&visitor), misfit(&written, &text));
                let read = visitor.visit_string::<TreeError>(text);
                read.map_err(|error| error.hidden(&misfit, Some(&words)))
            }
            Value::List(nodes) => visitor.visit_seq(List(nodes.into_iter())),
            Value::Map(pairs) => visitor.visit_map(Map {
                pairs: pairs.into_iter(),
                value: None,
            }),
        };
        read.map_err(|error| error.or_at(at))
    }

    numbers! {
        deserialize_bool: visit_bool(bool),
        deserialize_u8: visit_u64(u64),
        deserialize_u16: visit_u64(u64),
        deserialize_u32: visit_u64(u64),
        deserialize_u64: visit_u64(u64),
        deserialize_i64: visit_i64(i64),
        deserialize_f64: visit_f64(f64),
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Read<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    /// A block with nothing in it is an empty one.
    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Read<V::Value> {
        if self.value == Value::Null {
            self.value = Value::Map(Vec::new());
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        match self.value {
            // Fields by their order are no configuration.
            Value::List(_) => {
                let error = TreeError::invalid_type(Unexpected::Seq, &visitor);
                Err(error.or_at(self.at))
            }
            _ => self.deserialize_map(visitor),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Read<V::Value> {
        if self.value == Value::Null {
            self.value = Value::List(Vec::new());
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        let at = self.at;
        let read = match self.value {
            Value::Text { text, written } => {
                let misfit = written.map(|written| misfit(&written, &text));
                visitor.visit_enum(Word(text)).map_err(|error| {
                    let words = format!("one of {}", names.join(", "));
                    match misfit {
                        Some(misfit) => error.hidden(&misfit, Some(&words)),
                        None => error,
                    }
                })
            }
            other => {
                let words = format!("one of {}", names.join(", "));
                Err(TreeError::invalid_type(other.unexpected(), &words.as_str()))
            }
        };
        read.map_err(|error| error.or_at(at))
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u128 f32 char str string bytes byte_buf unit unit_struct tuple tuple_struct identifier
        ignored_any
    }
}

impl Value {
    fn unexpected(&self) -> Unexpected<'_> {
        match self {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Whole(value) => Unexpected::Unsigned(*value),
            Value::Negative(value) => Unexpected::Signed(*value),
            Value::Float(value) => Unexpected::Float(*value),
            Value::Text { text, .. } => Unexpected::Str(text),
            Value::List(_) => Unexpected::Seq,
            Value::Map(_) => Unexpected::Map,
        }
    }
}

struct List(std::vec::IntoIter<Node>);

impl<'de> SeqAccess<'de> for List {
    type Error = TreeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Read<Option<S::Value>> {
        self.0.next().map(|node| node.seeded(seed)).transpose()
    }
}

struct Map {
    pairs: std::vec::IntoIter<(Key, Node)>,
    value: Option<Node>,
}

impl<'de> MapAccess<'de> for Map {
    type Error = TreeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Read<Option<S::Value>> {
        let Some((key, node)) = self.pairs.next() else {
            return Ok(None);
        };
        self.value = Some(node);
        let name: StringDeserializer<TreeError> = key.name.into_deserializer();
        let read = seed.deserialize(name).map_err(|error| error.or_at(key.at));
        read.map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Read<S::Value> {
        match self.value.take() {
            Some(node) => node.seeded(seed),
            None => Err(TreeError::new("a value was asked for without its key")),
        }
    }
}

/// A word that names a variant.
struct Word(String);

impl<'de> EnumAccess<'de> for Word {
    type Error = TreeError;
    type Variant = Unit;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Read<(S::Value, Unit)> {
        let word: StringDeserializer<TreeError> = self.0.into_deserializer();
        Ok((seed.deserialize(word)?, Unit))
    }
}

/// A variant without a value: no other is in a configuration.
struct Unit;

impl<'de> VariantAccess<'de> for Unit {
    type Error = TreeError;

    fn unit_variant(self) -> Read<()> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, _: S) -> Read<S::Value> {
        Err(TreeError::invalid_type(Unexpected::UnitVariant, &"a word"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Read<V::Value> {
        Err(TreeError::invalid_type(Unexpected::UnitVariant, &visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        Err(TreeError::invalid_type(Unexpected::UnitVariant, &visitor))
    }
}
