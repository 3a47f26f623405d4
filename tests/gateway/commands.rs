//! `check` and `init`.

use serde_json::Value;

use crate::process::{ConfigFile, Gateway, run, soon, tower_quota};

async fn check(text: &str, more: &[&str]) -> (i32, String, String) {
    let config = ConfigFile::new(text);
    let output = run(&[&["check", "--config", config.path()], more].concat()).await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

const SOUND: &str = "rate_limiting:
  store: sqlite:/nowhere/at/all.db
  providers: { openai: { gpt-4: { rpm: 500 } } }
  max_daily_spend: 10
  model_aliases: { our-chat: gpt-4 }
gateway: { upstreams: { openai: {} } }";

#[tokio::test]
async fn a_sound_configuration_is_said_to_be_and_nothing_is_opened() {
    let (code, said, complaint) = check(SOUND, &[]).await;
    assert_eq!((code, &*complaint), (0, ""), "{said}");
    let expected = "the configuration is sound; its limits:
  requests 500/min for provider=openai, model=gpt-4|our-chat
  cost $10.00/calendar day in UTC
";
    assert_eq!(said, expected);
}

#[tokio::test]
async fn c5_names_of_models_are_resolved() {
    let (_, said, _) = check(
        SOUND,
        &["gpt-4-0613", "our-chat", "azure/gpt-4", "nobody-knows"],
    )
    .await;
    assert!(said.contains("gpt-4-0613\n  requests 500/min"), "{said}");
    assert!(said.contains("without the snapshot's date"), "{said}");
    assert!(said.contains("our-chat, an alias of gpt-4"), "{said}");
    assert!(
        said.contains("nobody-knows") && said.contains("no price"),
        "{said}"
    );
}

const ROUTED: &str = "rate_limiting:
  max_daily_spend: 10
  cap_output: 8192
  providers:
    openai: { gpt-4o: { rpm: 500 } }
    azure: { gpt-4o: { rpm: 7 } }
  prices:
    openai: { house: { input: 1, output: 2 } }
    azure: { gpt-4o: { input: 3, output: 12 } }
    groq: { openai/own-20b: { input: 5, output: 6 } }
  failover:
    providers:
      openai: { keys: [sk-of-openai] }
      west: { provider: azure, keys: [sk-of-west], base_url: 'http://127.0.0.1:1/openai/v1' }
    routes:
      fast: { ordered: [openai/gpt-4o, west/gpt-4o], degraded: { from: 0.9, targets: [openai/house] } }
      odd: [openai/house, west/house]
gateway: { listen: '127.0.0.1:0' }";

#[tokio::test]
async fn a_name_that_begins_with_a_provider_has_that_providers_price_or_none() {
    let names = ["west/gpt-4o", "azure/house", "west/house", "groq/house"];
    let (code, said, _) = check(ROUTED, &names).await;
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("west/gpt-4o\n  requests 7/min for provider=azure"),
        "{said}"
    );
    assert!(said.contains("price of azure gpt-4o: $3.00"), "{said}");
    assert!(!said.contains("price of openai"), "{said}");
    assert_eq!(said.matches("no price: ").count(), 3, "{said}");
    // A maker in front is part of the name where somebody lists it so.
    let (_, said, _) = check(ROUTED, &["openai/house", "openai/own-20b"]).await;
    for price in ["openai house: $1.00", "groq openai/own-20b: $5.00"] {
        assert!(said.contains(&format!("  price of {price}")), "{said}");
    }
}

#[tokio::test]
async fn a_route_is_shown_by_its_targets() {
    let (code, said, _) = check(ROUTED, &["fast"]).await;
    assert_eq!(code, 0, "{said}");
    let told: Vec<&str> = said
        .lines()
        .filter(|line| !line.starts_with("warning: ") && !line.contains("cost "))
        .collect();
    let expected = "fast, a route to
  openai/gpt-4o
    requests 500/min for provider=openai, model=gpt-4o
    price of openai gpt-4o: $2.50 per million tokens of input, $10.00 per million tokens of output
  west/gpt-4o
    requests 7/min for provider=azure, model=gpt-4o
    price of azure gpt-4o: $3.00 per million tokens of input, $12.00 per million tokens of output
fast, from 0.9 of a budget on, to
  openai/house
    price of openai house: $1.00 per million tokens of input, $2.00 per million tokens of output";
    assert_eq!(told.join("\n"), expected);
}

#[tokio::test]
async fn a_target_without_a_price_is_warned_of_where_a_budget_would_refuse_its_calls() {
    let warning =
        "warning: rate_limiting.failover.routes.odd: no price is known for its target `west/house`";
    let (code, said, _) = check(ROUTED, &[]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with(warning), "{said}");
    assert_eq!(said.matches("warning: ").count(), 1, "{said}");
    for enough in [
        ROUTED.replace("cap_output", "unknown_price: allow\n  cap_output"),
        ROUTED
            .replace("max_daily_spend: 10", "max_counts: 10")
            .replace(", degraded: { from: 0.9, targets: [openai/house] }", ""),
    ] {
        let (code, said, complaint) = check(&enough, &[]).await;
        assert_eq!(code, 0, "{complaint}");
        assert!(!said.contains("warning"), "{said}");
    }
    let mut gateway = Gateway::start_text("", ROUTED).await;
    let said = gateway.complaint().await;
    assert!(
        said.starts_with(&format!("tower-quota: {warning}")),
        "{said}"
    );
}

#[tokio::test]
async fn an_address_that_serve_refuses_without_keys_is_warned_of() {
    let text = |more: &str| {
        format!(
            "rate_limiting: {{}}
gateway: {{ listen: '0.0.0.0:8080', upstream: 'http://127.0.0.1:1'{more} }}"
        )
    };
    let (code, said, _) = check(&text(""), &[]).await;
    assert_eq!(code, 0, "{said}");
    let warning = "warning: gateway.listen: 0.0.0.0:8080 can be reached from other machines";
    assert!(
        said.starts_with(warning) && said.contains("--listen"),
        "{said}"
    );
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    let (code, said, _) = check(&text(&format!(", state: '{}'", state.display())), &[]).await;
    assert!(code == 0 && !said.contains("warning"), "{said}");
}

#[tokio::test]
async fn a_budget_that_a_few_calls_without_a_cap_would_hold_is_warned_of() {
    let text = |more: &str| {
        format!(
            "rate_limiting:
  providers: {{ openai: {{ gpt-5.5: {{ rpm: 500 }} }} }}
  max_daily_spend: 10{more}
gateway: {{ upstreams: {{ openai: {{}} }} }}"
        )
    };
    let (code, said, _) = check(&text(""), &[]).await;
    assert_eq!(code, 0, "{said}");
    assert!(
        said.starts_with("warning: rate_limiting.max_daily_spend: ") && said.contains("cap_output"),
        "{said}"
    );
    let (_, said, _) = check(&text("\n  cap_output: 8192"), &[]).await;
    assert!(!said.contains("warning"), "{said}");
}

#[tokio::test]
async fn what_is_wrong_is_said_with_its_place() {
    for (text, word) in [
        ("rate_limiting: { globl: {} }", "globl"),
        ("rate_limiting: {}", "no upstream"),
        (
            "rate_limiting: {}\ngateway: { upstreams: { mine: {} } }",
            "gateway.upstreams.mine: has no url",
        ),
        (
            "rate_limiting: {}\ngateway: { upstreams: { v1: { url: 'http://x' } } }",
            "is no name of an upstream",
        ),
        (
            "rate_limiting: {}\ngateway: { upstreams: { openai: { key: '' } } }",
            "its key is empty",
        ),
        (
            "rate_limiting: {}\ngateway: { upstreams: { openai: { default: true }, mistral: { default: true } } }",
            "is `default`, and so is",
        ),
        (
            "rate_limiting: {}\ngateway: { upstream: 'http://x', tls: { certificate: /no/such.pem, key: /no/such.key } }",
            "/no/such.pem: ",
        ),
        (
            "rate_limiting: {}\ngateway: { upstream: 'http://x', authorities: /no/ca.pem }",
            "/no/ca.pem: ",
        ),
        (
            "rate_limiting: {}\ngateway: { upstream: 'http://x', state: /proc/version }",
            "/proc/version: ",
        ),
    ] {
        let (code, _, complaint) = check(text, &[]).await;
        assert_eq!(code, 2, "{complaint}");
        assert!(complaint.contains(word), "{word}: {complaint}");
    }
}

#[tokio::test]
async fn c1_the_schema_is_printed() {
    let output = run(&["check", "--schema"]).await;
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    let gateway = schema["$defs"]["GatewayConfig"]["properties"]
        .as_object()
        .unwrap();
    for name in [
        "listen",
        "upstream",
        "upstreams",
        "state",
        "tls",
        "authorities",
        "heartbeat",
    ] {
        assert!(gateway.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn g7_init_writes_what_check_finds_sound_of_the_keys_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quota.yaml");
    let path = path.to_str().unwrap();
    let init = async |keys: &[(&str, &str)], more: &[&str]| {
        let mut command = tower_quota(&[&["init", "--output", path], more].concat());
        command.env_clear().envs(keys.iter().copied());
        let output = soon(command.output()).await.unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, complaint) = init(&[("OPENAI_API_KEY", " ")], &[]).await;
    assert!(
        code == 2 && complaint.contains("ANTHROPIC_API_KEY"),
        "{complaint}"
    );

    let keys = [
        ("OPENAI_API_KEY", "sk-marked"),
        ("ANTHROPIC_API_KEY", "sk-marked"),
        ("GOOGLE_API_KEY", "sk-marked"),
        ("GEMINI_API_KEY", "sk-marked"),
    ];
    assert_eq!(init(&keys, &[]).await.0, 0);
    let text = std::fs::read_to_string(path).unwrap();
    assert!(!text.contains("sk-marked"), "{text}");
    assert!(text.contains("\n  cap_output: 8192\n"), "{text}");
    let mut command = tower_quota(&["check", "--config", path]);
    command.env_clear().envs(keys);
    let output = soon(command.output()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(
        said.contains("cost $10.00/calendar day") && said.contains("provider=openai"),
        "{said}"
    );
    assert!(!said.contains("warning"), "{said}");

    let (code, complaint) = init(&keys, &[]).await;
    assert!(code == 2 && complaint.contains("--force"), "{complaint}");
    assert_eq!(init(&keys[..1], &["--force"]).await.0, 0);
    let text = std::fs::read_to_string(path).unwrap();
    assert!(
        !text.contains("anthropic") && !text.contains("default: true"),
        "{text}"
    );
}

#[tokio::test]
async fn init_writes_under_no_name_that_would_be_read_as_another_format() {
    let folder = tempfile::tempdir().unwrap();
    for (name, is_written) in [
        ("quota.toml", false),
        ("quota.json", false),
        ("quota.txt", false),
        ("quota", false),
        ("quota.yml", true),
    ] {
        let path = folder.path().join(name);
        let mut command = tower_quota(&["init", "--output", path.to_str().unwrap()]);
        command.env_clear().env("OPENAI_API_KEY", "sk-marked");
        let output = soon(command.output()).await.unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(path.exists(), is_written, "{complaint}");
        let code = if is_written { 0 } else { 2 };
        assert_eq!(output.status.code(), Some(code), "{complaint}");
        assert_eq!(
            complaint.contains(".yaml or .yml"),
            !is_written,
            "{complaint}"
        );
    }
}
