//! Keys that decide what a call costs: each is there once, and written as it is.

use super::*;

fn openai(body: &str) -> Result<RequestFacts, FactsError> {
    inspect(Dialect::OpenAiChat, body.as_bytes())
}

fn anthropic(body: &str) -> Result<RequestFacts, FactsError> {
    inspect(Dialect::AnthropicMessages, body.as_bytes())
}

#[test]
fn a_duplicate_key_is_refused_however_it_is_spelled() {
    for (body, key) in [
        (r#"{"model":"a","model":"b"}"#, "model"),
        (r#"{"model":"a","mod\u0065l":"b"}"#, "model"),
        (r#"{"model":null,"x":{},"model":"b"}"#, "model"),
        (r#"{"max_tokens":1,"max_tokens":1}"#, "max_tokens"),
        (r#"{"messages":[],"messages":[]}"#, "messages"),
        (r#"{"model":"a","model":"#, "model"),
    ] {
        assert_eq!(
            openai(body),
            Err(FactsError::DuplicateKey { key }),
            "{body}"
        );
    }
}

#[test]
fn other_duplicates_are_none_of_our_business() {
    for body in [
        r#"{"user":"a","user":"b"}"#,
        r#"{"messages":[{"model":"a","model":"b"},{"model":"a"}]}"#,
        r#"{"metadata":{"model":"a"},"model":"b"}"#,
    ] {
        assert!(openai(body).is_ok(), "{body}");
    }
    assert!(anthropic(r#"{"n":1,"n":2}"#).is_ok());
}

/// Servers in Go or C# match keys whatever their capitals.
#[test]
fn keys_in_other_capitals_are_refused() {
    for (body, key) in [
        (r#"{"model":"a","Model":"b"}"#, "model"),
        (r#"{"MAX_TOKENS":5}"#, "max_tokens"),
        (r#"{"N":50}"#, "n"),
        (
            r#"{"messages":[],"Messages":[{"content":"more"}]}"#,
            "messages",
        ),
    ] {
        let refused = Err(FactsError::OtherCapitals { key });
        assert_eq!(openai(body), refused, "{body}");
    }
    let escaped = r#"{"model":"a","\u004dodel":"b"}"#;
    assert_eq!(openai(escaped), Err(FactsError::Malformed));
    for (dialect, body, key) in [
        (
            Dialect::Gemini,
            r#"{"GenerationConfig":{}}"#,
            "generationConfig",
        ),
        (
            Dialect::Gemini,
            r#"{"generationConfig":{"MaxOutputTokens":9}}"#,
            "maxOutputTokens",
        ),
        (
            Dialect::Ollama,
            r#"{"options":{"Num_Predict":9}}"#,
            "num_predict",
        ),
    ] {
        let refused = Err(FactsError::OtherCapitals { key });
        assert_eq!(inspect(dialect, body.as_bytes()), refused, "{body}");
    }
    for others in [
        r#"{"User":"a","metadata":{"Model":"b","\u004dodel":"c"}}"#,
        r#"{"messages":[{"Model":"a","Content":"b"}],"tools":[{"Stream":{"N":5}}]}"#,
        r#"{"\u0055ser":"a"}"#,
    ] {
        assert!(openai(others).is_ok(), "{others}");
    }
}

#[test]
fn bodies_of_very_many_keys_are_refused() {
    let body = |keys: usize| {
        let keys: Vec<String> = (0..keys).map(|key| format!("\"k{key}\":0")).collect();
        format!("{{{}}}", keys.join(","))
    };
    assert!(openai(&body(4_096)).is_ok());
    assert_eq!(openai(&body(4_097)), Err(FactsError::Malformed));
    let within = format!(
        r#"{{"metadata":{},"messages":[{}]}}"#,
        body(5_000),
        body(5_000)
    );
    assert!(openai(&within).is_ok());
}

#[test]
fn a_cap_that_is_there_twice_is_refused_however_deep() {
    for body in [
        r#"{"generationConfig":{"maxOutputTokens":1,"maxOutputTokens":2}}"#,
        r#"{"generationConfig":{"maxOutputTokens":1},"generationConfig":{"maxOutputTokens":2}}"#,
    ] {
        let found = inspect(Dialect::Gemini, body.as_bytes());
        let is_refused = matches!(found, Err(FactsError::DuplicateKey { .. }));
        assert!(is_refused, "{body}");
    }
}

/// Where the last one counts, an empty one takes the cap away that the other has.
#[test]
fn what_a_cap_stands_in_may_be_there_once() {
    for (dialect, block, cap) in [
        (Dialect::Gemini, "generationConfig", "maxOutputTokens"),
        (Dialect::Gemini, "generation_config", "max_output_tokens"),
        (Dialect::BedrockConverse, "inferenceConfig", "maxTokens"),
        (Dialect::BedrockInvoke, "inferenceConfig", "max_new_tokens"),
        (Dialect::Ollama, "options", "num_predict"),
    ] {
        let once = format!(r#"{{"{block}":{{"{cap}":7}},"other":{{}},"other":{{}}}}"#);
        let facts = inspect(dialect, once.as_bytes()).unwrap();
        assert_eq!(facts.max_output, Some(7), "{once}");
        for other in ["{}", "null", "5"] {
            let twice = format!(r#"{{"{block}":{{"{cap}":7}},"{block}":{other}}}"#);
            let refused = Err(FactsError::DuplicateKey { key: block });
            assert_eq!(inspect(dialect, twice.as_bytes()), refused, "{twice}");
        }
    }
}
