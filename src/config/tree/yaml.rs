//! YAML.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Error, Location, NonFiniteFloatPolicy, Spanned};

use super::{At, ConfigError, Key, Node, Value, twice, unreadable};

pub(super) fn read(text: &str) -> Result<Node, ConfigError> {
    // What is no number is refused where one is wanted, by the field's own words.
    let options =
        serde_saphyr::options! { non_finite_float_policy: NonFiniteFloatPolicy::PassThrough };
    match serde_saphyr::from_str_with_options::<Spanned<Yaml>>(text, options) {
        Ok(yaml) => Ok(node(yaml)),
        Err(error) => {
            // Without the lines of the file around it: a configuration may hold secrets, and errors are logged.
            let error = error.without_snippet();
            let at = error.location().map_or(At::default(), place);
            Err(unreadable(said(error), at))
        }
    }
}

/// A value as serde hands it over.
struct Yaml(Value);

fn node(yaml: Spanned<Yaml>) -> Node {
    Node {
        at: place(yaml.referenced),
        value: yaml.value.0,
    }
}

fn place(at: Location) -> At {
    At {
        line: at.line(),
        column: at.column(),
    }
}

/// What is wrong, without what only programs could do about it.
fn said(error: &Error) -> String {
    match error {
        Error::DuplicateMappingKey { key: Some(key), .. } => twice(key),
        Error::DuplicateMappingKey { key: None, .. } => "a key stands twice".to_owned(),
        Error::MultipleDocuments { .. } => {
            "it holds several documents, as `---` parts them; one is read".to_owned()
        }
        other => without_place(&other.to_string()).to_owned(),
    }
}

/// The message without the line and column in front of it or behind it.
fn without_place(message: &str) -> &str {
    let rest = message.strip_prefix("error: ").unwrap_or(message);
    let rest = match rest.split_once(": ") {
        Some((place, reason)) if place.starts_with("line ") => reason,
        _ => rest,
    };
    let is_place = |words: &str| {
        let mut numbers = words.split(", column ");
        numbers.all(|number| number.parse::<u64>().is_ok())
    };
    match rest.rsplit_once(" at line ") {
        Some((reason, place)) if is_place(place) => reason,
        _ => rest,
    }
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_none<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
                Yaml::deserialize(inner).map(|yaml| yaml.0)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Bool(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(Value::Whole(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(u64::try_from(value).map_or(Value::Negative(value), Value::Whole))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(Value::Float(value))
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value::text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
                let mut nodes = Vec::new();
                while let Some(next) = list.next_element()? {
                    nodes.push(node(next));
                }
                Ok(Value::List(nodes))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some((key, next)) = map.next_entry::<Spanned<String>, _>()? {
                    let key = Key {
                        at: place(key.referenced),
                        name: key.value,
                    };
                    pairs.push((key, node(next)));
                }
                Ok(Value::Map(pairs))
            }
        }

        deserializer.deserialize_any(Any).map(Yaml)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_place_is_taken_off_a_message() {
        assert_eq!(without_place("line 2 column 3: a: b"), "a: b");
        assert_eq!(without_place("error: line 2 column 3: a"), "a");
        assert_eq!(without_place("a: b"), "a: b");
        assert_eq!(without_place("a: b at line 2, column 3"), "a: b");
        assert_eq!(without_place("a at line: b"), "a at line: b");
    }
}
