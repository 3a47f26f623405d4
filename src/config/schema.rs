//! The JSON Schema of a configuration: what serde reads, for editors and for those who check files elsewhere.

use std::borrow::Cow;

use schemars::{
    JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema,
    transform::transform_subschemas,
};
use serde_json::{Map, Value, json};

use super::{BudgetPeriod, OneOrMore, Preset, Span};
use crate::{limit::Quantity, money::Money, pricing::Rate, store::StoreSetting};

/// The schema of a whole file, as text in it may have names of the environment.
pub(crate) fn of<T: JsonSchema>() -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<T>();
    finish(&mut schema);
    schema.to_value()
}

/// The schema of a block that may be written shorter, as one of these types.
pub(super) fn shorter<B: JsonSchema>(generator: &mut SchemaGenerator, types: &[&str]) -> Schema {
    let mut schema = B::json_schema(generator);
    let types: Vec<&str> = types.iter().copied().chain(["object"]).collect();
    schema.insert("type".to_owned(), json!(types));
    schema
}

/// The schema of a type by that of its block, and of the items where it may be a list.
macro_rules! short {
    ($kind:ident: $block:ty, $types:expr $(, $item:ty)?) => {
        impl schemars::JsonSchema for $kind {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($kind).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                #[allow(unused_mut, reason = "not all have items")]
                let mut schema = crate::config::schema::shorter::<$block>(generator, &$types);
                $(schema.insert("items".to_owned(), generator.subschema_for::<$item>().to_value());)?
                schema
            }
        }
    };
}
pub(super) use short;

/// Adds another name of a property: as a property of its own, which says of which it is another name.
pub(super) fn alias(schema: &mut Schema, name: &str, alias: &str) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::Object(properties)) = object.get_mut("properties")
        && let Some(Value::Object(mut property)) = properties.get(name).cloned()
    {
        let description = format!("Another name of `{name}`.");
        property.insert("description".to_owned(), description.into());
        properties.insert(alias.to_owned(), Value::Object(property));
    }
    // One of its names is required, not this one.
    let Some(Value::Array(required)) = object.get_mut("required") else {
        return;
    };
    let before = required.len();
    required.retain(|other| other != name);
    if required.len() < before {
        let either = json!([{ "required": [name] }, { "required": [alias] }]);
        object.insert("oneOf".to_owned(), either);
    }
}

/// Takes links of this documentation out of descriptions, and lets names of the environment stand for values.
fn finish(schema: &mut Schema) {
    transform_subschemas(&mut finish, schema);
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::String(text)) = object.get_mut("description") {
        *text = without_links(text);
    }
    let is_typed = |name: &str| match object.get("type") {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(several)) => several.iter().any(|one| one == name),
        _ => false,
    };
    if ["integer", "number", "boolean"].into_iter().any(is_typed) && !is_typed("string") {
        let named = |schema: &mut Map<String, Value>| {
            let types = match schema.remove("type") {
                Some(Value::Array(several)) => several,
                one => one.into_iter().collect(),
            };
            let types = types.into_iter().chain([json!("string")]);
            schema.insert("type".to_owned(), types.collect());
            schema.insert("pattern".to_owned(), NAME.into());
        };
        named(object);
    } else if let Some(words) = object.remove("enum") {
        let named = json!([{ "enum": words }, { "type": "string", "pattern": NAME }]);
        object.remove("type");
        object.insert("anyOf".to_owned(), named);
    } else if let Some(Value::Array(words)) = object.get_mut("oneOf")
        && words.iter().all(|word| word.get("const").is_some())
    {
        words.push(json!({ "type": "string", "pattern": NAME }));
    }
}

/// A text with the name of a variable of the environment in it.
const NAME: &str = r"\$\{[A-Za-z_]";

/// `see [this](crate::That)` without where the link leads to. What stands between backticks is no link.
fn without_links(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(number, part)| match number % 2 {
        0 => without_brackets(part),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("`")
}

/// The same of words without backticks, in which a link may begin or end.
fn without_brackets(text: &str) -> String {
    let mut parts = text.split("](");
    let first = parts.next().unwrap_or_default().to_owned();
    let plain = parts.fold(first, |before, rest| {
        before + rest.split_once(')').map_or(rest, |(_, after)| after)
    });
    plain.replace(['[', ']'], "")
}

/// A preset, in a schema alone.
pub(super) struct PresetName;

impl JsonSchema for PresetName {
    fn schema_name() -> Cow<'static, str> {
        "PresetName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<String> = Preset::all().iter().map(ToString::to_string).collect();
        json_schema!({ "type": "string", "enum": names })
    }

    fn inline_schema() -> bool {
        true
    }
}

/// What a limit counts that is no budget, in a schema alone.
pub(super) struct Counted;

impl JsonSchema for Counted {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Quantity::json_schema(generator);
        let words = schema.get_mut("oneOf").and_then(Value::as_array_mut);
        if let Some(words) = words {
            words.retain(|word| word["const"] != Quantity::Cost.name());
        }
        schema
    }
}

/// The name of a tag, or a list of names, in a schema alone.
pub(super) struct TagNames;

/// A share of something, in a schema alone.
pub(super) struct Share;

macro_rules! schema_of {
    ($($kind:ty, $name:literal: $schema:tt;)*) => {
        $(impl JsonSchema for $kind {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }

            fn inline_schema() -> bool {
                true
            }
        })*
    };
}

schema_of! {
    Money, "Money": {
        "type": ["number", "string"],
        "minimum": 0,
        "pattern": r"^\$?[0-9]*(\.[0-9]*)?([eE][+-]?[0-9]+)?$|\$\{[A-Za-z_]",
        "description": "Dollars.",
    };
    Rate, "Rate": {
        "type": ["number", "string"],
        "minimum": 0,
        "pattern": r"^\$?[0-9]*(\.[0-9]*)?([eE][+-]?[0-9]+)?$|\$\{[A-Za-z_]",
        "description": "Dollars for a million tokens.",
    };
    Span, "Span": {
        "type": ["string", "number"],
        "minimum": 0,
        "pattern": r"^[0-9.]+ *(ms|s|m|min|h|d|w)?$|\$\{[A-Za-z_]",
        "description": "A duration: 100ms, 6s, 1m, 24h, 7d; a bare number is seconds.",
    };
    BudgetPeriod, "BudgetPeriod": {
        "type": "string",
        "pattern": r"^(hour|day|week|month|run|total|[0-9.]+ *(ms|s|m|min|h|d|w)?)$|\$\{[A-Za-z_]",
        "description": "hour, day, week or month of the calendar; a run; a length: 24h, 7d; or total.",
    };
    StoreSetting, "StoreSetting": {
        "type": "string",
        "pattern": r"^(memory|sqlite:.+|rediss?://.+)$|\$\{[A-Za-z_]",
    };
    Share, "Share": {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 1,
    };
    TagNames, "TagNames": {
        "type": ["string", "array"],
        "items": { "type": "string", "minLength": 1 },
        "minLength": 1,
    };
    OneOrMore, "OneOrMore": {
        "type": ["string", "array"],
        "items": { "type": "string" },
        "minItems": 1,
        "description": "A value, or a list of values of which any will do.",
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_leave_their_words() {
        for (text, plain) in [
            ("no links", "no links"),
            ("[`Charge::openai`]", "`Charge::openai`"),
            (
                "an [event](crate::Limiter::on_event), and [two](b) more",
                "an event, and two more",
            ),
            (
                "see [`Limit::when`](crate::limit::Limit::when) and [this `text`](b)",
                "see `Limit::when` and this `text`",
            ),
            (
                "kinds: `[circuit, spent]`, as [`Kind`] has (them)",
                "kinds: `[circuit, spent]`, as `Kind` has (them)",
            ),
            (
                "```\nfallbacks: [{ a: [b](c) }]\n```\n[so](d)",
                "```\nfallbacks: [{ a: [b](c) }]\n```\nso",
            ),
        ] {
            assert_eq!(without_links(text), plain);
        }
    }
}
