//! What makes no sense in a configuration is refused: by its path, with what is wrong and what was meant.
#![cfg(feature = "config")]

use tower_quota::config::{Config, ConfigError, Format};

/// The path that an error names, and what it says.
pub(crate) fn refused(yaml: &str) -> (String, String) {
    let built = Config::from_yaml(yaml).and_then(|config| config.build().map(drop));
    let error = built.expect_err(yaml);
    let said = error.to_string();
    match error {
        ConfigError::Syntax {
            path, line, column, ..
        } => {
            assert!(line > 0 && column > 0, "{yaml}: {said}");
            assert!(said.contains("(line "), "{yaml}: {said}");
            (path, said)
        }
        ConfigError::Value { path, .. } | ConfigError::Limit { path, .. } => {
            assert!(said.starts_with(&path), "{yaml}: {said}");
            (path, said)
        }
        other => panic!("{yaml}: {other}"),
    }
}

/// A block, where `FIELDS` stands for the fields that a case sets, and the path of the block.
struct Block {
    yaml: &'static str,
    path: &'static str,
    /// A field; what is wrong with it; what else the message says. A limit's own error names its field in words.
    cases: &'static [(&'static str, &'static str, &'static str)],
}

const QUOTA: &[(&str, &str, &str)] = &[
    ("requests_per_second", "0", "`amount` is 0"),
    ("requests_per_minute", "0", "`amount` is 0"),
    ("requests_per_minute", "-5", ""),
    ("requests_per_minute", "many", ""),
    ("requests_per_hour", "0", "`amount` is 0"),
    ("requests_per_day", "0", "`amount` is 0"),
    ("tokens_per_minute", "0", "`amount` is 0"),
    ("tokens_per_minute", "1.5", ""),
    ("tokens_per_day", "0", "`amount` is 0"),
    ("input_tokens_per_minute", "0", "`amount` is 0"),
    ("output_tokens_per_minute", "0", "`amount` is 0"),
    ("concurrent_requests", "0", "`amount` is 0"),
    ("max_requests_per_run", "0", "`amount` is 0"),
    ("headroom", "0", "more than 0 and at most 1"),
    ("headroom", "1.1", "more than 0 and at most 1"),
    ("adaptive", "0", "more than 0 and at most 1"),
    ("adaptive", "1.1", "more than 0 and at most 1"),
    ("adaptive", "-0.25", "more than 0 and at most 1"),
    ("adaptive", ".nan", "more than 0 and at most 1"),
    ("adaptive", "yes", ""),
    ("max_cost_per_run", "-1", "no amount of money"),
    ("max_cost_per_hour", "0", "more than 0"),
    ("max_cost_per_day", ".inf", "`inf` is no amount of money"),
];

const BLOCKS: &[Block] = &[
    Block {
        yaml: "rate_limiting: { FIELDS }",
        path: "rate_limiting",
        cases: &[
            ("enabled", "maybe", "boolean"),
            ("store", "memroy", "there are `memory`, `sqlite:PATH`"),
            (
                "store",
                "{ path: counts.db }",
                "a block does not belong here",
            ),
            ("global", "[]", ""),
            ("providers", "{ openai: 5 }", ""),
            ("presets", "[openai/tier-9]", "did you mean `openai/tier-"),
            (
                "presets",
                "[openai/tier-1, openai/free]",
                "an account has one tier",
            ),
            ("presets", "openai/tier-1", ""),
            ("agents", "{ a: many }", ""),
            ("limits", "{}", ""),
            ("budgets", "{}", ""),
            ("margin", "soon", "`soon` is no duration"),
            ("headroom", "-0.5", "more than 0 and at most 1"),
            ("headroom", ".nan", "more than 0 and at most 1"),
            ("absorb_counters", "never", "boolean"),
            ("absorb_counters", "1", "boolean"),
            ("max_counts", "0", "is 0"),
            ("retry", "3", ""),
            ("failover", "3", ""),
            ("queue", "3", ""),
            ("max_hourly_spend", "0", "more than 0"),
            ("max_daily_spend", "-5", "no amount of money"),
            ("max_weekly_spend", ".nan", "`NaN` is no amount of money"),
            ("max_monthly_spend", "lots", ""),
            ("max_monthly_spend", "0.0000000001", "at most nine decimals"),
            (
                "time_zone",
                "Middle-earth/Shire",
                "`Middle-earth/Shire` is not known",
            ),
            ("unknown_price", "guess", ""),
            ("prices", "{ openai: 5 }", ""),
            ("model_aliases", "{ a: a }", "leads nowhere"),
            ("model_aliases", "{ a: '' }", "leads nowhere"),
            ("model_aliases", "{ a: b, b: gpt-4 }", "is an alias as well"),
            ("price_file", "no/such.json", "`no/such.json`: No such file"),
            (
                "price_file",
                "Cargo.toml",
                "`Cargo.toml`: the price file is not an object of models",
            ),
            ("cap_output", "0", "is 0"),
            ("cap_output", "-1", ""),
            ("budget_patience", "1 fortnight", "no duration"),
            ("currency", "EUR", "prices are in USD"),
            ("alert_threshold", "80", "more than 0 and at most 1"),
        ],
    },
    Block {
        yaml: "rate_limiting: { global: { FIELDS } }",
        path: "rate_limiting.global",
        cases: QUOTA,
    },
    Block {
        yaml: "rate_limiting: { providers: { openai: { gpt-4: { FIELDS } } } }",
        path: "rate_limiting.providers.openai.gpt-4",
        cases: QUOTA,
    },
    Block {
        yaml: "rate_limiting: { agents: { scout: { FIELDS } } }",
        path: "rate_limiting.agents.scout",
        cases: QUOTA,
    },
    Block {
        yaml: "rate_limiting: { prices: { openai: { m: { FIELDS } } } }",
        path: "rate_limiting.prices.openai.m",
        cases: &[
            ("input", "-1", ""),
            ("output", "lots", ""),
            ("reasoning", ".nan", ""),
            ("cache_read", "[]", ""),
            ("cache_write", "-1", ""),
            ("cache_write_long", "x", ""),
            ("cost_per_1k", "-0.1", ""),
            ("max_output", "-5", ""),
            ("max_output", "0", "is 0"),
        ],
    },
    Block {
        yaml: "rate_limiting: { retry: { FIELDS } }",
        path: "rate_limiting.retry",
        cases: &[
            ("max_attempts", "0", "is 0"),
            ("longest_wait", "1 fortnight", "no duration"),
            ("backoff", "5s", ""),
            ("retry_budget", "none", "wanted is `off`"),
            ("repeats_uncertain", "maybe", "boolean"),
        ],
    },
    Block {
        yaml: "rate_limiting: { failover: { FIELDS } }",
        path: "rate_limiting.failover",
        cases: &[
            ("providers", "[]", ""),
            ("routes", "[]", ""),
            ("patience", "-1s", "no duration"),
            ("longest_wait", "soon", "no duration"),
            ("max_attempts", "0", "is 0"),
            ("park_for", "1 fortnight", "no duration"),
            ("breaker", "5", ""),
            ("on", "no_room", ""),
            ("not_on", "5", ""),
        ],
    },
    Block {
        yaml: "rate_limiting: { failover: { breaker: { FIELDS } } }",
        path: "rate_limiting.failover.breaker",
        cases: &[
            ("failures", "0", "is 0"),
            ("open_for", "soon", "no duration"),
        ],
    },
    Block {
        yaml: "rate_limiting: { queue: { FIELDS } }",
        path: "rate_limiting.queue",
        cases: &[
            ("max_waiting", "0", "is 0"),
            ("max_wait", "soon", "no duration"),
            ("aging", "-1s", ""),
            ("share_by", "''", "is empty"),
            ("weights", "[]", ""),
        ],
    },
];

/// A limit in full: each as the fields of one limit, and the field that the message names.
const LIMITS: &[(&str, &str)] = &[
    ("quantity: apples, amount: 1, every: 1m", "quantity"),
    ("quantity: cost, amount: 1, every: 1m", "quantity"),
    ("amount: 1, every: 1m", "quantity"),
    ("quantity: requests, every: 1m", "amount"),
    ("quantity: requests, amount: 0, every: 1m", "amount"),
    ("quantity: requests, amount: -1, every: 1m", "amount"),
    ("quantity: requests, amount: 1", "every"),
    ("quantity: requests, amount: 1, every: 20000w", "every"),
    ("quantity: requests, amount: 1, every: 0s", "every"),
    ("quantity: concurrency, amount: 1, every: 1s", "every"),
    ("quantity: requests, amount: 1, every: soon", "every"),
    (
        "quantity: requests, amount: 1, every: 1m, when: { model: [] }",
        "when",
    ),
    (
        "quantity: requests, amount: 1, every: 1m, when: { model: { a: 1 } }",
        "when",
    ),
    (
        "quantity: requests, amount: 1, every: 1m, per: [run, run]",
        "per",
    ),
    ("quantity: requests, amount: 1, every: 1m, per: 5", "per"),
    ("quantity: requests, amount: 1, every: 1m, per: ['']", "per"),
    (
        "quantity: requests, amount: 1, every: 1m, when: { '': a }",
        "when",
    ),
    (
        "quantity: requests, amount: 1, every: 1m, shares: { ' ': { a: 0.5 } }",
        "shares",
    ),
    (
        "quantity: requests, amount: 1, every: 1m, charge: mine",
        "charge",
    ),
    (
        "quantity: requests, amount: 1, every: 1m, count: sheep",
        "count",
    ),
    (
        "quantity: requests, amount: 1, every: 1m, margin: 2m",
        "margin",
    ),
    (
        "quantity: requests, amount: 1, every: 1m, shadow: perhaps",
        "shadow",
    ),
    (
        "quantity: tokens, amount: 1, every: 1m, count_refused: true",
        "count_refused",
    ),
    (
        "quantity: tokens, amount: 1, every: 1m, count: calls",
        "count",
    ),
    ("quantity: concurrency, amount: 1, count: attempts", "count"),
    ("quantity: concurrency, amount: 1, margin: 1s", "margin"),
    (
        "quantity: requests, amount: 1, every: 1m, charge: openai",
        "charge",
    ),
    ("quantity: concurrency, amount: 1, charge: openai", "charge"),
    (
        "quantity: requests, amount: 1, every: 1m, amounts: { a: 5 }",
        "amounts",
    ),
    (
        "quantity: requests, amount: 1, every: 1m, per: [agent], amounts: { a: 0 }",
        "amounts",
    ),
    (
        "quantity: requests, amount: 1, every: 1m, slice: 1m",
        "slice",
    ),
    ("quantity: concurrency, amount: 1, slice: 1s", "slice"),
    (
        "quantity: requests, amount: 9, every: 1m, shares: { team: { a: 0.5, b: 0.6 } }",
        "shares",
    ),
    (
        "quantity: requests, amount: 9, every: 1m, shares: { team: { a: 0.1 }, user: { u: 0.1 } }",
        "shares",
    ),
    (
        "quantity: requests, amount: 9, every: 1m, per: [team], shares: { team: { a: 0 } }",
        "shares",
    ),
    (
        "quantity: requests, amount: 1, every: 1m, headroom: 1.5",
        "headroom",
    ),
    (
        "quantity: requests, amount: 1, every: 1m, adaptive: 0",
        "adaptive",
    ),
    (
        "quantity: requests, amount: 1, every: 1m, adaptive: 1.01",
        "adaptive",
    ),
    (
        "quantity: requests, amount: 1, every: 1m, adaptive: a little",
        "adaptive",
    ),
    (
        "quantity: requests, amount: 1, every: 1m, per: [run], adaptive: 0.5",
        "adaptive",
    ),
];

/// A budget in full, in the same way.
const BUDGETS: &[(&str, &str)] = &[
    ("amount: 0, every: day", "amount"),
    ("amount: -1, every: day", "amount"),
    ("budget_limit: 0, every: day", "amount"),
    ("amount: 1", "every"),
    ("amount: 1, every: fortnight", "every"),
    ("amount: 1, every: 3", "every"),
    ("amount: 1, every: day, when: 5", "when"),
    ("amount: 1, every: day, per: 5", "per"),
    ("amount: 1, every: day, per: [team, team]", "per"),
    ("amount: 1, every: day, per: ''", "per"),
    ("amount: 1, every: day, when: { '': a }", "when"),
    ("amount: 1, every: day, amounts: { a: 2 }", "amounts"),
    (
        "amount: 1, every: day, per: [team], amounts: { a: 0 }",
        "amounts",
    ),
    ("amount: 1, every: day, mode: gentle", "mode"),
    ("amount: 1, every: day, thresholds: [0.5, 80]", "thresholds"),
    ("amount: 1, every: day, time_zone: Nowhere", "time_zone"),
];

/// Other names of fields that have a case under their own.
const ALIASES: [&str; 9] = [
    "budget_limit",
    "rps",
    "rpm",
    "rpd",
    "tpm",
    "tpd",
    "itpm",
    "otpm",
    "max_parallel_requests",
];

/// A15: what makes no sense is refused when it is built.
#[test]
fn every_wrong_value_is_refused_by_its_path() {
    for block in BLOCKS {
        for (field, value, says) in block.cases {
            let (path, said) = refused(&block.yaml.replace("FIELDS", &format!("{field}: {value}")));
            let named = format!("{}.{field}", block.path);
            assert!(path.starts_with(&named), "{named}: {value}: {path}: {said}");
            assert!(said.contains(says), "{named}: {value}: {said}");
        }
    }
    let limits = LIMITS.iter().map(|case| ("limits", case));
    for (list, (fields, names)) in limits.chain(BUDGETS.iter().map(|case| ("budgets", case))) {
        let (path, said) = refused(&format!("rate_limiting: {{ {list}: [ {{ {fields} }} ] }}"));
        assert!(
            path.starts_with(&format!("rate_limiting.{list}[0]")),
            "{fields}: {path}: {said}"
        );
        let named = path.ends_with(&format!(".{names}")) || said.contains(&format!("`{names}`"));
        assert!(
            named || path.contains(&format!(".{names}.")) || path.contains(&format!(".{names}[")),
            "{fields}: {said}"
        );
    }
}

#[test]
fn a_price_is_of_input_and_output_or_of_both_together() {
    for price in [
        "{ input: 1 }",
        "{ output: 1 }",
        "{}",
        "{ input: 1, output: 1, cost_per_1k: 1 }",
    ] {
        let block = format!("rate_limiting: {{ prices: {{ openai: {{ m: {price} }} }} }}");
        let (path, said) = refused(&block);
        assert_eq!(path, "rate_limiting.prices.openai.m", "{price}");
        assert!(said.contains("say `input` and `output`"), "{price}: {said}");
    }
}

/// What the block takes, by its own word.
fn fields(block: &str) -> Vec<String> {
    let (_, said) = refused(&block.replace("FIELDS", "zzzzzz: 1"));
    let list = said.split("there are ").nth(1).expect(&said);
    let list = list.split(" (line").next().unwrap();
    list.split(", ").map(str::to_owned).collect()
}

#[test]
fn every_field_has_a_case_above_and_a_typo_in_it_is_answered_with_its_name() {
    let limit = Block {
        yaml: "rate_limiting: { limits: [ { FIELDS } ] }",
        path: "rate_limiting.limits[0]",
        cases: &[],
    };
    let budget = Block {
        yaml: "rate_limiting: { budgets: [ { FIELDS } ] }",
        path: "rate_limiting.budgets[0]",
        cases: &[],
    };
    let mut seen = 0;
    for block in BLOCKS.iter().chain([&limit, &budget]) {
        for field in fields(block.yaml) {
            seen += 1;
            // Each block has cases of its own: those of limits say nothing of a field that is called alike.
            let own = block.cases.iter().map(|(field, ..)| *field);
            let list = if block.path == budget.path {
                BUDGETS
            } else {
                LIMITS
            };
            let of_limit = list.iter().map(|(_, names)| *names);
            let mut cases = own.chain(of_limit.filter(|_| block.cases.is_empty()));
            assert!(
                ALIASES.contains(&&*field) || cases.any(|case| case == field),
                "{}.{field} has no case",
                block.path
            );
            if field.len() < 4 {
                continue;
            }
            let typo = format!("{field}z");
            let (path, said) = refused(&block.yaml.replace("FIELDS", &format!("{typo}: 1")));
            assert!(path.starts_with(block.path), "{path}: {said}");
            assert!(said.contains(&format!("did you mean `{field}`?")), "{said}");
        }
    }
    assert!(seen > 60, "{seen} fields");
}

#[test]
fn the_file_itself_is_held_to_the_same() {
    assert_eq!(
        refused("rate_limits: {}").1,
        "rate_limits: the key `rate_limits` is not known; did you mean `rate_limiting`? (line 1, column 1)"
    );
    assert!(refused("{}").1.contains("`rate_limiting` is missing"));
    assert!(
        refused("rate_limiting:\n  global: { rpm: 1, rpm: 2 }")
            .1
            .contains("rpm")
    );
    assert!(refused("rate_limiting: [").1.contains("line"));
    let twice = "rate_limiting: { global: { rpm: 5 }, limits: [ { quantity: requests, amount: 6, every: 1m } ] }";
    assert!(refused(twice).1.contains("same thing"));
}

/// What is said of a block, without its place.
fn said(block: &str) -> String {
    let (path, said) = refused(&format!("rate_limiting: {{ {block} }}"));
    let said = said.strip_prefix(&format!("{path}: ")).unwrap_or(&said);
    let said = said.split(" (line ").next().unwrap_or(said);
    said.to_owned()
}

#[test]
fn what_is_wanted_is_said_in_words_of_a_file() {
    for (block, says) in [
        (
            "global: { rpm: five }",
            "invalid type: a text, expected a whole number, as 60",
        ),
        (
            "global: { rpm: '5' }",
            "invalid type: a text, expected a whole number, as 60, without quotes",
        ),
        (
            "global: { rpm: 5.0 }",
            "invalid type: floating point `5.0`, expected a whole number, as 60",
        ),
        (
            "global: { rpm: -5 }",
            "invalid value: integer `-5`, expected a whole number, as 60",
        ),
        (
            "retry: { max_attempts: 99999999999 }",
            "invalid value: integer `99999999999`, expected a smaller one",
        ),
        (
            "headroom: most",
            "invalid type: a text, expected a number, as 0.5",
        ),
        (
            "global: 5",
            "invalid type: integer `5`, expected limits, as `{ rpm: 60 }`",
        ),
        ("queue: 5", "invalid type: integer `5`, expected a block"),
        ("limits: 5", "invalid type: integer `5`, expected a list"),
        (
            "global: { rpm: '${TQ_NOT_SET:-five}' }",
            "what `${TQ_NOT_SET:-five}` stands for does not belong here; wanted is a whole number, as 60",
        ),
        (
            "global: { rpm: '${TQ_NOT_SET:-}' }",
            "what `${TQ_NOT_SET:-}` stands for is empty: set its variable; wanted is a whole number, as 60",
        ),
        (
            "unknown_price: '${TQ_NOT_SET:-}'",
            "what `${TQ_NOT_SET:-}` stands for is empty: set its variable; wanted is one of deny, allow",
        ),
        (
            "limits: [{ quantity: requests, amount: 5 }]",
            "limit 0 (requests 5): `every` is missing; write a length, as `every: 1m`",
        ),
        (
            "limits: [{ quantity: requests, amount: 5, every: 1m, per: [agent, ''] }]",
            "has a tag without a name; name one: `agent`, `team`",
        ),
        (
            "limits: [{ quantity: requests, amount: 5, every: 1m, per: 'agent, team' }]",
            "names several tags in one text; write a list: `[agent, team]`",
        ),
    ] {
        assert_eq!(said(block), says, "{block}");
    }
}

#[test]
fn limits_that_stand_in_the_place_of_models_are_told_where_they_belong() {
    for limit in ["rpm: 5", "tpm: '${TQ_NOT_SET:-5}'", "headroom: 0.5"] {
        let key = limit.split(':').next().unwrap();
        let block = format!("providers: {{ my.openai: {{ {limit} }} }}");
        assert_eq!(
            said(&block),
            format!(
                "`{key}` is no model: limits stand under a model here, as `gpt-4o: {{ rpm: 60 }}`; for a whole provider \
                 write them under `rate_limiting.limits`, or `budgets`, with `when: {{ provider: my.openai }}`"
            )
        );
    }
    let model = said("providers: { openai: { gpt-4.1: 5 } }");
    assert_eq!(
        model,
        "invalid type: integer `5`, expected limits, as `{ rpm: 60 }`"
    );
}

#[test]
fn a_limit_is_split_by_one_tag_or_by_a_list() {
    let limits = |per: &str| {
        let text = format!(
            "rate_limiting:
               limits: [{{ quantity: requests, amount: 5, every: 1m, per: {per} }}]
               budgets: [{{ amount: 5, every: day, per: {per} }}]"
        );
        let limits = Config::from_yaml(&text).unwrap().limits().unwrap();
        limits.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(limits("agent"), limits("[agent]"));
    assert_eq!(limits(""), limits("[]"));
    assert_ne!(limits("agent"), limits("[agent, team]"));
}

#[test]
fn a_key_that_stands_twice_is_told_by_its_name() {
    for (text, format) in [
        ("rate_limiting: {}\nrate_limiting: {}", Format::Yaml),
        (
            r#"{"rate_limiting": {}, "rate_limiting": {}}"#,
            Format::Json,
        ),
        ("[rate_limiting]\n[rate_limiting]", Format::Toml),
    ] {
        let error = Config::from_text(text, format, |_| None).unwrap_err();
        let said = error.to_string();
        assert!(
            said.starts_with("the key `rate_limiting` stands twice (line "),
            "{said}"
        );
    }
}

#[test]
fn several_documents_are_told_to_be_several() {
    let (_, said) = refused("rate_limiting: {}\n---\nrate_limiting: {}");
    assert_eq!(
        said,
        "it holds several documents, as `---` parts them; one is read (line 3, column 1)"
    );
    // Where a library says the place, it is said once.
    let (_, said) = refused("rate_limiting: { time_zone: *nowhere }");
    assert_eq!(said.matches("line 1").count(), 1, "{said}");
}

#[test]
fn a_message_repeats_nothing_of_the_file_but_what_is_wrong() {
    let (_, said) = refused(
        "rate_limiting:\n  # sk-secret\n  agents: { sk-secret: { rpm: 5 } }\n  margin: soon",
    );
    assert!(!said.contains("sk-secret"), "{said}");
}
