//! Tools that a request gives, and the call of one.

use std::cell::Cell;

use serde::Deserialize;
use serde_json::{Map, Value};

/// A schema that is nested deeper is answered with null there.
const DEEPEST: usize = 16;

/// No arguments have more values, and none of them is longer.
const MOST: usize = 1_024;

/// A tool of OpenAI responses and of Anthropic, or the function in one of the others.
///
/// The provider's own tools (web search and the like) have no schema; they are not called.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Tool {
    name: Option<String>,
    #[serde(
        default,
        alias = "input_schema",
        alias = "parametersJsonSchema",
        alias = "parameters_json_schema"
    )]
    parameters: Option<Value>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// An object with what the tool's schema requires.
    pub(crate) arguments: Value,
}

impl Call {
    /// The tokens of its text, at so many bytes each.
    pub(crate) fn tokens(&self, token_bytes: usize) -> u64 {
        let bytes = self.name.len() + self.arguments.to_string().len();
        bytes.div_ceil(token_bytes.max(1)) as u64
    }
}

impl Tool {
    /// A call of the first that is the caller's own.
    pub(super) fn call(tools: impl IntoIterator<Item = Tool>) -> Option<Call> {
        // `custom` is what Anthropic calls those; OpenAI's take text, not arguments, and have no schema.
        let own = |tool: &Tool| match tool.kind.as_deref() {
            None | Some("function") => true,
            Some("custom") => tool.parameters.is_some(),
            Some(_) => false,
        };
        let mut tools = tools.into_iter().filter(own);
        let tool = tools.find(|tool| tool.name.is_some())?;
        let schema = tool.parameters.unwrap_or_default();
        let example = Example {
            root: &schema,
            left: Cell::new(MOST),
        };
        let arguments = match example.of(&schema, 0) {
            Value::Object(arguments) => arguments,
            _ => Map::new(),
        };
        Some(Call {
            name: tool.name?,
            arguments: Value::Object(arguments),
        })
    }
}

/// Values that fit a schema, as far as types, required fields and simple bounds go.
struct Example<'a> {
    root: &'a Value,
    /// How many more there may be: schemas may be endless, and wide.
    left: Cell<usize>,
}

impl Example<'_> {
    fn of(&self, schema: &Value, depth: usize) -> Value {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        if depth > DEEPEST || left == 0 {
            return Value::Null;
        }
        let inside = |schema: &Value| self.of(schema, depth + 1);
        if let Some(fixed) = schema.get("const").or_else(|| schema.get("default")) {
            return fixed.clone();
        }
        if let Some(first) = schema["enum"].get(0) {
            return first.clone();
        }
        if let Some(path) = schema["$ref"].as_str() {
            let target = path.strip_prefix('#');
            let target = target.and_then(|path| self.root.pointer(path));
            return target.map_or(Value::Null, inside);
        }
        for choice in ["anyOf", "oneOf", "allOf", "any_of"] {
            if let Some(first) = schema[choice].get(0) {
                return inside(first);
            }
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds.first().and_then(Value::as_str),
            kind => kind.as_str(),
        };
        // Google writes them in capitals.
        let kind = kind.map(str::to_ascii_lowercase);
        match kind.as_deref() {
            Some("string") => {
                let most = bound(schema, "maxLength").unwrap_or(4);
                let least = bound(schema, "minLength").unwrap_or(0);
                Value::from("b".repeat(most.min(4).max(least)))
            }
            Some("integer" | "number") => match &schema["minimum"] {
                Value::Null => Value::from(1),
                minimum => minimum.clone(),
            },
            Some("boolean") => Value::from(true),
            Some("array") => {
                let items = 0..bound(schema, "minItems").unwrap_or(0);
                let items = items.take_while(|_| self.left.get() > 0);
                items.map(|_| inside(&schema["items"])).collect()
            }
            Some("object") | None if schema.is_object() => {
                let required = schema["required"].as_array().into_iter().flatten();
                let names = required.filter_map(Value::as_str);
                let names = names.take_while(|_| self.left.get() > 0);
                let field = |name: &str| (name.to_owned(), inside(&schema["properties"][name]));
                Value::Object(names.map(field).collect())
            }
            _ => Value::Null,
        }
    }
}

/// A bound of a length, within reason.
fn bound(schema: &Value, name: &str) -> Option<usize> {
    let told = schema.get(name)?;
    // Google writes whole numbers as texts.
    let told = told.as_u64().or_else(|| told.as_str()?.parse().ok())?;
    Some(usize::try_from(told).unwrap_or(MOST).min(MOST))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(schema: &Value) -> Value {
        let tool = json!({"name": "f", "parameters": schema});
        let tool: Tool = serde_json::from_value(tool).unwrap();
        Tool::call([tool]).unwrap().arguments
    }

    #[test]
    fn gives_what_is_required_and_nothing_else() {
        let schema = json!({"type": "object", "required": ["city", "unit", "days", "code", "exact", "tags"],
        "properties": {
            "city": {"type": "string", "minLength": 6}, "unit": {"type": "string", "enum": ["C", "F"]},
            "days": {"type": ["integer", "null"], "minimum": 3}, "code": {"type": "string", "maxLength": 2}, "exact": {"type": "boolean"},
            "tags": {"type": "array", "minItems": 2, "items": {"type": "number"}},
            "other": {"type": "string"}
        }});
        let expected = json!({"city": "bbbbbb", "unit": "C", "days": 3, "code": "bb", "exact": true, "tags": [1, 1]});
        assert_eq!(arguments(&schema), expected);
    }

    #[test]
    fn reads_schemas_of_google_and_of_generators() {
        let google = json!({"type": "OBJECT", "required": ["q"],
            "properties": {"q": {"type": "STRING", "minLength": "5"}}});
        assert_eq!(arguments(&google), json!({"q": "bbbbb"}));
        let generated = json!({"required": ["at", "or"], "$defs": {"At": {"type": "object",
                "required": ["x"], "properties": {"x": {"const": 7}}}},
            "properties": {"at": {"$ref": "#/$defs/At"}, "or": {"anyOf": [{"type": "null"}]}}});
        assert_eq!(arguments(&generated), json!({"at": {"x": 7}, "or": null}));
    }

    #[test]
    fn ends_with_a_schema_that_does_not() {
        let endless = json!({"required": ["a"], "properties": {"a": {"$ref": "#"}}});
        assert!(arguments(&endless)["a"]["a"].is_object());
        let items = json!({"type": "array", "minItems": 1_000_000, "items": {"$ref": "#"}});
        let wide = json!({"required": ["a"], "properties": {"a": items}});
        assert!(arguments(&wide).to_string().len() < 100_000);
    }

    #[test]
    fn calls_the_first_that_is_the_callers_own() {
        let tools: Vec<Tool> = serde_json::from_value(json!([
            {"type": "web_search_20250305", "name": "web_search"}, {"type": "file_search"},
            {"type": "custom", "name": "text"}, {"name": "mine", "input_schema": null}, {"name": "second"}
        ]))
        .unwrap();
        let call = Tool::call(tools).unwrap();
        assert_eq!((&*call.name, call.arguments), ("mine", json!({})));
        assert_eq!(Tool::call([]), None);
    }
}
