//! JSON. Places are found by where the raw text of a value begins.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize,
    de::{Deserializer as _, MapAccess, Visitor},
};
use serde_json::{Deserializer, value::RawValue};

use super::{At, ConfigError, DEEPEST, Key, Node, Value, at, twice, unreadable};

pub(super) fn read(text: &str) -> Result<Node, ConfigError> {
    // Not with a mark in front, as some editors write it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| syntax(&error))?;
    node(text, raw.get(), 0)
}

fn syntax(error: &serde_json::Error) -> ConfigError {
    let place = At {
        line: error.line().max(1) as u64,
        // 0 where a line has nothing in it yet.
        column: error.column().max(1) as u64,
    };
    let said = error.to_string();
    let reason = said.split(" at line ").next().unwrap_or(&said);
    unreadable(reason, place)
}

/// The value of a raw text that is a part of `whole`.
fn node(whole: &str, raw: &str, depth: usize) -> Result<Node, ConfigError> {
    let place = at(whole, offset(whole, raw));
    if depth > DEEPEST {
        return Err(unreadable(
            format!("values stand more than {DEEPEST} deep"),
            place,
        ));
    }
    let wrong = |error: serde_json::Error| unreadable(syntax(&error).to_string(), place);
    let value = match raw.as_bytes().first() {
        Some(b'{') => {
            let members = Deserializer::from_str(raw).deserialize_map(Members(whole));
            let mut pairs: Vec<(Key, Node)> = Vec::new();
            for (key, value) in members.map_err(wrong)? {
                if pairs.iter().any(|(other, _)| other.name == key.name) {
                    return Err(unreadable(twice(&key.name), key.at));
                }
                pairs.push((key, node(whole, value.get(), depth + 1)?));
            }
            Value::Map(pairs)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(raw).map_err(wrong)?;
            let nodes = items.into_iter();
            let nodes = nodes.map(|item| node(whole, item.get(), depth + 1));
            Value::List(nodes.collect::<Result<_, _>>()?)
        }
        Some(b'"') => Value::text(serde_json::from_str::<String>(raw).map_err(wrong)?),
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'n') => Value::Null,
        _ => match (raw.parse(), raw.parse()) {
            (Ok(whole), _) => Value::Whole(whole),
            (_, Ok(negative)) => Value::Negative(negative),
            _ => Value::Float(serde_json::from_str(raw).map_err(wrong)?),
        },
    };
    Ok(Node { at: place, value })
}

/// Where a part begins in the whole it is borrowed from.
fn offset(whole: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize)
}

/// Reads an object, in its order.
struct Members<'w>(&'w str);

/// A key that is borrowed where nothing in it is escaped.
#[derive(Deserialize)]
struct Name<'j>(#[serde(borrow)] Cow<'j, str>);

impl<'j> Visitor<'j> for Members<'_> {
    type Value = Vec<(Key, &'j RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'j>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((Name(name), value)) = map.next_entry::<Name<'j>, &RawValue>()? {
            let start = match &name {
                // Before it stands its quote.
                Cow::Borrowed(name) => offset(self.0, name) - 1,
                Cow::Owned(_) => offset(self.0, value.get()),
            };
            let key = Key {
                at: at(self.0, start),
                name: name.into_owned(),
            };
            members.push((key, value));
        }
        Ok(members)
    }
}
