//! TOML.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{At, ConfigError, DEEPEST, Key, Node, Value, at, twice, unreadable};

pub(super) fn read(text: &str) -> Result<Node, ConfigError> {
    let table = DeTable::parse(text).map_err(|error| {
        let place = error
            .span()
            .map_or(At::default(), |span| at(text, span.start));
        unreadable(said(text, &error), place)
    })?;
    Ok(Node {
        at: At { line: 1, column: 1 },
        value: map(text, table.into_inner(), 0)?,
    })
}

/// What is wrong, in the words of the other formats where they have some.
fn said(text: &str, error: &toml::de::Error) -> String {
    let said = error.message().trim_end();
    let there = error.span().and_then(|span| text.get(span));
    match there.filter(|key| said == "duplicate key" && !key.contains('\n')) {
        Some(key) => twice(key.trim_matches(['"', '\''])),
        None => said.to_owned(),
    }
}

fn map(text: &str, table: DeTable<'_>, depth: usize) -> Result<Value, ConfigError> {
    let pairs = table.into_iter().map(|(key, value)| {
        let place = at(text, key.span().start);
        let key = Key {
            at: place,
            name: key.into_inner().into_owned(),
        };
        Ok((key, node(text, value, depth + 1)?))
    });
    Ok(Value::Map(pairs.collect::<Result<_, ConfigError>>()?))
}

fn node(text: &str, value: Spanned<DeValue<'_>>, depth: usize) -> Result<Node, ConfigError> {
    let place = at(text, value.span().start);
    if depth > DEEPEST {
        return Err(unreadable(
            format!("values stand more than {DEEPEST} deep"),
            place,
        ));
    }
    let value = match value.into_inner() {
        DeValue::String(text) => Value::text(text),
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Integer(number) => {
            let whole = u64::from_str_radix(number.as_str(), number.radix());
            let negative = i64::from_str_radix(number.as_str(), number.radix());
            match (whole, negative) {
                (Ok(whole), _) => Value::Whole(whole),
                (_, Ok(negative)) => Value::Negative(negative),
                _ => return Err(unreadable("the number is too large", place)),
            }
        }
        DeValue::Float(number) => match number.as_str().parse() {
            Ok(number) => Value::Float(number),
            Err(_) => return Err(unreadable("the number does not read", place)),
        },
        // A date is nothing that is asked for anywhere; as text it is refused like any other.
        DeValue::Datetime(date) => Value::text(date.to_string()),
        DeValue::Array(items) => {
            let nodes = items.into_iter();
            let nodes = nodes.map(|item| node(text, item, depth + 1));
            Value::List(nodes.collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => map(text, table, depth)?,
    };
    Ok(Node { at: place, value })
}
