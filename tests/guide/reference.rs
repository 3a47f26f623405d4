//! The reference of the configuration is the schema's.

use std::{env, fs, path::PathBuf};

use serde_json::{Map, Value};
use tower_quota::gateway::Config;

use crate::pages::guide;

const HEAD: &str = "# Configuration

Every key of a configuration, by its path. `*` is a name of your own, and `[]` stands for each value of a list. The file is
YAML, JSON or TOML, with the same keys. A key that is not listed here is an error, which names its line. Any value can be
`${NAME}`, which is read from the environment, or `${NAME:-else}`, with a value to use if the variable is not set. A duration
is a number and a unit, `100ms`, `6s`, `1m`, `24h`, `7d` or `2w`; a bare number is seconds. `tower-quota check --config FILE`
shows the limits that a file leads to, and `tower-quota check --schema` prints the JSON Schema that this page is generated
from, for your editor.
";

/// A level of the file: its keys, and where it stands.
struct Block {
    paths: Vec<String>,
    schema: Value,
}

#[derive(Default)]
struct Blocks {
    definitions: Map<String, Value>,
    found: Vec<Block>,
}

impl Blocks {
    /// The schema behind references, and behind what only says that it may be left out.
    fn resolved(&self, schema: &Value) -> Value {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.strip_prefix("#/$defs/").unwrap();
            return self.resolved(&self.definitions[name]);
        }
        let either = schema["anyOf"].as_array().into_iter().flatten();
        let real: Vec<&Value> = either.filter(|one| !is_formal(one)).collect();
        match real[..] {
            [only] => self.resolved(only),
            _ => schema.clone(),
        }
    }

    /// All levels from here on, each once: those that have the same keys are one.
    fn find(&mut self, schema: &Value, path: &str) {
        let schema = self.resolved(schema);
        for (name, list) in [("items", "[]"), ("additionalProperties", ".*")] {
            if schema[name].is_object() {
                self.find(&schema[name], &format!("{path}{list}"));
            }
        }
        let either = ["anyOf", "oneOf"].map(|name| schema[name].as_array().cloned());
        for one in either.into_iter().flatten().flatten() {
            self.find(&one, path);
        }
        let Some(keys) = schema["properties"].as_object() else {
            return;
        };
        if let Some(known) = self.found.iter_mut().find(|known| known.schema == schema) {
            if !known.paths.iter().any(|other| other == path) {
                known.paths.push(path.to_owned());
            }
            return;
        }
        self.found.push(Block {
            paths: vec![path.to_owned()],
            schema: schema.clone(),
        });
        for (key, value) in keys {
            let below = [path, key].join(if path.is_empty() { "" } else { "." });
            self.find(value, &below);
        }
    }

    /// What may stand there, in words.
    fn kind(&self, schema: &Value) -> String {
        let schema = self.resolved(schema);
        let either = ["anyOf", "oneOf"].map(|name| schema[name].as_array().cloned());
        let either: Vec<Value> = either.into_iter().flatten().flatten().collect();
        let listed = |one: &Value| {
            let list = one["enum"].as_array().cloned().unwrap_or_default();
            list.into_iter().chain(one.get("const").cloned())
        };
        let mut kinds: Vec<String> = listed(&schema)
            .chain(either.iter().flat_map(listed))
            .filter_map(|word| Some(format!("`{}`", word.as_str()?)))
            .collect();
        let is_list = |one: &&Value| one.get("const").is_none() && one["enum"].is_null();
        let further = either.iter().filter(|one| !is_formal(one)).filter(is_list);
        kinds.extend(further.map(|one| self.kind(one)));
        let pattern = schema["pattern"].as_str().unwrap_or_default();
        let types = match &schema["type"] {
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            other => Vec::from_iter(other.as_str().filter(|_| kinds.is_empty())),
        };
        for name in &types {
            let is_name_alone = pattern == r"\$\{[A-Za-z_]";
            kinds.push(match *name {
                "null" => continue,
                "string" if is_name_alone && types.len() > 1 => continue,
                "string" if pattern.starts_with("^(hour|day") => {
                    "`hour`, `day`, `week`, `month`, `run`, `total` or duration".to_owned()
                }
                "number" | "string" if pattern.contains("ms|s|m|min") => "duration".to_owned(),
                "number" | "string" if pattern.starts_with(r"^\$?[0-9]") => "dollars".to_owned(),
                "string" => "text".to_owned(),
                "integer" => "whole number".to_owned(),
                "boolean" => "`true` or `false`".to_owned(),
                "array" => format!("list of {}", together(self.kind(&schema["items"]))),
                "object" if schema["additionalProperties"].is_object() => {
                    format!(
                        "map to {}",
                        together(self.kind(&schema["additionalProperties"]))
                    )
                }
                "object" => "block".to_owned(),
                other => other.to_owned(),
            });
        }
        kinds.dedup();
        kinds.join(" or ")
    }

    fn page(&self) -> String {
        let mut page = HEAD.to_owned();
        for Block { paths, schema } in &self.found {
            let (first, others) = paths.split_first().unwrap();
            let title = match first.as_str() {
                "" => "The file",
                path => &format!("`{path}`"),
            };
            page += &format!("\n## {title}\n\n");
            if !others.is_empty() {
                let others: Vec<String> = others.iter().map(|path| format!("`{path}`")).collect();
                page += &format!("The same keys: {}.\n\n", others.join(", "));
            }
            let words = prose(schema["description"].as_str().unwrap_or_default());
            if !words.is_empty() && words != format!("`{first}`") && words != format!("`{first}:`")
            {
                page += &format!("{words}\n\n");
            }
            page += "| key | value | default | |\n|---|---|---|---|\n";
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            for (key, value) in schema["properties"].as_object().unwrap() {
                let path = [first.as_str(), key].join(if first.is_empty() { "" } else { "." });
                let default = match &value["default"] {
                    _ if required.contains(&Value::from(key.as_str())) => "required".to_owned(),
                    Value::Null => String::new(),
                    Value::Array(list) if list.is_empty() => String::new(),
                    Value::Object(map) if map.is_empty() => String::new(),
                    Value::String(text) => format!("`{text}`"),
                    Value::Object(_) => "as below".to_owned(),
                    other => format!("`{other}`"),
                };
                let kind = self.kind(value);
                let words = value["description"].as_str().unwrap_or_default();
                page += &format!(
                    "| `{path}` | {} | {default} | {} |\n",
                    cell(&kind),
                    cell(words)
                );
            }
        }
        page
    }
}

/// Whether this says only that a value may be left out, what else must be there, or that it may be a variable's.
fn is_formal(schema: &Value) -> bool {
    let says_more = ["type", "$ref", "anyOf", "oneOf", "enum", "const"];
    let is_bare = says_more.iter().all(|name| schema.get(name).is_none());
    is_bare
        || schema["type"] == "null"
        || schema["type"] == "string" && schema["pattern"] == r"\$\{[A-Za-z_]"
}

/// What is one thing of several kinds.
fn together(kind: String) -> String {
    match kind.contains(" or ") {
        true => format!("({kind})"),
        false => kind,
    }
}

/// What is said of a level, without the examples in Rust.
fn prose(text: &str) -> String {
    let parts = text.split("```").step_by(2).map(str::trim);
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    parts.join("\n\n")
}

/// In one line, with nothing that would end a cell or be HTML.
fn cell(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace('|', "\\|").replace('<', "&lt;")
}

#[test]
fn the_reference_is_the_schemas() {
    let schema = Config::json_schema();
    let mut blocks = Blocks {
        definitions: schema["$defs"].as_object().unwrap().clone(),
        found: Vec::new(),
    };
    blocks.find(&schema, "");
    let page = blocks.page();
    let path: PathBuf = guide("configuration.md");
    if env::var_os("UPDATE_GUIDE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/guide/configuration.md is not what the schema says; write it again with UPDATE_GUIDE=1 cargo test \
         --all-features --test guide reference"
    );
}
