//! C1: the same configuration in YAML, JSON and TOML, with names of the environment in it, is the same value; and is
//! refused with the same words.
#![cfg(feature = "config")]

use std::{fs, path::Path};

use tower_quota::config::{Config, ConfigError, Format};

const YAML: &str = include_str!("../config_files/every_field.yaml");
const JSON: &str = include_str!("../config_files/every_field.json");
const TOML: &str = include_str!("../config_files/every_field.toml");

fn environment(name: &str) -> Option<String> {
    let value = match name {
        "TENANT" => "umbrella",
        "REQUESTS" => "77",
        _ => return None,
    };
    Some(value.to_owned())
}

fn read(text: &str, format: Format) -> Result<Config, ConfigError> {
    Config::from_text(text, format, environment)
}

#[test]
fn a_file_with_every_field_is_the_same_in_all_formats() {
    let yaml = read(YAML, Format::Yaml).unwrap();
    assert_eq!(yaml, read(JSON, Format::Json).unwrap());
    assert_eq!(yaml, read(TOML, Format::Toml).unwrap());
    // JSON is YAML as well.
    assert_eq!(yaml, read(JSON, Format::Yaml).unwrap());
    let block = &yaml.rate_limiting;
    assert_eq!(block.limits[1].amount, 77);
    assert_eq!(block.limits[0].when["tenant"].0, ["acme", "umbrella"]);
    assert_eq!(block.time_zone, "Europe/Berlin");
    assert_eq!(
        block.providers["openai"]["gpt-4.1"].requests_per_second,
        Some(5)
    );
    assert!(yaml.limits().is_ok(), "{:?}", yaml.limits());
}

/// What is wrong with a file in each format, without the place.
fn refused(texts: [(&str, Format); 3]) -> [(String, String, u64, u64); 3] {
    texts.map(|(text, format)| match read(text, format).unwrap_err() {
        ConfigError::Syntax {
            path,
            reason,
            line,
            column,
        } => (path, reason, line, column),
        other => panic!("{text}: {other}"),
    })
}

#[test]
fn a_mistake_has_the_same_path_and_words_in_all_formats_and_its_own_place() {
    for (yaml, json, toml, path, says, lines) in [
        (
            "rate_limiting:\n  global:\n    rpmm: 5",
            "{\"rate_limiting\": {\n \"global\": {\n \"rpmm\": 5 } } }",
            "[rate_limiting]\n\nglobal = { rpmm = 5 }",
            "rate_limiting.global.rpmm",
            "the key `rpmm` is not known; did you mean `rpm`?",
            [(3, 5), (3, 2), (3, 12)],
        ),
        (
            "rate_limiting:\n  global: { rpm: many }",
            "{\"rate_limiting\":\n {\"global\": {\"rpm\": \"many\"} } }",
            "[rate_limiting.global]\nrpm = 'many'",
            "rate_limiting.global.rpm",
            "invalid type: a text, expected a whole number, as 60",
            [(2, 18), (2, 21), (2, 7)],
        ),
        (
            "rate_limiting:\n  unknown_price: dney",
            "{\"rate_limiting\":\n {\"unknown_price\": \"dney\"} }",
            "[rate_limiting]\nunknown_price = \"dney\"",
            "rate_limiting.unknown_price",
            "the value `dney` is not known; did you mean `deny`?",
            [(2, 18), (2, 20), (2, 17)],
        ),
        (
            "rate_limiting:\n  margin: '${NOT_THERE}'",
            "{\"rate_limiting\":\n {\"margin\": \"${NOT_THERE}\"} }",
            "[rate_limiting]\nmargin = '${NOT_THERE}'",
            "rate_limiting.margin",
            "the environment variable `NOT_THERE` is not set; set it, or write `${NOT_THERE:-other}`",
            [(2, 11), (2, 13), (2, 10)],
        ),
        (
            "rate_limiting:\n  budgets:\n  - amount: 5",
            "{\"rate_limiting\":\n {\"budgets\": [\n  {\"amount\": 5} ]} }",
            "[rate_limiting]\nbudgets = [\n { amount = 5 } ]",
            "rate_limiting.budgets[0]",
            "the key `every` is missing",
            [(3, 5), (3, 3), (3, 2)],
        ),
        (
            "rate_limiting:\n  global: { rpm: 5, requests_per_minute: 6 }",
            "{\"rate_limiting\":\n {\"global\": {\"rpm\": 5, \"requests_per_minute\": 6}} }",
            "[rate_limiting]\nglobal = { rpm = 5, requests_per_minute = 6 }",
            "rate_limiting.global",
            "`requests_per_minute` is said twice, or under two of its names",
            [(2, 11), (2, 13), (2, 10)],
        ),
    ] {
        let texts = [
            (yaml, Format::Yaml),
            (json, Format::Json),
            (toml, Format::Toml),
        ];
        for ((at, reason, line, column), expected) in refused(texts).into_iter().zip(lines) {
            assert_eq!((at.as_str(), reason.as_str()), (path, says), "{yaml}");
            assert_eq!((line, column), expected, "{yaml}: {path}");
        }
    }
}

#[test]
fn what_is_no_text_of_its_format_has_a_place_and_repeats_nothing() {
    for (text, format) in [
        ("rate_limiting: [ sk-secret", Format::Yaml),
        ("{\"rate_limiting\": \"sk-secret\"", Format::Json),
        (
            "{\"rate_limiting\": {}, \"rate_limiting\": {}}",
            Format::Json,
        ),
        ("{\"rate_limiting\": {}} sk-secret", Format::Json),
        ("rate_limiting: {}", Format::Json),
        ("[rate_limiting\nx = 'sk-secret'", Format::Toml),
        ("[rate_limiting]\n[rate_limiting]", Format::Toml),
        ("{\"rate_limiting\": {}}", Format::Toml),
        ("", Format::Json),
    ] {
        let said = match read(text, format).unwrap_err() {
            ConfigError::Syntax {
                reason,
                line,
                column,
                ..
            } if line > 0 => format!("{reason} {column}"),
            other => panic!("{text}: {other:?}"),
        };
        assert!(!said.contains("sk-secret"), "{text}: {said}");
    }
    let deep = format!(
        "{{\"rate_limiting\": {}{} }}",
        "[".repeat(100),
        "]".repeat(100)
    );
    assert!(
        read(&deep, Format::Json)
            .unwrap_err()
            .to_string()
            .contains("deep")
    );
}

#[test]
fn an_empty_block_is_one_with_nothing_in_it_in_every_format_that_can_say_so() {
    let empty = read("rate_limiting: {}", Format::Yaml).unwrap();
    for (text, format) in [
        ("rate_limiting:\n", Format::Yaml),
        (
            "rate_limiting:\n  agents:\n  limits:\n  margin:\n",
            Format::Yaml,
        ),
        (
            "{\"rate_limiting\": {\"agents\": null, \"limits\": null, \"margin\": null}}",
            Format::Json,
        ),
        ("[rate_limiting]", Format::Toml),
    ] {
        assert_eq!(read(text, format).unwrap(), empty, "{text}");
    }
}

#[test]
fn yaml_has_its_anchors_and_its_ways_to_write_a_number() {
    let text = "rate_limiting:
  agents:
    a: &small { rpm: 1_000, max_cost_per_hour: 1e-3 }
    b: *small
    c: { <<: *small, tpm: 0x10 }
    42: { rpm: 5 }";
    let plain = "rate_limiting:
  agents:
    a: { rpm: 1000, max_cost_per_hour: 0.001 }
    b: { rpm: 1000, max_cost_per_hour: 0.001 }
    c: { rpm: 1000, max_cost_per_hour: 0.001, tpm: 16 }
    '42': { rpm: 5 }";
    assert_eq!(
        read(text, Format::Yaml).unwrap(),
        read(plain, Format::Yaml).unwrap()
    );
}

#[test]
fn a_path_goes_by_its_ending_and_says_which_there_are() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (ending, text) in [
        ("yaml", "rate_limiting: { global: { rpm: 7 } }"),
        ("YML", "rate_limiting: { global: { rpm: 7 } }"),
        ("json", r#"{"rate_limiting": {"global": {"rpm": 7}}}"#),
        ("toml", "[rate_limiting]\nglobal.rpm = 7"),
    ] {
        let path = folder.join(format!("formats-{}.{ending}", std::process::id()));
        fs::write(&path, text).unwrap();
        let config = Config::from_path(&path);
        fs::remove_file(&path).unwrap();
        assert_eq!(
            config.unwrap().rate_limiting.global.requests_per_minute,
            Some(7)
        );
    }
    for (path, says) in [
        ("quota.ini", "ends in .yaml, .yml, .json or .toml"),
        ("quota", "ends in .yaml, .yml, .json or .toml"),
        ("no/such.toml", "cannot be read: No such file"),
    ] {
        let error = Config::from_path(path).unwrap_err();
        assert!(matches!(error, ConfigError::File { .. }), "{error:?}");
        let said = error.to_string();
        assert!(said.starts_with(path) && said.contains(says), "{said}");
    }
}

#[cfg(feature = "gateway")]
#[test]
fn the_file_of_the_gateway_is_read_in_the_same_formats() {
    use tower_quota::gateway::Config;

    let yaml = Config::from_yaml(
        "rate_limiting: { global: { rpm: 5 } }\ngateway: { upstream: 'http://a:1' }",
    );
    let yaml = yaml.unwrap();
    let json =
        r#"{"rate_limiting": {"global": {"rpm": 5}}, "gateway": {"upstream": "http://a:1"}}"#;
    assert_eq!(Config::from_json(json).unwrap(), yaml);
    let toml = "rate_limiting.global.rpm = 5\ngateway.upstream = 'http://a:1'";
    assert_eq!(Config::from_toml(toml).unwrap(), yaml);
    let named = Config::from_text(
        "rate_limiting: {}\ngateway: { upstream: '${URL}' }",
        tower_quota::config::Format::Yaml,
        |_| Some("ftp://sk-secret".to_owned()),
    );
    let said = named.unwrap_err().to_string();
    assert!(
        said.starts_with("gateway.upstream: ") && !said.contains("sk-secret"),
        "{said}"
    );
}
