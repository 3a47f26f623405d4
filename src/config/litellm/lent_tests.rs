use super::{
    tests::{environment, notes, read, routes},
    *,
};

/// Where calls to each deployment go, and with which key.
fn goes(read: &LiteLlmConfig) -> Vec<String> {
    let places = read.deployments.iter().map(|one| one.place.as_ref());
    let said = places.map(|place| match place {
        Some(place) => {
            let key = place.key.as_ref().map_or("no key", |key| key.expose());
            let url = &place.base_url;
            format!("{} {key}", url.strip_prefix("https://").unwrap_or(url))
        }
        None => "nowhere".to_owned(),
    });
    said.collect()
}

fn refused(text: &str) -> ConfigError {
    LiteLlmConfig::from_text(text, environment).unwrap_err()
}

#[test]
fn c4_a_deployment_has_from_its_credential_what_it_does_not_say_itself() {
    let read = read(
        "credential_list:
  - { credential_name: house, credential_values: { api_key: sk-house, api_base: 'https://house.example/v1' } }
  - { credential_name: east, credential_values: { api_key: os.environ/EAST_API_KEY, api_base: 'https://east.example', api_version: 2026-01-01 } }
  - { credential_name: key, credential_values: { api_key: sk-lone, api_base: null } }
model_list:
  - { model_name: a, litellm_params: { model: openai/m, litellm_credential_name: house } }
  - { model_name: b, litellm_params: { model: openai/m, litellm_credential_name: house, api_base: 'https://own.example/v1' } }
  - { model_name: c, litellm_params: { model: openai/m, litellm_credential_name: house, api_base: null, api_key: sk-own } }
  - { model_name: d, litellm_params: { model: azure/m, litellm_credential_name: east } }
  - { model_name: e, litellm_params: { model: azure/m, litellm_credential_name: east, api_version: 2025-05-05 } }
  - { model_name: f, litellm_params: { model: openai/m, litellm_credential_name: key } }
  - { model_name: g, litellm_params: { model: openai/m } }
  - { model_name: h, litellm_params: { model: openai/m, litellm_credential_name: null } }",
    );
    assert_eq!(
        goes(&read),
        [
            "house.example/v1 sk-house",
            "own.example/v1 sk-house",
            "house.example/v1 sk-own",
            "east.example/openai/deployments/m?api-version=2026-01-01 sk-of-EAST_API_KEY",
            "east.example/openai/deployments/m?api-version=2025-05-05 sk-of-EAST_API_KEY",
            "api.openai.com/v1 sk-lone",
            "api.openai.com/v1 sk-of-OPENAI_API_KEY",
            "api.openai.com/v1 sk-of-OPENAI_API_KEY",
        ]
    );
    assert_eq!(notes(&read), Vec::<String>::new());
    assert_eq!(routes(&read)[0], "a: m*1 at house.example/v1 by a#0*1");
    let [house, .., plain] = read.deployments.as_slice() else {
        panic!("{read:?}");
    };
    assert_eq!(house.api_base.as_deref(), Some("https://house.example/v1"));
    assert_eq!(plain.api_base, None);
    let key = read.deployments[3].api_key.as_ref().unwrap();
    assert_eq!(key.variable(), Some("EAST_API_KEY"));
}

#[test]
fn c4_base_url_goes_before_api_base_wherever_either_stands() {
    let read = read(
        "credential_list:
  - { credential_name: one, credential_values: { api_key: k, base_url: 'https://one.example/v1' } }
  - { credential_name: two, credential_values: { api_key: k, api_base: 'https://two.example/v1' } }
model_list:
  - { model_name: a, litellm_params: { model: openai/m, litellm_credential_name: one, api_base: 'https://own.example/v1' } }
  - { model_name: b, litellm_params: { model: openai/m, litellm_credential_name: two, base_url: 'https://own.example/v1' } }",
    );
    assert_eq!(goes(&read), ["one.example/v1 k", "own.example/v1 k"]);
    assert_eq!(
        notes(&read),
        [
            "credential_list[1].credential_values.api_base: is not in force, as `base_url` goes before it; \
             `model_list[1].litellm_params` has it from here (line 3)",
            "model_list[0].litellm_params.api_base: is not in force, as `base_url` goes before it (line 5)",
        ]
    );
}

#[test]
fn c4_a_credential_that_is_not_there_is_an_error_that_says_what_to_do() {
    let text = |list: &str, name: &str, own: &str| {
        format!(
            "{list}
model_list:
  - {{ model_name: a, litellm_params: {{ model: openai/m, litellm_credential_name: {name}{own} }} }}"
        )
    };
    let list = "credential_list: [{ credential_name: house, credential_values: { api_key: k } }]";
    let own = ", api_base: 'https://own.example/v1', api_key: k";
    assert!(LiteLlmConfig::from_text(&text(list, "house", ""), environment).is_ok());
    let read = LiteLlmConfig::from_text(&text(list, "sk-secret", own), environment).unwrap();
    assert_eq!(goes(&read), ["own.example/v1 k"], "it has all by itself");
    assert_eq!(read.not_understood.len(), 1);
    assert!(!read.not_understood[0].to_string().contains("sk-secret"));
    for text in [
        text(list, "sk-secret", ""),
        text(list, "os.environ/GONE", ""),
        text(list, "[house]", ""),
        text(list, "''", ""),
        text("", "house", ""),
        text("credential_list: house", "house", ""),
        text("credential_list: [house]", "house", ""),
        text("credential_list: [{ credential_name: house }]", "house", ""),
        text(&list.replace("{ api_key: k }", "k"), "house", ""),
    ] {
        let error = refused(&text);
        assert!(
            matches!(error, ConfigError::Syntax { line: 3, .. }),
            "{text}: {error}"
        );
        let error = error.to_string();
        let begins = "model_list[0].litellm_params.litellm_credential_name: names no credential that is in `credential_list`";
        assert!(error.starts_with(begins), "{text}: {error}");
        let helps =
            "write it there with its `credential_values`, or write `api_base` and `api_key` here";
        assert!(error.contains(helps), "{error}");
        assert!(!error.contains("sk-secret"), "{error}");
    }
    let everywhere = "
model_list: [{ model_name: a, litellm_params: { model: openai/m } }]
router_settings: { default_litellm_params: { litellm_credential_name: gone } }";
    let error = refused(everywhere).to_string();
    let begins =
        "router_settings.default_litellm_params.litellm_credential_name: names no credential";
    assert!(error.starts_with(begins), "{error}");
    assert!(error.contains("(line 3, column "), "{error}");
}

#[test]
fn c4_what_is_not_understood_of_a_credential_leads_nowhere_and_is_told() {
    let read = read(
        "credential_list:
  - { credential_name: a, credential_values: { api_key: k, api_base: os.environ/GONE } }
  - { credential_name: b, credential_values: { api_key: os.environ/GONE, api_base: 'https://b.example/v1' } }
  - { credential_name: c, credential_values: { api_key: [sk-secret], api_base: 'https://c.example/v1' } }
  - { credential_name: d, credential_values: { api_key: k, api_base: 'https://me:sk-secret@x' } }
  - { credential_name: e, credential_values: { api_key: k, custom_llm_provider: os.environ/GONE } }
model_list:
  - { model_name: a, litellm_params: { model: openai/m, litellm_credential_name: a } }
  - { model_name: b, litellm_params: { model: openai/m, litellm_credential_name: b } }
  - { model_name: c, litellm_params: { model: openai/m, litellm_credential_name: c } }
  - { model_name: d, litellm_params: { model: openai/m, litellm_credential_name: d } }
  - { model_name: e, litellm_params: { model: gpt-4o, litellm_credential_name: e } }
  - { model_name: f, litellm_params: { model: openai/m, litellm_credential_name: a, api_base: 'https://own.example/v1' } }",
    );
    let nowhere = ["nowhere"; 5].into_iter();
    let expected: Vec<&str> = nowhere.chain(["own.example/v1 k"]).collect();
    assert_eq!(goes(&read), expected);
    assert_eq!(routes(&read), ["f: m*1 at own.example/v1 by f#5*1"]);
    let notes = notes(&read);
    for (place, (field, says)) in [
        ("api_base", "the environment variable `GONE` is not set"),
        ("api_key", "the environment variable `GONE` is not set"),
        ("api_key", "is no text"),
        ("api_base", "is no address, or names a user; no route leads"),
        (
            "custom_llm_provider",
            "the environment variable `GONE` is not set",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let begins = format!("credential_list[{place}].credential_values.{field}: {says}");
        let ends = format!(
            "; `model_list[{place}].litellm_params` has it from here (line {})",
            place + 2
        );
        let told = &notes[place];
        assert!(
            told.starts_with(&begins) && told.ends_with(&ends),
            "{told}: {begins} … {ends}"
        );
    }
    assert_eq!(notes.len(), 5, "{notes:#?}");
    assert!(!format!("{read:?} {notes:?}").contains("sk-secret"));
}

#[test]
fn c4_what_the_router_says_for_all_goes_before_what_a_deployment_says() {
    let read_with = |defaults: &str| {
        read(&format!(
            "model_list:
  - {{ model_name: a, litellm_params: {{ model: openai/m }} }}
  - {{ model_name: b, litellm_params: {{ model: openai/m, api_base: 'https://own.example/v1', api_key: sk-own }} }}
  - {{ model_name: c, litellm_params: {{ model: openai/m, litellm_credential_name: house }} }}
  - {{ model_name: d, litellm_params: {{ model: openai/m, base_url: 'https://own.example/v1' }} }}
credential_list: [{{ credential_name: house, credential_values: {{ api_key: sk-house, api_base: 'https://house.example/v1' }} }}]
router_settings:
  default_litellm_params: {defaults}"
        ))
    };
    let (own, house) = ("own.example/v1 sk-own", "house.example/v1 sk-house");
    let (public, bare) = (
        "api.openai.com/v1 sk-of-OPENAI_API_KEY",
        "own.example/v1 sk-of-OPENAI_API_KEY",
    );
    let none = read_with("null");
    assert_eq!(goes(&none), [public, own, house, bare]);
    assert_eq!(notes(&none), Vec::<String>::new());

    let all = "all.example/v1 sk-of-ALL_API_KEY";
    let read = read_with(
        "{ api_base: 'https://all.example/v1', api_key: os.environ/ALL_API_KEY, temperature: 1, timeout: 5 }",
    );
    assert_eq!(
        goes(&read),
        [all, all, all, "own.example/v1 sk-of-ALL_API_KEY"]
    );
    let behind = "is not in force, as `router_settings.default_litellm_params` goes before it";
    assert_eq!(
        notes(&read),
        [
            format!("model_list[1].litellm_params.api_base: {behind} (line 3)"),
            format!("model_list[1].litellm_params.api_key: {behind} (line 3)"),
            "router_settings.default_litellm_params.api_base: is not in force, as `base_url` goes before it; \
             `model_list[3].litellm_params` has it from here (line 8)"
                .to_owned(),
            "router_settings.default_litellm_params.temperature: is sent with requests by LiteLLM; here requests leave \
             as they came (line 8)"
                .to_owned(),
            "router_settings.default_litellm_params.timeout: is a matter of the client, or of `retry` (line 8)"
                .to_owned(),
        ]
    );

    // One that is null says nothing.
    let key = read_with("{ api_base: null, api_key: os.environ/ALL_API_KEY }");
    assert_eq!(goes(&key)[1], "own.example/v1 sk-of-ALL_API_KEY");
    let named = read_with("{ litellm_credential_name: house }");
    assert_eq!(goes(&named), [house, own, house, "own.example/v1 sk-house"]);
    let elsewhere = read_with("{ custom_llm_provider: azure, api_base: 'https://all.example' }");
    assert_eq!(
        goes(&elsewhere)[0],
        "all.example/openai/v1 sk-of-AZURE_API_KEY"
    );
    // Nothing goes to another address than the one that is missing.
    let missing = read_with("{ api_base: os.environ/GONE }");
    assert_eq!(goes(&missing), ["nowhere", "nowhere", "nowhere", bare]);
    let wrong = notes(&read_with("[sk-secret]"));
    assert_eq!(
        wrong,
        ["router_settings.default_litellm_params: is no map (line 8)"]
    );
}

#[test]
fn c4_of_credentials_with_one_name_the_first_counts_and_what_has_no_counterpart_is_told() {
    let read = read(
        "credential_list:
  - credential_name: house
    credential_values: { api_key: sk-secret-1, organization: sk-secret-2, aws_secret_access_key: sk-secret-3 }
    credential_info: { description: ours }
    source: file
  - { credential_name: house, credential_values: { api_key: sk-secret-4, api_base: 'https://other.example/v1' } }
  - { credential_values: { api_key: sk-secret-5 } }
model_list: [{ model_name: a, litellm_params: { model: openai/m, litellm_credential_name: house } }]",
    );
    assert_eq!(goes(&read), ["api.openai.com/v1 sk-secret-1"]);
    let notes = notes(&read);
    let told = [
        "credential_list[0].credential_values.aws_secret_access_key: signs requests",
        "credential_list[0].credential_values.organization: is sent with requests by LiteLLM",
        "credential_list[0].credential_info: describes the credential for LiteLLM alone",
        "credential_list[0].source: has no counterpart here",
        "credential_list[1].credential_name: is another's as well, of which the first counts",
        "credential_list[2]: has no `credential_name` or no `credential_values`; it is not read",
    ];
    assert_eq!(notes.len(), told.len(), "{notes:#?}");
    for (note, begins) in notes.iter().zip(told) {
        assert!(note.starts_with(begins), "{note}: {begins}");
    }
    assert!(!format!("{read:?} {notes:?}").contains("sk-secret"));
}
