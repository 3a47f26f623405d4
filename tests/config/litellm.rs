//! C4, F1: configurations of LiteLLM are read whole, routes included: what is in them is in force, or told with its path and a reason.
#![cfg(feature = "config")]

use std::{collections::BTreeSet, fs};

use tower_quota::{config::LiteLlmConfig, limiter::Call, pricing::Rate};

/// A file of `tests/litellm/`.
struct Case {
    file: &'static str,
    limits: &'static [&'static str],
    /// Group, id, provider and model of each deployment.
    deployments: &'static [(&'static str, &'static str, &'static str, &'static str)],
    attempts: u32,
    /// The models that have a route, each with its targets and their weights.
    routes: &'static [&'static str],
    /// How each thing that is not understood begins.
    told: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        file: "one_model",
        limits: &[],
        deployments: &[("assistant", "assistant#0", "openai", "gpt-4o")],
        attempts: 3,
        routes: &["assistant: gpt-4o*1"],
        told: &[],
    },
    Case {
        file: "load_balanced",
        limits: &[
            "input_tokens 50000/min for provider=anthropic, model=claude-sonnet-4-5",
            "output_tokens 10000/min for provider=anthropic, model=claude-sonnet-4-5",
            "concurrency 8 for provider=anthropic, model=claude-sonnet-4-5",
            "requests 500/min for provider=azure, model=gpt-4o",
            "tokens 100000/min for provider=azure, model=gpt-4o",
            "requests 300/min for api_key=east, model=gpt-4o, provider=azure",
            "tokens 60000/min for api_key=east, model=gpt-4o, provider=azure",
            "requests 200/min for api_key=west, model=gpt-4o, provider=azure",
            "tokens 40000/min for api_key=west, model=gpt-4o, provider=azure",
        ],
        deployments: &[
            ("chat", "east", "azure", "gpt-4o"),
            ("chat", "west", "azure", "gpt-4o"),
            (
                "chat-backup",
                "chat-backup#2",
                "anthropic",
                "claude-sonnet-4-5",
            ),
        ],
        attempts: 3,
        routes: &[
            "chat: gpt-4o*1 gpt-4o*3 claude-sonnet-4-5*0",
            "chat-backup: claude-sonnet-4-5*1",
        ],
        told: &["router_settings.timeout: the client has a timeout"],
    },
    Case {
        file: "budgets",
        limits: &[
            "cost $20.00/day for provider=openai",
            "cost $10.00/30s for provider=gemini",
            "cost $100.00/604800s",
            "cost $5.00/hour per user",
            "cost $2.50/day for model=gpt-4o-mini, provider=openai",
            "cost $40.00/calendar month in UTC for model=claude-opus-4-8, provider=anthropic",
        ],
        deployments: &[
            ("cheap", "cheap#0", "openai", "gpt-4o-mini"),
            ("dear", "dear#1", "anthropic", "claude-opus-4-8"),
        ],
        attempts: 3,
        routes: &["cheap: gpt-4o-mini*1", "dear: claude-opus-4-8*1"],
        told: &[],
    },
    Case {
        file: "custom_prices",
        limits: &[],
        deployments: &[
            ("tuned", "tuned#0", "openai", "our-fine-tune"),
            ("local", "local#1", "hosted_vllm", "our-llama"),
            ("drawing", "drawing#2", "openai", "painter"),
            ("half", "half#3", "openai", "half-priced"),
        ],
        attempts: 3,
        routes: &[
            "drawing: painter*1",
            "half: half-priced*1",
            "local: our-llama*1",
            "tuned: our-fine-tune*1",
        ],
        told: &[
            "model_list[1].model_info.mode: describes the model",
            "model_list[2].litellm_params.input_cost_per_image: is sent",
            "model_list[3].litellm_params.input_cost_per_token: a price needs",
        ],
    },
    Case {
        file: "azure_deployments",
        limits: &[
            "requests 120/min for provider=azure, model=our-chat-eu",
            "concurrency 6 for provider=azure, model=our-chat-eu",
            "tokens 80000/min for provider=bedrock, model=us.anthropic.claude-opus-5-5",
            "concurrency 6 for provider=bedrock, model=us.anthropic.claude-opus-5-5",
            "requests 15/min for provider=gemini",
            "concurrency 6 for provider=gemini",
        ],
        deployments: &[
            ("gpt-4o", "gpt-4o#0", "azure", "our-chat-eu"),
            (
                "claude",
                "claude#1",
                "bedrock",
                "us.anthropic.claude-opus-5-5",
            ),
            ("gemini/*", "gemini/*#2", "gemini", "*"),
        ],
        attempts: 3,
        routes: &[],
        told: &[
            "model_list[0].litellm_params.api_base: the environment variable `AZURE_BASE` is not set",
            "model_list[0].model_info.supports_vision: describes the model",
            "model_list[1].litellm_params.aws_region_name: is sent",
            "model_list[1].litellm_params.model: takes no API keys",
            "model_list[2].litellm_params.model: stands for any model",
        ],
    },
    Case {
        file: "whole_server",
        limits: &[
            "concurrency 50",
            "requests 240/min for provider=openai, model=gpt-4o",
            "concurrency 20 for provider=openai, model=gpt-4o",
            "requests 60/min for provider=openrouter, model=openai/gpt-4o",
            "concurrency 20 for provider=openrouter, model=openai/gpt-4o",
            "requests 5/min for model=somebodys-model",
            "concurrency 20 for model=somebodys-model",
        ],
        deployments: &[
            ("gpt", "gpt#0", "openai", "gpt-4o"),
            ("gpt", "gpt#1", "openrouter", "openai/gpt-4o"),
            ("whose", "whose#2", "", "somebodys-model"),
        ],
        attempts: 5,
        routes: &["gpt: gpt-4o*240 openai/gpt-4o*0"],
        told: &[
            "fallbacks: lead to `gone`",
            "model_list[0].litellm_params.temperature: is sent",
            "model_list[2].litellm_params.model: does not say whose it is",
            "litellm_settings.request_timeout: the client",
            "litellm_settings.drop_params: here requests leave",
            "litellm_settings.cache: here nothing is cached",
            "litellm_settings.cache_params: here nothing is cached",
            "litellm_settings.success_callback: calls programs",
            "general_settings.master_key: is for LiteLLM's own server",
            "general_settings.database_url: is for LiteLLM's own server",
            "general_settings.alerting: alerts are not set up here",
            "router_settings.cooldown_time: here a deployment rests",
            "router_settings.allowed_fails: here a deployment rests",
            "router_settings.enable_pre_call_checks: says which deployment",
            "router_settings.redis_host: names a store",
            "router_settings.redis_password: names a store",
            "guardrails: has no counterpart here",
        ],
    },
    Case {
        file: "older",
        limits: &[
            "requests 50/min for provider=anthropic, model=claude-sonnet-4",
            "requests 3500/min for provider=openai, model=gpt-3.5-turbo",
            "tokens 90000/min for provider=openai, model=gpt-3.5-turbo",
        ],
        deployments: &[
            (
                "gpt-3.5-turbo",
                "gpt-3.5-turbo#0",
                "openai",
                "gpt-3.5-turbo",
            ),
            ("claude", "claude#1", "anthropic", "claude-sonnet-4"),
        ],
        attempts: 3,
        routes: &[
            "claude: claude-sonnet-4*50",
            "gpt-3.5-turbo: gpt-3.5-turbo*3500 claude-sonnet-4*0",
        ],
        told: &[],
    },
];

fn text(file: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/litellm");
    fs::read_to_string(format!("{folder}/{file}.yaml")).unwrap()
}

fn read(file: &str) -> LiteLlmConfig {
    let key = |name: &str| name.ends_with("_KEY").then(|| format!("sk-of-{name}"));
    LiteLlmConfig::from_text(&text(file), key).unwrap()
}

#[test]
fn c4_every_file_says_in_our_words_what_it_says() {
    for case in CASES {
        let read = read(case.file);
        let stack = read
            .config
            .build()
            .unwrap_or_else(|error| panic!("{}: {error}", case.file));
        let limits: Vec<String> = stack
            .limiter
            .limits()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(limits, case.limits, "{}", case.file);
        let deployments = read.deployments.iter().map(|one| {
            let provider = one.provider.as_deref().unwrap_or_default();
            (
                one.group.as_str(),
                one.id.as_str(),
                provider,
                one.model.as_str(),
            )
        });
        assert_eq!(
            deployments.collect::<Vec<_>>(),
            case.deployments,
            "{}",
            case.file
        );
        assert_eq!(
            read.config.rate_limiting.retry.max_attempts, case.attempts,
            "{}",
            case.file
        );
        let routes = read.config.rate_limiting.failover.routes.iter();
        let routes = routes.map(|(model, route)| {
            let targets = route.targets.iter();
            let targets = targets.map(|target| format!(" {}*{}", target.model, target.weight));
            format!("{model}:{}", targets.collect::<String>())
        });
        assert_eq!(routes.collect::<Vec<_>>(), case.routes, "{}", case.file);
        let told: Vec<String> = read
            .not_understood
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(told.len(), case.told.len(), "{}: {told:#?}", case.file);
        for begins in case.told {
            let one = told.iter().filter(|one| one.starts_with(begins)).count();
            assert_eq!(one, 1, "{}: {begins}: {told:#?}", case.file);
        }
    }
}

#[test]
fn c4_every_file_in_the_folder_has_a_case() {
    let folder = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/litellm")).unwrap();
    let files: BTreeSet<String> = folder
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let cases: BTreeSet<String> = CASES.iter().map(|case| case.file.to_owned()).collect();
    assert_eq!(files, cases);
    assert!(files.len() >= 6);
}

#[test]
fn c4_what_is_told_has_the_line_that_it_stands_at() {
    for case in CASES {
        let text = text(case.file);
        for told in read(case.file)
            .not_understood
            .iter()
            .filter(|told| told.line > 0)
        {
            let name = told.path.rsplit(['.', ']']).next().unwrap();
            let line = text
                .lines()
                .nth(usize::try_from(told.line).unwrap() - 1)
                .unwrap();
            assert!(line.contains(name), "{}: {told}: {line}", case.file);
        }
    }
}

#[test]
fn c4_where_calls_go_is_a_plain_value_and_keys_are_not_shown() {
    let read = read("load_balanced");
    assert_eq!(read.fallbacks.of["chat"], ["chat-backup"]);
    assert_eq!(read.fallbacks.context_window["chat"], ["chat-backup"]);
    let west = &read.deployments[1];
    assert_eq!(west.api_base.as_deref(), Some("https://west.example.com"));
    assert_eq!((west.weight, west.order), (Some(3), None));
    let key = west.api_key.as_ref().unwrap();
    assert_eq!(key.variable(), Some("AZURE_WEST_KEY"));
    assert_eq!(
        key.reveal(|name| Some(format!("value of {name}"))).unwrap(),
        "value of AZURE_WEST_KEY"
    );
    assert_eq!(key.reveal(|_| None), None);

    let older = self::read("older");
    assert!(
        !format!("{older:?}").contains("sk-in-the-file"),
        "{older:?}"
    );
    let key = older.deployments[0].api_key.as_ref().unwrap();
    assert_eq!(key.reveal(|_| None).as_deref(), Some("sk-in-the-file"));
    assert_eq!(older.fallbacks.of["gpt-3.5-turbo"], ["claude"]);

    let server = self::read("whole_server");
    assert!(!format!("{server:?}").contains("secret"), "{server:?}");
    assert_eq!(server.fallbacks.default, ["gpt"]);
    assert_eq!(server.fallbacks.content_policy["gpt"], ["gone"]);
    assert_eq!(server.deployments[0].order, Some(1));

    let azure = self::read("azure_deployments");
    assert_eq!(azure.group_aliases["gpt-4"], "gpt-4o");
    assert_eq!(azure.group_aliases["gpt-4-turbo"], "gpt-4o");
}

#[test]
fn c4_prices_are_exact_and_deployments_have_that_of_the_model_behind_them() {
    let stack = read("custom_prices").config.build().unwrap();
    let prices = stack.prices();
    let found = prices.find(Some("openai"), "our-fine-tune").unwrap();
    assert_eq!(
        found.price.standard.input.to_string(),
        "$3.00 per million tokens"
    );
    assert_eq!(
        found.price.standard.output.to_string(),
        "$12.00 per million tokens"
    );
    let cached = found.price.standard.cache_read.unwrap();
    assert_eq!(cached.to_string(), "$1.50 per million tokens");
    let local = prices.find(Some("hosted_vllm"), "our-llama").unwrap();
    assert_eq!(local.price.standard.input.as_nanos(), 0);
    assert_eq!(local.price.max_output, Some(4_096));
    assert!(stack.prices().find(Some("openai"), "half-priced").is_none());

    let stack = read("azure_deployments").config.build().unwrap();
    let found = stack.resolve(Some("azure"), "our-chat-eu");
    assert_eq!(found.alias_of.as_deref(), Some("azure/gpt-4o"));
    assert!(found.price.is_some(), "{found}");
}

#[test]
fn c4_prices_of_caches_that_are_not_set_keep_their_proportion_to_the_input() {
    let text = "model_list:
  - model_name: claude
    litellm_params:
      model: anthropic/claude-sonnet-4-6
      api_key: sk-one
      input_cost_per_token: 0.000006
      output_cost_per_token: 0.00003
  - model_name: chat
    litellm_params:
      model: azure/our-chat
      api_base: 'https://east.example.com'
      api_key: sk-two
      input_cost_per_token: 0.000005
      output_cost_per_token: 0.00002
    model_info: { base_model: azure/gpt-4o }
";
    let read = LiteLlmConfig::from_text(text, |_| None).unwrap();
    let prices = read.config.build().unwrap().prices();
    let caches = |provider, model| {
        let found = prices.find(Some(provider), model).unwrap();
        assert_eq!(found.model, model);
        let rates = found.price.standard;
        let caches = [rates.cache_read, rates.cache_write, rates.cache_write_long];
        caches.map(|rate| rate.map_or(0, Rate::as_nanos))
    };
    let millions = |millions: [u64; 3]| millions.map(|millions| millions * 1_000_000);
    assert_eq!(
        caches("anthropic", "claude-sonnet-4-6"),
        millions([600, 7_500, 12_000])
    );
    assert_eq!(caches("azure", "our-chat"), millions([2_500, 0, 0]));
}

#[tokio::test(start_paused = true)]
async fn c4_what_was_read_is_enforced() {
    use tower_quota::{Tag, Tags};

    let stack = read("azure_deployments").config.build().unwrap();
    let call = |model: &str| {
        let tags = Tags::new()
            .with(Tag::Provider, "gemini")
            .with(Tag::Model, model);
        Call::new().tags(tags)
    };
    // Of any model of the provider's together.
    for sent in 0..15 {
        let model = ["gemini-2.5-pro", "gemini-2.5-flash"][sent % 2];
        drop(stack.limiter.try_acquire(call(model)).await.unwrap());
    }
    let refused = stack
        .limiter
        .try_acquire(call("gemini-3-flash"))
        .await
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("requests 15/min for provider=gemini"),
        "{refused}"
    );
}
