//! F1, F3, C1: providers and routes in a configuration: every value is checked with its path, and no key is shown.
#![cfg(feature = "config")]

use tower_quota::config::{Config, Format, ReloadError};

/// A configuration with this under `failover:`.
fn read(failover: &str) -> Result<Config, String> {
    let text = format!("rate_limiting:\n  failover: {failover}");
    let variable = |name: &str| (name == "KEY").then(|| "sk-secret-1".to_owned());
    Config::from_text(&text, Format::Yaml, variable).map_err(|error| error.to_string())
}

fn refused(failover: &str) -> String {
    let built = read(failover)
        .and_then(|config| config.build().map(drop).map_err(|error| error.to_string()));
    built.expect_err(failover)
}

const FAILOVER: &str = "rate_limiting.failover.";

#[test]
fn f1_what_makes_no_sense_is_named_with_its_path() {
    for (failover, path, says) in [
        (
            "{ routes: { a: [opnai/b] }, providers: { openai: {}, groq: {} } }",
            "routes.a[0]",
            "did you mean `openai`?",
        ),
        (
            "{ routes: { a: [openai/b] } }",
            "routes.a[0]",
            "write it and its keys under `failover.providers`",
        ),
        (
            "{ routes: { a: [gpt-5.5] }, providers: { openai: {} } }",
            "routes.a[0]",
            "names no provider with a model; write it as openai/gpt-5.5",
        ),
        (
            "{ routes: { a: { weighted: [openai/b, nobody/b] } }, providers: { openai: {} } }",
            "routes.a.weighted[1]",
            "`nobody` is not known",
        ),
        (
            "{ routes: { a: { ordered: [nobody/b] } }, providers: { openai: {} } }",
            "routes.a.ordered[0]",
            "`nobody` is not known",
        ),
        (
            "{ routes: { a: { ordered: [openai/b], weighted: [openai/b] } }, providers: { openai: {} } }",
            "routes.a",
            "one of the two",
        ),
        (
            "{ routes: { a: { degraded: { from: 1, targets: [openai/b] } } }, providers: { openai: {} } }",
            "routes.a",
            "under `ordered` or under `weighted`",
        ),
        (
            "{ routes: { a: openai/b }, providers: { openai: {} } }",
            "routes.a",
            "wanted is a list of targets",
        ),
        ("{ routes: { a: [] } }", "routes.a", "has no target"),
        (
            "{ routes: { a: { weighted: [{ target: openai/b, weight: 0 }] } }, providers: { openai: {} } }",
            "routes.a.weighted",
            "weights of 0 only",
        ),
        (
            "{ routes: { a: [openai/b, openai/b] }, providers: { openai: {} } }",
            "routes.a",
            "`openai/b` is there twice",
        ),
        (
            "{ routes: { a: { ordered: [openai/b], degraded: { from: 90, targets: [openai/c] } } }, providers: { openai: {} } }",
            "routes.a.degraded.from",
            "at most 1",
        ),
        (
            "{ routes: { a: { ordered: [openai/b], degraded: { from: 0.9, targets: [opena/c] } } }, providers: { openai: {} } }",
            "routes.a.degraded.targets[0]",
            "did you mean `openai`?",
        ),
        (
            "{ providers: { mine: { keys: [k] } } }",
            "providers.mine.base_url",
            "is missing; it is known only of openai, anthropic, gemini",
        ),
        (
            "{ providers: { azure: { keys: [k] } } }",
            "providers.azure.base_url",
            "is missing",
        ),
        (
            "{ providers: { openai: { base_url: api.openai.com } } }",
            "providers.openai.base_url",
            "lacks http:// or https://",
        ),
        (
            "{ providers: { openai: { auth: { header: a b } } } }",
            "providers.openai.auth.header",
            "is no name of a header",
        ),
        (
            "{ providers: { openai: { keys: [{ label: a, key: k1 }, { label: a, key: k2 }] } } }",
            "providers.openai.keys[1].label",
            "`a` is the label of `providers.openai.keys[0]` as well",
        ),
        (
            "{ providers: { openai: { keys: [{ label: a, key: k1 }] }, b: { provider: openai, keys: [{ label: a, key: k2 }] } } }",
            "providers.openai.keys[0].label",
            "`a` is the label of `providers.b.keys[0]` as well",
        ),
        (
            "{ on: [no_room], not_on: [no_room] }",
            "not_on[0]",
            "is under `on` as well",
        ),
        ("{ breaker: { failures: 0 } }", "breaker.failures", "is 0"),
        ("{ max_attempts: 0 }", "max_attempts", "is 0"),
        ("{ on: [no_rom] }", "on[0]", "did you mean `no_room`?"),
    ] {
        let said = refused(failover);
        assert!(
            said.starts_with(&format!("{FAILOVER}{path}: ")),
            "{failover}: {said}"
        );
        assert!(said.contains(says), "{failover}: {said}");
    }
}

#[test]
fn f3_no_error_shows_a_key_wherever_it_was_written() {
    for failover in [
        "{ providers: { openai: { keys: sk-secret-1 } } }",
        "{ providers: { openai: { keys: 7777777 } } }",
        "{ providers: { openai: { keys: [7777777] } } }",
        "{ providers: { openai: { keys: [-7777777] } } }",
        "{ providers: { openai: { keys: [77777.77] } } }",
        "{ providers: { openai: { keys: [{ key: 7777777 }] } } }",
        "{ providers: { openai: { keys: [{ key: { of: sk-secret-1 } }] } } }",
        "{ providers: { openai: { keys: [[sk-secret-1]] } } }",
        "{ providers: { openai: { keys: { main: sk-secret-1 } } } }",
        "{ providers: { openai: { key: sk-secret-1 } } }",
        "{ providers: { openai: { auth: sk-secret-1 } } }",
        "{ providers: { openai: { keys: [{ label: a, key: \"sk-secret-1\\n\" }] } } }",
        "{ providers: { openai: { keys: [\"sk-secret-1\\u0007\"] } } }",
        "{ providers: { openai: { base_url: 'https://me:sk-secret-1@x' } } }",
        "{ providers: { openai: { base_url: 'https://x/v1?key=sk-secret-1#y' } } }",
        "{ providers: { openai: { base_url: 'x/v1?key=sk-secret-1' } } }",
        "{ providers: { openai: { base_url: '${KEY}' } } }",
        "{ routes: { a: ['${KEY}'] } }",
        "{ routes: { a: sk-secret-1 } }",
        "{ routes: { a: [sk-secret-1] } }",
        "{ routes: { a: { ordered: [{ target: sk-secret-1 }] } } }",
        "{ routes: { a: ['${KEY}/b'] }, providers: { openai: {} } }",
    ] {
        let said = refused(failover);
        assert!(said.starts_with(FAILOVER), "{failover}: {said}");
        assert!(
            !said.contains("secret") && !said.contains("7777"),
            "{failover}: {said}"
        );
    }
}

#[test]
fn f3_nothing_that_is_built_shows_a_key() {
    let config = read(
        "{ providers: { openai: { keys: ['${KEY}', sk-secret-2, { label: b, key: sk-secret-3, weight: 2 }] },
                        mine: { base_url: 'https://mine/v1?key=sk-secret-4' }, idle: { base_url: 'http://x', keys: [sk-secret-5] } },
           routes: { a: { ordered: [{ target: openai/a, weight: 2 }, mine/a], degraded: { from: 0.9, targets: [openai/b] } } } }",
    )
    .unwrap();
    let stack = config.build().unwrap();
    assert_eq!(
        stack.doubts,
        [
            "providers.idle: no route leads there",
            "providers.openai.keys: the weights count nothing where `pool` is not `weighted`",
            "routes.a.ordered: the weights count nothing where the route is not `weighted`",
            "routes.a.degraded: there is no budget that it could begin at",
        ]
        .map(|doubt| format!("{FAILOVER}{doubt}"))
    );
    let shown = format!("{config:?} {:#?} {stack:?}", stack.layer);
    assert!(
        shown.contains("key-1") && shown.contains("key-2"),
        "labels are"
    );
    assert!(!shown.contains("sk-secret"), "{shown}");
}

#[test]
fn r1_settings_of_retries_that_make_no_sense_are_named_with_their_path() {
    for (retry, path, says) in [
        (
            "{ backoff: { base: 0s } }",
            "backoff.base",
            "would not wait",
        ),
        (
            "{ backoff: { base: 9s } }",
            "backoff.cap",
            "is less than `base`",
        ),
        ("{ retry_budget: of }", "retry_budget", "wanted is `off`"),
        (
            "{ retry_budget: true }",
            "retry_budget",
            "true does not belong here",
        ),
        (
            "{ retry_budget: 20 }",
            "retry_budget",
            "a number does not belong here",
        ),
        (
            "{ retry_budget: { percent: -1 } }",
            "retry_budget.percent",
            "-1",
        ),
    ] {
        let text = format!("rate_limiting: {{ retry: {retry} }}");
        let built = Config::from_yaml(&text).and_then(|config| config.build().map(drop));
        let said = built.unwrap_err().to_string();
        assert!(
            said.starts_with(&format!("rate_limiting.retry.{path}: ")),
            "{said}"
        );
        assert!(said.contains(says), "{said}");
    }
    for off in ["off", "false", "'off'"] {
        let text = format!("rate_limiting: {{ retry: {{ retry_budget: {off} }} }}");
        let config = Config::from_yaml(&text).unwrap();
        assert_eq!(config.rate_limiting.retry.retry_budget, None, "{off}");
    }
}

#[tokio::test]
async fn c6_other_routes_keys_and_settings_need_a_restart_and_are_named() {
    let base = "{ providers: { openai: { keys: [a] } }, routes: { m: [openai/m] } }";
    let stack = read(base).unwrap().build().unwrap();
    let same = base.replace("[openai/m]", "{ ordered: [{ target: openai/m }] }");
    assert!(stack.reload(&read(&same).unwrap()).await.is_ok());
    for (other, paths) in [
        (base.replace("[a]", "[b]"), vec!["providers"]),
        (base.replace("[openai/m]", "[openai/n]"), vec!["routes"]),
        (
            base.replace(
                "} }, routes",
                "} }, patience: 3s, breaker: { failures: 1 }, routes",
            ),
            vec!["patience", "breaker"],
        ),
    ] {
        let refused = stack.reload(&read(&other).unwrap()).await.unwrap_err();
        let ReloadError::Fixed { paths: named } = refused else {
            panic!("{refused}");
        };
        let expected: Vec<String> = paths
            .iter()
            .map(|path| format!("{FAILOVER}{path}"))
            .collect();
        assert_eq!(named, expected);
    }
}

#[test]
fn c1_a_block_as_it_is_written_by_hand_is_read() {
    let text = r#"
rate_limiting:
  max_daily_spend: 10
  cap_output: 8192
  failover:
    providers:
      openai: { base_url: https://api.openai.com/v1, keys: [{ label: main, key: "${OPENAI_API_KEY}", weight: 2 }, "${OPENAI_KEY_2}"], pool: weighted }
      azure: { base_url: "https://mine.openai.azure.com/openai/v1", auth: { header: api-key }, keys: ["${AZURE_KEY}"] }
      groq: { keys: ["${GROQ_KEY}"] }
      local: { base_url: http://127.0.0.1:11434/v1 }
    routes:
      gpt-5.5: [openai/gpt-5.5, azure/gpt-5.5]
      fast:
        weighted: [{ target: openai/gpt-5.4-mini, weight: 3 }, { target: azure/gpt-5.4-mini, sent_as: mini-deployment, context: 400000 }]
        degraded: { from: 0.9, targets: [openai/gpt-5.4-nano] }
      open: [groq/openai/gpt-oss-120b, local/gpt-oss]
    patience: 1s
    longest_wait: 60s
    max_attempts: 10
    park_for: 1h
    breaker: { failures: 5, open_for: 10s }
    not_on: [content_filter]
"#;
    let config = Config::from_text(text, Format::Yaml, |name| Some(format!("sk-{name}"))).unwrap();
    let failover = &config.rate_limiting.failover;
    let open = &failover.routes["open"].targets[0];
    assert_eq!(
        (open.provider.as_str(), open.model.as_str()),
        ("groq", "openai/gpt-oss-120b")
    );
    assert_eq!(
        failover.providers["openai"].keys[0].label.as_deref(),
        Some("main")
    );
    let stack = config.build().unwrap();
    assert!(stack.layer.has_routes());
    assert_eq!(stack.doubts, Vec::<String>::new());
}
