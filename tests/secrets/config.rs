//! Configurations that make no sense, and hold secrets.

use tower_quota::{config::Config, gateway};

use crate::outputs::{MARK, Outputs};

/// Something is wrong with each, and no secret belongs there.
const WRONG: [&str; 13] = [
    "rate_limiting: {}\napi_key: MARKED",
    "rate_limiting:\n  providers: { openai: { gpt-4o: { rpm: 5, api_key: MARKED } } }",
    "rate_limiting:\n  # key: MARKED\n  global: { rmp: 5 }",
    "rate_limiting: {\n  key: MARKED\n  global: [",
    "rate_limiting:\n  key: \"MARKED\n",
    "rate_limiting:\n  providers: { openai: MARKED }",
    "rate_limiting:\n  providers: MARKED",
    "rate_limiting: MARKED",
    "rate_limiting:\n  global: { rpm: MARKED }",
    "rate_limiting: {}\ngateway: MARKED",
    "rate_limiting: {}\ngateway: { upstream: 'http://me:MARKED@host' }",
    "rate_limiting: {}\ngateway: { upstream: 'http://host/?key=MARKED' }",
    "rate_limiting: {}\ngateway: { upstream: ['MARKED'] }",
];

#[test]
fn no_value_of_a_file_is_in_what_is_said_of_it() {
    let outputs = Outputs::default();
    for text in WRONG {
        assert!(text.contains(MARK));
        let error = gateway::Config::from_yaml(text).unwrap_err();
        outputs.error(text, &error);
        if !text.contains("gateway") {
            let error = Config::from_yaml(text).unwrap_err();
            outputs.error(text, &error);
        }
    }
    outputs.are_clean(2 * WRONG.len());
}

#[test]
fn where_and_what_is_wrong_is_said_all_the_same() {
    for (text, words) in [
        (
            "rate_limiting:\n  providers: { openai: MARKED }",
            ["rate_limiting.providers.openai", "expected a map", "line 2"],
        ),
        (
            "rate_limiting:\n  global: { rpm: MARKED }",
            [
                "rate_limiting.global.rpm",
                "expected a whole number",
                "line 2",
            ],
        ),
        (
            "rate_limiting: {}\napi_key: MARKED",
            ["api_key", "rate_limiting", "line 2"],
        ),
    ] {
        let said = gateway::Config::from_yaml(text).unwrap_err().to_string();
        for word in words {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
}
