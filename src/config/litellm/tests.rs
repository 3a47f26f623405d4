use super::*;

fn environment(name: &str) -> Option<String> {
    (name == "RPM").then(|| "77".to_owned())
}

fn read(text: &str) -> LiteLlmConfig {
    LiteLlmConfig::from_text(text, environment).unwrap()
}

fn limits(read: &LiteLlmConfig) -> Vec<String> {
    let limits = read.config.limits().unwrap();
    limits.iter().map(ToString::to_string).collect()
}

fn notes(read: &LiteLlmConfig) -> Vec<String> {
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
