use super::*;

pub(super) fn environment(name: &str) -> Option<String> {
    match name {
        "RPM" => Some("77".to_owned()),
        key if key.ends_with("_API_KEY") => Some(format!("sk-of-{key}")),
        _ => None,
    }
}

pub(super) fn read(text: &str) -> LiteLlmConfig {
    LiteLlmConfig::from_text(text, environment).unwrap()
}

fn limits(read: &LiteLlmConfig) -> Vec<String> {
    let limits = read.config.limits().unwrap();
    limits.iter().map(ToString::to_string).collect()
}

pub(super) fn notes(read: &LiteLlmConfig) -> Vec<String> {
    read.not_understood
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn c4_what_is_no_map_is_an_error_with_its_place() {
    for text in ["[]", "5", "a: [", "- model_name: x"] {
        let error = LiteLlmConfig::from_text(text, environment).unwrap_err();
        assert!(
            matches!(error, ConfigError::Syntax { line: 1.., .. }),
            "{text}: {error}"
        );
    }
    assert_eq!(limits(&read("model_list: []")), Vec::<String>::new());
}

#[test]
fn c4_a_variable_stands_for_its_value_and_one_that_is_missing_is_told() {
    let read = read(
        "environment_variables: { TPM: 900 }
model_list:
  - model_name: a
    litellm_params: { model: openai/gpt-4o, rpm: os.environ/RPM, tpm: os.environ/TPM, itpm: os.environ/GONE }",
    );
    assert_eq!(
        limits(&read),
        [
            "requests 77/min for provider=openai, model=gpt-4o",
            "tokens 900/min for provider=openai, model=gpt-4o",
        ]
    );
    assert_eq!(
        notes(&read),
        ["model_list[0].litellm_params.itpm: the environment variable `GONE` is not set (line 4)"]
    );
}

#[test]
fn c4_a_value_that_makes_no_sense_is_told_and_the_rest_is_read() {
    let read = read(
        "model_list:
  - { model_name: a, litellm_params: { model: openai/gpt-4o, rpm: many, tpm: 0, itpm: 5 } }
  - { model_name: b, litellm_params: 5 }
  - 7
  - { model_name: c, litellm_params: { rpm: 5 } }
litellm_settings: { max_budget: -1, budget_duration: soon }
router_settings: { num_retries: 1.5, fallbacks: [{ a: 5 }, b], provider_budget_config: { openai: { budget_limit: 5, time_period: soon } } }",
    );
    assert_eq!(
        limits(&read),
        ["input_tokens 5/min for provider=openai, model=gpt-4o"]
    );
    let notes = notes(&read);
    for path in [
        "model_list[0].litellm_params.rpm: is no whole number",
        "model_list[0].litellm_params.tpm: is 0",
        "model_list[1].litellm_params: is no map",
        "model_list[1]: has no",
        "model_list[2]: is no map",
        "model_list[3].litellm_params: has no `model`",
        "litellm_settings.max_budget: is no amount",
        "litellm_settings.budget_duration: is the duration of a budget that is not there",
        "router_settings.num_retries: is no whole number",
        "router_settings.fallbacks[0].a: is no list",
        "router_settings.fallbacks[1]: names no model",
        "router_settings.provider_budget_config.openai.time_period: is no duration",
    ] {
        let told = notes.iter().filter(|note| note.starts_with(path)).count();
        assert_eq!(told, 1, "{path}: {notes:#?}");
    }
    assert_eq!(notes.len(), 12, "{notes:#?}");
}

#[test]
fn c4_what_the_router_says_goes_before_what_the_library_says_and_the_first_counts() {
    let read = read(
        "model_list: []
router_settings: { num_retries: 0, fallbacks: [{ a: [b] }, { a: [c] }], default_fallbacks: [d] }
litellm_settings: { num_retries: 3, fallbacks: [{ x: [other] }], default_fallbacks: [e], content_policy_fallbacks: [{ a: [f] }] }",
    );
    assert_eq!(read.config.rate_limiting.retry.max_attempts, 1);
    assert_eq!(
        read.fallbacks.of,
        [("a".to_owned(), vec!["b".to_owned()])].into()
    );
    assert_eq!(read.fallbacks.default, ["d"]);
    assert_eq!(read.fallbacks.content_policy["a"], ["f"]);
    let notes = notes(&read);
    for told in [
        "router_settings.fallbacks: has `a` more than once, of which the first counts",
        "litellm_settings.num_retries: is not in force",
        "litellm_settings.fallbacks: is not in force",
        "litellm_settings.default_fallbacks: is not in force",
    ] {
        assert_eq!(
            notes.iter().filter(|note| note.starts_with(told)).count(),
            1,
            "{told}: {notes:#?}"
        );
    }
}

#[test]
fn c4_several_deployments_to_one_model_have_their_sum_and_each_its_own() {
    let read = read(
        "model_list:
  - { model_name: a, litellm_params: { model: azure/gpt-4o, api_key: k1, rpm: 10, tpm: 100 }, model_info: { id: east } }
  - { model_name: a, litellm_params: { model: azure/gpt-4o, api_key: k2, rpm: 20 } }",
    );
    assert_eq!(
        limits(&read),
        [
            "requests 30/min for provider=azure, model=gpt-4o",
            "requests 10/min for api_key=east, model=gpt-4o, provider=azure",
            "tokens 100/min for api_key=east, model=gpt-4o, provider=azure",
            "requests 20/min for api_key=a#1, model=gpt-4o, provider=azure",
        ]
    );
}

#[test]
fn c4_nothing_shows_a_key_nor_who_is_named_in_an_address() {
    let read = read(
        "model_list:
  - { model_name: a, litellm_params: { model: azure/x, api_key: sk-secret-1, api_base: 'https://u:sk-secret-2@host/x' } }
  - { model_name: a, litellm_params: { model: azure/y, api_key: 5, api_base: 'https://host/x?key=sk-secret-3', aws_secret_access_key: sk-secret-4 } }
general_settings: { master_key: sk-secret-5 }
environment_variables: { KEY: sk-secret-6 }",
    );
    let shown = format!("{read:?} {:?}", notes(&read));
    assert!(!shown.contains("sk-secret"), "{shown}");
    assert!(
        shown.contains("api_key: is no text") && shown.contains("master_key"),
        "{shown}"
    );
}

/// Each route, with its targets, their weights, and the labels of their keys.
pub(super) fn routes(read: &LiteLlmConfig) -> Vec<String> {
    let failover = &read.config.rate_limiting.failover;
    read.config.build().unwrap();
    let route = |(name, route): (&String, &crate::config::RouteConfig)| {
        let targets = route.targets.iter().map(|target| {
            let provider = &failover.providers[&target.provider];
            let keys = provider.keys.iter();
            let keys = keys.map(|key| format!("{}*{}", key.label.as_deref().unwrap(), key.weight));
            let keys: Vec<String> = keys.collect();
            let url = provider.base_url.as_deref().unwrap();
            let url = url.strip_prefix("https://").unwrap_or(url);
            format!(
                "{}*{} at {url} by {}",
                target.model,
                target.weight,
                keys.join(" ")
            )
        });
        format!("{name}: {}", targets.collect::<Vec<_>>().join("; "))
    };
    failover.routes.iter().map(route).collect()
}

#[test]
fn c4_deployments_are_taken_by_weight_and_fallbacks_stand_behind() {
    let text = "model_list:
  - { model_name: a, litellm_params: { model: openai/m, api_key: k1, weight: 3 } }
  - { model_name: a, litellm_params: { model: openai/m, api_key: k2 } }
  - { model_name: a, litellm_params: { model: groq/m, api_key: k3, order: 2 } }
  - { model_name: b, litellm_params: { model: openai/m, api_key: k4, rpm: 50 } }
  - { model_name: b, litellm_params: { model: mistral/m, rpm: 10 } }
  - { model_name: c, litellm_params: { model: azure/m, api_base: 'https://x', api_version: 2026-01-01 } }
  - { model_name: d, litellm_params: { model: azure/m, api_base: 'https://x/' } }
  - { model_name: e, litellm_params: { model: anthropic/m, api_base: 'https://x' } }
router_settings: { fallbacks: [{ a: [b] }, { b: [c] }], default_fallbacks: [c], model_group_alias: { z: e } }";
    let orders = text
        .replace("api_key: k1,", "order: 1, api_key: k1,")
        .replace("api_key: k2", "order: 1, api_key: k2");
    let read = read(&orders);
    assert_eq!(notes(&read), Vec::<String>::new());
    let azure = "m*0 at x/openai/deployments/m?api-version=2026-01-01 by c#5*1";
    let alone = "m*1 at x/openai/deployments/m?api-version=2026-01-01 by c#5*1";
    assert_eq!(
        routes(&read),
        [
            // b's key is for when neither of a's own is left.
            format!(
                "a: m*4 at api.openai.com/v1 by a#0*3 a#1*1 b#3*0; m*0 at api.groq.com/openai/v1 by a#2*1; \
                 m*0 at api.mistral.ai/v1 by b#4*10; {azure}"
            ),
            format!(
                "b: m*50 at api.openai.com/v1 by b#3*50; m*10 at api.mistral.ai/v1 by b#4*10; {azure}"
            ),
            format!("c: {alone}"),
            format!("d: m*1 at x/openai/v1 by d#6*1; {azure}"),
            format!("e: m*1 at x/v1 by e#7*1; {azure}"),
            format!("z: m*1 at x/v1 by e#7*1; {azure}"),
        ]
    );
}

#[test]
fn c4_where_no_route_can_lead_it_is_told() {
    let read = LiteLlmConfig::from_text(
        "model_list:
  - { model_name: a, litellm_params: { model: vertex_ai/gemini-3-pro } }
  - { model_name: b, litellm_params: { model: bedrock/m } }
  - { model_name: c, litellm_params: { model: openai/* } }
  - { model_name: d, litellm_params: { model: openai/m } }
  - { model_name: e, litellm_params: { model: openai/m, api_key: os.environ/GONE } }
  - { model_name: f, litellm_params: { model: huggingface/m, api_key: k } }
  - { model_name: g, litellm_params: { model: openai/m, api_base: 'https://me:sk-secret@x' } }
  - { model_name: h, litellm_params: { model: openai/m, api_key: \"sk-secret\\n\" } }
  - { model_name: i, litellm_params: { model: hosted_vllm/m, api_base: 'http://10.0.0.7:8000/v1' } }
  - { model_name: i, litellm_params: { model: openai/m, api_key: k }, model_info: { id: i#8 } }
router_settings: { routing_strategy: least-busy }",
        |_| None,
    )
    .unwrap();
    assert_eq!(routes(&read), ["i: m*1 at http://10.0.0.7:8000/v1 by "]);
    let notes = notes(&read);
    for (place, says) in [
        ("[0].litellm_params.model", "takes no API keys"),
        ("[1].litellm_params.model", "takes no API keys"),
        ("[2].litellm_params.model", "stands for any model"),
        (
            "[3].litellm_params.api_key",
            "is missing, and so is the environment variable `OPENAI_API_KEY`",
        ),
        (
            "[4].litellm_params.api_key",
            "the environment variable `GONE` is not set",
        ),
        (
            "[5].litellm_params.api_base",
            "no address of `huggingface` is known",
        ),
        ("[6].litellm_params.api_base", "names a user"),
        ("[7].litellm_params.api_key", "cannot stand in a header"),
        ("[9].model_info.id", "is another's as well"),
    ] {
        let told = notes.iter().filter(|note| {
            note.starts_with(&format!("model_list{place}: ")) && note.contains(says)
        });
        assert_eq!(told.count(), 1, "{place}: {notes:#?}");
    }
    assert!(
        notes[9].starts_with("router_settings.routing_strategy: is none of ours"),
        "{notes:#?}"
    );
    assert_eq!(notes.len(), 10, "{notes:#?}");
    assert!(!format!("{read:?} {notes:?}").contains("sk-secret"));
}

#[test]
fn c4_fallbacks_for_one_reason_are_general_ones_or_are_told() {
    let text = |general: &str| {
        format!(
            "model_list:
  - {{ model_name: a, litellm_params: {{ model: openai/a }} }}
  - {{ model_name: b, litellm_params: {{ model: openai/b }} }}
litellm_settings:
  context_window_fallbacks: [{{ a: [b] }}]
  content_policy_fallbacks: [{{ a: [b] }}]
  {general}"
        )
    };
    let covered = read(&text("fallbacks: [{ a: [b] }]"));
    assert_eq!(notes(&covered), Vec::<String>::new());
    let on = &covered.config.rate_limiting.failover.on;
    assert_eq!(*on, [crate::config::TriggerName::ContentFilter]);

    let alone = read(&text(""));
    assert_eq!(routes(&alone)[0], "a: a*1 at api.openai.com/v1 by a#0*1");
    assert!(alone.config.rate_limiting.failover.on.is_empty());
    for (note, name) in notes(&alone)
        .iter()
        .zip(["content_policy", "context_window"])
    {
        assert!(
            note.starts_with(&format!(
                "{name}_fallbacks.a: lead to `b` for one reason alone"
            )),
            "{note}"
        );
    }
    assert_eq!(notes(&alone).len(), 2);
}

#[test]
fn c4_what_runs_on_the_same_machine_is_there_without_an_address_or_a_key() {
    let text = "model_list:
  - { model_name: a, litellm_params: { model: ollama/mistral } }
  - { model_name: b, litellm_params: { model: ollama_chat/qwen3, api_base: https://box.example } }
  - { model_name: c, litellm_params: { model: voyage/voyage-4 } }";
    let bases = |read: &LiteLlmConfig| -> Vec<Option<String>> {
        let places = read.deployments.iter().map(|one| one.place.as_ref());
        places.map(|place| Some(place?.base_url.clone())).collect()
    };
    let at = |url: &str| Some(url.to_owned());
    let usual = LiteLlmConfig::from_text(text, |_| None).unwrap();
    assert_eq!(
        bases(&usual),
        [
            at("http://localhost:11434/v1"),
            at("https://box.example/v1"),
            None
        ]
    );
    assert!(usual.config.build().unwrap().layer.has_routes());
    assert_eq!(notes(&usual).len(), 1, "{:?}", notes(&usual));
    let elsewhere = |name: &str| (name == "OLLAMA_API_BASE").then(|| "http://box:1234".to_owned());
    let elsewhere = LiteLlmConfig::from_text(text, elsewhere).unwrap();
    assert_eq!(
        bases(&elsewhere),
        [at("http://box:1234/v1"), at("https://box.example/v1"), None]
    );
}
