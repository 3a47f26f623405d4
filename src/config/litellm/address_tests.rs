use super::{
    tests::{environment, notes, read, routes},
    *,
};

/// The address of each deployment that a route can lead to.
fn bases(read: &LiteLlmConfig) -> Vec<Option<&str>> {
    let places = read.deployments.iter().map(|one| one.place.as_ref());
    places
        .map(|place| place.map(|place| place.base_url.as_str()))
        .collect()
}

/// With keys and these variables.
fn read_with(text: &str, set: &[(&str, &str)]) -> LiteLlmConfig {
    let look = |name: &str| {
        let found = set.iter().find(|(known, _)| *known == name);
        found
            .map(|(_, value)| (*value).to_owned())
            .or_else(|| environment(name))
    };
    LiteLlmConfig::from_text(text, look).unwrap()
}

/// One deployment to each of these models, without an address.
fn to(models: &[&str]) -> String {
    let entries = models.iter().map(|model| {
        format!("  - {{ model_name: {model}, litellm_params: {{ model: {model} }} }}\n")
    });
    format!("model_list:\n{}", entries.collect::<String>())
}

#[test]
fn c4_base_url_is_an_address_and_goes_before_api_base() {
    let read = read(
        "model_list:
  - { model_name: a, litellm_params: { model: openai/m, base_url: 'https://own.example/v1' } }
  - { model_name: b, litellm_params: { model: openai/m, api_base: 'https://other.example/v1', base_url: 'https://own.example/v1' } }
  - { model_name: c, litellm_params: { model: openai/m, api_base: 'https://other.example/v1', base_url: null } }
  - { model_name: d, litellm_params: { model: openai/m, api_base: null } }",
    );
    let own = Some("https://own.example/v1");
    let other = Some("https://other.example/v1");
    assert_eq!(
        bases(&read),
        [own, own, other, Some("https://api.openai.com/v1")]
    );
    let said = read.deployments.iter().map(|one| one.api_base.as_deref());
    assert_eq!(said.collect::<Vec<_>>(), [own, own, other, None]);
    assert_eq!(routes(&read)[0], "a: m*1 at own.example/v1 by a#0*1");
    assert_eq!(
        notes(&read),
        [
            "model_list[1].litellm_params.api_base: is not in force, as `base_url` goes before it (line 3)"
        ]
    );
}

#[test]
fn c4_what_the_environment_says_of_an_address_goes_before_the_usual_one() {
    let models = [
        "openai/m",
        "anthropic/m",
        "groq/m",
        "azure/m",
        "fireworks_ai/m",
        "mistral/m",
        "gpt-4o",
    ];
    let text = to(&models);
    // One that is empty says nothing.
    let usual = read_with(&text, &[("OPENAI_BASE_URL", "")]);
    assert_eq!(
        bases(&usual),
        [
            Some("https://api.openai.com/v1"),
            Some("https://api.anthropic.com/v1"),
            Some("https://api.groq.com/openai/v1"),
            None,
            Some("https://api.fireworks.ai/inference/v1"),
            Some("https://api.mistral.ai/v1"),
            Some("https://api.openai.com/v1"),
        ]
    );
    let own = read_with(
        &text,
        &[
            ("OPENAI_API_BASE", "https://second.example/v1"),
            ("OPENAI_BASE_URL", "https://openai.example/v1"),
            ("ANTHROPIC_BASE_URL", "https://second.example"),
            ("ANTHROPIC_API_BASE", "https://anthropic.example"),
            ("GROQ_API_BASE", "https://groq.example/v1"),
            ("AZURE_API_BASE", "https://azure.example"),
            ("FIREWORKS_API_BASE", "https://fireworks.example/v1"),
            ("MISTRAL_API_BASE", "https://mistral.example/v1"),
        ],
    );
    assert_eq!(
        bases(&own),
        [
            Some("https://openai.example/v1"),
            Some("https://anthropic.example/v1"),
            Some("https://groq.example/v1"),
            Some("https://azure.example/openai/v1"),
            Some("https://fireworks.example/v1"),
            Some("https://mistral.example/v1"),
            Some("https://openai.example/v1"),
        ]
    );
    assert_eq!(notes(&own), Vec::<String>::new());
    let second = [
        ("OPENAI_API_BASE", "https://second.example/v1"),
        ("ANTHROPIC_BASE_URL", "https://second.example"),
    ];
    let second = read_with(&to(&models[..2]), &second);
    assert_eq!(bases(&second), [Some("https://second.example/v1"); 2]);
    let block = "environment_variables: { OPENAI_BASE_URL: https://block.example/v1 }\n";
    let block = read(&format!("{block}{}", to(&["openai/m"])));
    assert_eq!(bases(&block), [Some("https://block.example/v1")]);
}

#[test]
fn c4_an_address_for_all_deployments_is_asked_where_litellm_asks_it() {
    let text = "model_list:
  - { model_name: a, litellm_params: { model: openai/m } }
  - { model_name: b, litellm_params: { model: openai/m, api_base: 'https://own.example/v1' } }
  - { model_name: c, litellm_params: { model: openrouter/m } }
  - { model_name: d, litellm_params: { model: groq/m } }
  - { model_name: e, litellm_params: { model: hosted_vllm/m } }
  - { model_name: f, litellm_params: { model: ollama/m, api_base: 'https://own.example/v1' } }
litellm_settings: { api_base: 'https://all.example/v1' }";
    let all = Some("https://all.example/v1");
    let own = Some("https://own.example/v1");
    let groq = Some("https://api.groq.com/openai/v1");
    let alone = read(text);
    assert_eq!(bases(&alone), [all, own, all, groq, all, all]);
    assert_eq!(
        notes(&alone),
        [
            "model_list[5].litellm_params.api_base: is not in force: for Ollama, LiteLLM takes `litellm_settings.api_base` \
             before it (line 7)"
        ]
    );
    let variables = [
        ("OPENAI_BASE_URL", "https://variable.example/v1"),
        ("HOSTED_VLLM_API_BASE", "https://variable.example/v1"),
    ];
    let both = read_with(text, &variables);
    let variable = Some("https://variable.example/v1");
    assert_eq!(bases(&both), [all, own, all, groq, variable, all]);
}

#[test]
fn c4_an_address_that_is_not_understood_leads_nowhere_and_is_told() {
    let text = "model_list:
  - { model_name: a, litellm_params: { model: openai/m, base_url: [x] } }
  - { model_name: b, litellm_params: { model: openai/m, base_url: os.environ/GONE, api_base: 'https://own.example/v1' } }
  - { model_name: c, litellm_params: { model: openai/m, base_url: 'https://me:sk-secret@x' } }
  - { model_name: d, litellm_params: { model: groq/m } }
  - { model_name: e, litellm_params: { model: openai/m } }
  - { model_name: f, litellm_params: { model: mistral/m } }
litellm_settings: { api_base: os.environ/GONE }";
    let read = read_with(text, &[("GROQ_API_BASE", "sk-secret")]);
    assert_eq!(
        bases(&read),
        [
            None,
            None,
            None,
            None,
            None,
            Some("https://api.mistral.ai/v1")
        ]
    );
    assert_eq!(routes(&read), ["f: m*1 at api.mistral.ai/v1 by f#5*1"]);
    let notes = notes(&read);
    for told in [
        "model_list[0].litellm_params.base_url: is no text (line 2)",
        "model_list[1].litellm_params.base_url: the environment variable `GONE` is not set (line 3)",
        "model_list[1].litellm_params.api_base: is not in force, as `base_url` goes before it (line 3)",
        "model_list[2].litellm_params.base_url: is no address, or names a user; no route leads there",
        "model_list[3].litellm_params.api_base: is missing, and `GROQ_API_BASE` is no address, or names a user; no route",
        "litellm_settings.api_base: the environment variable `GONE` is not set (line 8)",
        "litellm_settings.api_base: is not understood; no route leads to the deployments that it is for (line 8)",
    ] {
        let count = notes.iter().filter(|note| note.starts_with(told)).count();
        assert_eq!(count, 1, "{told}: {notes:#?}");
    }
    assert_eq!(notes.len(), 7, "{notes:#?}");
    assert!(!format!("{notes:?}").contains("sk-secret"));
    let plain = text.replace("os.environ/GONE }", "'https://me:sk-secret@x' }");
    let plain = read_with(&plain, &[]);
    let told = self::notes(&plain);
    let says = "model_list[4].litellm_params.api_base: is missing, and `litellm_settings.api_base` is no address";
    assert!(told.iter().any(|note| note.starts_with(says)), "{told:#?}");
    assert_eq!(bases(&plain)[4], None);
}
