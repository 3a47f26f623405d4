//! The schema is what serde reads: at every level the same keys, and for every field of it a wrong type, a wrong value
//! and a typo are refused, each with one error that names its path. A field that is new fails here until it is in
//! `config_files/every_field`, and its schema says which values are wrong.
#![cfg(feature = "gateway")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tower_quota::{
    config::{ConfigError, Format},
    gateway::Config,
};

/// Texts of which none is wrong in itself: names of tags, of their values and of files.
const FREE: [&str; 11] = [
    "[]",
    "when.{}",
    "when.{}[]",
    "price_file",
    "time_zone",
    "model_aliases.{}",
    "gateway.state",
    "gateway.authorities",
    "tls.certificate",
    "tls.key",
    "alerts[].headers.{}",
];

const GATEWAY: &str = r#"{
    "listen": "127.0.0.1:8080", "upstream": "https://example.com",
    "upstreams": { "mine": {
        "url": "https://example.com", "provider": "openai", "key": "sk-x", "auth": { "header": "x-key" },
        "default": false, "unmetered": "deny"
    } },
    "state": "state.json", "tls": { "certificate": "server.pem", "key": "server.key" },
    "heartbeat": "15s", "drain": "10m", "answers_within": "5m", "body_memory_mib": 64, "metrics": { "tags": ["team"] }, "authorities": "ca.pem",
    "retention": { "attempts": "90d", "hours": "104w" },
    "alerts": [{
        "url": "https://example.com/hook", "form": "slack", "on": ["threshold", "spent"],
        "headers": { "x-token": "x" }, "again_after": "1h", "timeout": "10s", "tries": 8
    }]
}"#;

/// A file in which every field is set, and nothing is wrong.
fn every_field() -> Value {
    let text = include_str!("../config_files/every_field.json");
    let text = text
        .replace("${TENANT}", "umbrella")
        .replace("\"${REQUESTS}\"", "77");
    let mut file: Value = serde_json::from_str(&text.replace("${CITY:-Berlin}", "Berlin")).unwrap();
    file["gateway"] = serde_json::from_str(GATEWAY).unwrap();
    file["rate_limiting"]["queue"]["max_wait"] = json!("10m");
    file
}

/// Reads and builds.
fn built(file: &Value) -> Result<(), ConfigError> {
    let config = Config::from_text(&file.to_string(), Format::Json, |_| None)?;
    config.gateway.check()?;
    config.rate_limiting.build().map(drop)
}

/// One step into a value.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Key(String),
    /// A key of a map, which has any.
    Any(String),
    Item(usize),
}

/// The value at a place.
fn at<'v>(file: &'v mut Value, place: &[Step]) -> &'v mut Value {
    place.iter().fold(file, |value, step| match step {
        Step::Key(key) | Step::Any(key) => &mut value[key.as_str()],
        Step::Item(number) => &mut value[*number],
    })
}

/// A place as errors name it.
fn path(place: &[Step]) -> String {
    let mut path = String::new();
    for step in place {
        match step {
            Step::Item(number) => path += &format!("[{number}]"),
            Step::Key(key) | Step::Any(key) if path.is_empty() => path += key,
            Step::Key(key) | Step::Any(key) => path += &format!(".{key}"),
        }
    }
    path
}

/// A place as it is in every file: without the names that users give.
fn form(place: &[Step]) -> String {
    let plain = place.iter().map(|step| match step {
        Step::Any(_) => Step::Key("{}".to_owned()),
        Step::Item(_) => Step::Item(usize::MAX),
        key => key.clone(),
    });
    path(&plain.collect::<Vec<_>>()).replace(&format!("[{}]", usize::MAX), "[]")
}

/// What the walk over the schema found.
#[derive(Default)]
struct Walk {
    schema: Value,
    fields: usize,
    cases: usize,
    levels: usize,
    /// Fields by the kind of their level, and whether they are set anywhere.
    set: BTreeMap<(String, String), bool>,
    wrong: Vec<String>,
}

impl Walk {
    /// The schema itself, behind references and without what only says that it may be left out.
    fn resolved(&self, schema: &Value) -> Value {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.strip_prefix("#/$defs/").unwrap();
            return self.resolved(&self.schema["$defs"][name]);
        }
        if let Some(either) = schema["anyOf"].as_array() {
            let real: Vec<&Value> = either.iter().filter(|one| one["type"] != "null").collect();
            if real.len() == 1 {
                return self.resolved(real[0]);
            }
        }
        schema.clone()
    }

    /// The name of a level's kind.
    fn kind(&self, schema: &Value) -> String {
        let kinds = self.schema["$defs"].as_object().unwrap().iter();
        let same = kinds.filter(|(_, kind)| *kind == schema);
        same.map(|(name, _)| name.clone())
            .next()
            .unwrap_or_default()
    }

    /// The field that this is, or is another name of.
    fn own<'n>(&'n self, name: &'n str) -> &'n str {
        let kinds = self.schema["$defs"].as_object().unwrap().values();
        let mut words = kinds.filter_map(|kind| kind["properties"][name]["description"].as_str());
        let own =
            words.find_map(|words| words.strip_prefix("Another name of `")?.strip_suffix("`."));
        own.unwrap_or(name)
    }

    /// The file with this value in place of the one that is there, under whatever name.
    fn with(&self, place: &[Step], value: Value) -> Value {
        let mut file = every_field();
        let (last, before) = place.split_last().unwrap();
        match (last, at(&mut file, before)) {
            (Step::Key(key), Value::Object(level)) => {
                level.retain(|other, _| self.own(other) != self.own(key));
                level.insert(key.clone(), value);
            }
            _ => *at(&mut file, place) = value,
        }
        file
    }

    fn walk(&mut self, schema: &Value, place: &[Step]) {
        let schema = self.resolved(schema);
        if schema["properties"].is_object() {
            self.level(&schema, place);
        } else if schema["additionalProperties"].is_object() {
            self.wrong_values(&schema, place);
            let mut file = every_field();
            let map = at(&mut file, place).as_object().cloned();
            let names: Vec<String> = map.unwrap_or_default().keys().cloned().collect();
            assert!(!names.is_empty(), "{}: nothing is in it", path(place));
            let further = [place, &[Step::Any(names[0].clone())]].concat();
            self.walk(&schema["additionalProperties"], &further);
        } else if schema["items"].is_object() && schema["type"] != json!(["string", "array"]) {
            self.wrong_values(&schema, place);
            self.walk(&schema["items"], &[place, &[Step::Item(0)]].concat());
        } else {
            self.wrong_values(&schema, place);
        }
    }

    /// Keys: those that serde takes, and none misspelled.
    fn level(&mut self, schema: &Value, place: &[Step]) {
        self.levels += 1;
        if schema["additionalProperties"] != json!(false) {
            self.wrong.push(format!("{}: takes any key", path(place)));
        }
        let known: BTreeSet<String> = schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        let taken = taken(place);
        if known != taken {
            self.wrong.push(format!(
                "{}: serde takes {taken:?}, the schema has {known:?}",
                path(place)
            ));
        }
        for (name, property) in schema["properties"].as_object().unwrap() {
            self.fields += 1;
            // A misspelled key.
            let typo = format!("{name}z");
            let said = refused_with(place, &typo, json!(1));
            let named = path(&[place, &[Step::Key(typo.clone())]].concat());
            let meant = format!("the key `{typo}` is not known; did you mean `{name}`?");
            if said != (named.clone(), meant.clone()) {
                self.wrong
                    .push(format!("{named}: {said:?}, and not {meant}"));
            }
            // Its values.
            let here = [place, &[Step::Key(name.clone())]].concat();
            let is_set = !at(&mut every_field(), &here).is_null();
            let somewhere = is_set || is_set_beside(place, name);
            let set = self
                .set
                .entry((self.kind(schema), name.clone()))
                .or_default();
            *set |= somewhere;
            let types = types(&self.resolved(property));
            if is_set || !(types.contains("object") || types.contains("array")) {
                self.walk(property, &here);
            } else if !types.contains("object") {
                // What is in the list is looked at where it is set.
                let schema = self.resolved(property);
                self.wrong_values(&schema, &here);
            }
        }
    }

    /// What does not belong there.
    fn wrong_values(&mut self, schema: &Value, place: &[Step]) {
        let types = types(schema);
        let of_map = self.resolved(&schema["additionalProperties"]);
        let in_map = if of_map["type"] == "object" {
            json!(5)
        } else {
            json!({})
        };
        let mut cases: Vec<Value> = [json!(true), json!(5), json!([[]]), json!({ "zzz": in_map })]
            .into_iter()
            .filter(|value| !types.iter().any(|name| is_of(value, name)))
            .collect();
        let (text, number) = (
            types.contains("string"),
            types.contains("number") || types.contains("integer"),
        );
        let words = words(schema);
        if text || !words.is_empty() {
            cases.extend(words.iter().map(|word| json!(format!("{word}z"))));
            // What has a pattern has values that are not of it.
            let bound = schema["pattern"].is_string() || !words.is_empty();
            cases.extend(bound.then(|| json!("zzz-wrong")));
            cases.extend(schema["minLength"].as_u64().map(|_| json!("")));
            let is_free = FREE.iter().any(|free| form(place).ends_with(free));
            if !bound && schema["minLength"].is_null() && !is_free {
                self.wrong
                    .push(format!("{}: no text is wrong by its schema", form(place)));
            }
        } else {
            cases.push(json!("zzz-wrong"));
        }
        if number {
            let bounds = [
                ("minimum", -1.0),
                ("maximum", 1.0),
                ("exclusiveMinimum", 0.0),
            ];
            let passed: Vec<Value> = bounds
                .into_iter()
                .filter_map(|(name, step)| Some(json_number(schema[name].as_f64()? + step)))
                .collect();
            if passed.is_empty() {
                self.wrong
                    .push(format!("{}: no number is wrong by its schema", form(place)));
            }
            cases.extend(passed);
        }
        for case in cases {
            self.cases += 1;
            let file = self.with(place, case.clone());
            let (named, error) = (path(place), built(&file));
            let fits = match &error {
                Ok(()) => false,
                Err(ConfigError::Syntax {
                    path, reason, line, ..
                }) => path.starts_with(&named) && !reason.is_empty() && *line > 0,
                Err(ConfigError::Value { path, reason }) => {
                    path.starts_with(&named) && !reason.is_empty()
                }
                // A limit in full names its field in words.
                Err(ConfigError::Limit { path, source }) => {
                    let field = named.strip_prefix(path.as_str()).unwrap_or_default();
                    let said = field.split(['.', '[']).nth(1);
                    let (level, last) = named.rsplit_once('.').unwrap_or_default();
                    format!("{level}.{}", self.own(last)) == *path
                        || said
                            .is_some_and(|field| source.to_string().contains(&format!("`{field}`")))
                }
                Err(_) => false,
            };
            if !fits {
                self.wrong.push(format!("{named} = {case}: {error:?}"));
            }
        }
    }
}

/// Whether this key is set at this level in another value of the same lists and maps.
fn is_set_beside(place: &[Step], name: &str) -> bool {
    let file = every_field();
    let mut values = vec![&file];
    for step in place {
        values = values
            .into_iter()
            .flat_map(|value| match (step, value) {
                (Step::Key(key), value) => vec![&value[key.as_str()]],
                (Step::Any(_), Value::Object(map)) => map.values().collect(),
                (Step::Item(_), Value::Array(list)) => list.iter().collect(),
                _ => vec![],
            })
            .collect();
    }
    values.iter().any(|value| !value[name].is_null())
}

fn json_number(number: f64) -> Value {
    if number.fract() == 0.0 {
        serde_json::from_str(&format!("{number:.0}")).unwrap()
    } else {
        json!(number)
    }
}

/// The words that are taken, of a schema that lists them.
fn words(schema: &Value) -> Vec<String> {
    let either = schema["oneOf"]
        .as_array()
        .into_iter()
        .chain(schema["anyOf"].as_array())
        .flatten();
    let listed = either.flat_map(|one| {
        let list = one["enum"].as_array().cloned().unwrap_or_default();
        list.into_iter().chain(one.get("const").cloned())
    });
    listed
        .filter_map(|word| Some(word.as_str()?.to_owned()))
        .collect()
}

fn types(schema: &Value) -> BTreeSet<String> {
    match &schema["type"] {
        Value::String(one) => [one.clone()].into(),
        Value::Array(several) => several
            .iter()
            .map(|one| one.as_str().unwrap().to_owned())
            .collect(),
        _ if !words(schema).is_empty() => ["string".to_owned()].into(),
        other => panic!("no type: {other} in {schema}"),
    }
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "boolean" => value.is_boolean(),
        "number" | "integer" => value.is_number(),
        "string" => value.is_string(),
        // What is in these is wrong: lists of lists are nowhere taken, nor maps of empty maps under this name.
        "array" | "object" => false,
        _ => value.is_null(),
    }
}

/// The keys that serde takes at a place, by its own word.
fn taken(place: &[Step]) -> BTreeSet<String> {
    let (_, said) = refused_with(place, "0", json!(1));
    let list = said.split("there are ").nth(1).expect(&said);
    list.split(", ").map(str::to_owned).collect()
}

/// The path of the error, and its words, where one more key is at a place.
fn refused_with(place: &[Step], key: &str, value: Value) -> (String, String) {
    let mut file = every_field();
    at(&mut file, place)[key] = value;
    match built(&file) {
        Err(ConfigError::Syntax { path, reason, .. }) => (path, reason),
        other => panic!("{}.{key}: {other:?}", path(place)),
    }
}

#[test]
fn every_field_of_the_schema_is_read_and_refuses_what_is_wrong_and_misspelled() {
    built(&every_field()).expect("nothing is wrong with it");
    let schema = Config::json_schema();
    let mut walk = Walk {
        schema: schema.clone(),
        ..Walk::default()
    };
    walk.walk(&schema, &[]);
    for ((kind, name), _) in walk.set.iter().filter(|(_, set)| !**set) {
        walk.wrong
            .push(format!("{kind}.{name}: is not in every_field"));
    }
    assert!(walk.wrong.is_empty(), "{}", walk.wrong.join("\n"));
    assert!(
        walk.levels >= 22 && walk.fields >= 178 && walk.cases > 900,
        "{} {} {}",
        walk.levels,
        walk.fields,
        walk.cases
    );
}

#[test]
fn no_limit_counts_cost_by_the_schema_and_one_tag_is_as_good_as_a_list() {
    let schema = Config::json_schema();
    let quantity = schema["$defs"]["Quantity"].to_string();
    assert!(quantity.contains("concurrency") && !quantity.contains("cost"));
    for kind in ["LimitConfig", "BudgetConfig"] {
        let per = &schema["$defs"][kind]["properties"]["per"];
        assert_eq!(per["type"], json!(["string", "array"]), "{kind}");
    }
}

#[test]
fn the_schema_of_the_block_is_the_same_for_the_gateway() {
    let (ours, gateways) = (
        tower_quota::config::Config::json_schema(),
        Config::json_schema(),
    );
    assert_eq!(
        ours["$defs"]["RateLimiting"],
        gateways["$defs"]["RateLimiting"]
    );
    assert_eq!(ours["required"], json!(["rate_limiting"]));
    assert_eq!(gateways["required"], json!(["rate_limiting"]));
}

#[test]
fn every_field_is_described_and_no_description_has_a_link_into_the_docs() {
    let schema = Config::json_schema();
    let levels = schema["$defs"]
        .as_object()
        .unwrap()
        .values()
        .chain([&schema]);
    let mut seen = 0;
    for level in levels {
        let properties = level["properties"].as_object().into_iter().flatten();
        for (name, property) in properties {
            seen += 1;
            let words = property["description"].as_str().unwrap_or_default();
            assert!(!words.is_empty(), "{name}: {property}");
            assert!(!words.contains("]("), "{name}: {words}");
        }
    }
    assert!(seen > 70, "{seen}");
}
