use super::*;

fn openai(body: &str) -> Result<RequestFacts, FactsError> {
    inspect(Dialect::OpenAiChat, body.as_bytes())
}

fn anthropic(body: &str) -> Result<RequestFacts, FactsError> {
    inspect(Dialect::AnthropicMessages, body.as_bytes())
}

#[test]
fn reads_the_facts_of_an_openai_request() {
    let facts = openai(
        r#"{"n":3,"stream":true,"model":"gpt-5.5","max_completion_tokens":100,"max_tokens":7,
        "temperature":1e999,"metadata":{"model":"other","text":"not input"},
        "messages":[{"role":"user","content":[{"type":"text","text":"12345678"}]}],
        "tools":[{"type":"function","function":{"name":"f","description":"1234"}}]}"#,
    )
    .unwrap();
    let text = "user".len() + "text".len() + 8 + "function".len() + 1 + 4;
    let expected = RequestFacts {
        model: Some("gpt-5.5".into()),
        max_output: Some(100),
        stream: true,
        choices: 3,
        input_estimate: tokens(text as u64),
    };
    assert_eq!(facts, expected);
}

#[test]
fn reads_the_facts_of_an_anthropic_request() {
    let facts = anthropic(
        r#"{"model":"claude-opus-5-5","max_tokens":64,"system":"abcd","n":9,
        "messages":[{"role":"user","content":"efgh"}],"metadata":{"user_id":"not input"}}"#,
    )
    .unwrap();
    let expected = RequestFacts {
        model: Some("claude-opus-5-5".into()),
        max_output: Some(64),
        input_estimate: 3,
        ..RequestFacts::default()
    };
    assert_eq!(facts, expected);
}

#[test]
fn the_newer_cap_wins_in_any_order() {
    for body in [
        r#"{"max_tokens":1,"max_completion_tokens":2}"#,
        r#"{"max_completion_tokens":2,"max_tokens":1}"#,
    ] {
        assert_eq!(openai(body).unwrap().max_output, Some(2));
    }
    let body = r#"{"max_completion_tokens":null,"max_tokens":1}"#;
    assert_eq!(openai(body).unwrap().max_output, Some(1));
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

#[test]
fn what_is_not_a_json_object_is_malformed() {
    for body in [
        "{",
        "[]",
        r#"[{"model":"a"}]"#,
        "5",
        "null",
        "a=b",
        " ",
        "{} {}",
        "\u{feff}{}",
    ] {
        assert_eq!(openai(body), Err(FactsError::Malformed), "{body}");
    }
    assert_eq!(
        inspect(Dialect::OpenAiChat, b"{\"model\":\"\xff\"}"),
        Err(FactsError::Malformed)
    );
    assert_eq!(openai(" \n{} "), Ok(RequestFacts::default()));
}

#[test]
fn an_empty_body_has_no_facts() {
    assert_eq!(openai(""), Ok(RequestFacts::default()));
}

#[test]
fn a_generic_body_is_not_read() {
    for body in [
        "{",
        r#"{"model":"a","model":"b"}"#,
        r#"{"messages":"text"}"#,
    ] {
        assert_eq!(
            inspect(Dialect::Generic, body.as_bytes()),
            Ok(RequestFacts::default())
        );
    }
}

#[test]
fn facts_of_the_wrong_type_are_absent() {
    let body = r#"{"model":5,"max_tokens":-1,"stream":"yes","n":0,"messages":{"a":1}}"#;
    assert_eq!(openai(body), Ok(RequestFacts::default()));
}

#[test]
fn text_is_counted_in_bytes_and_rounded_up() {
    assert_eq!(
        openai(r#"{"messages":["üü","x"]}"#).unwrap().input_estimate,
        2
    );
    assert_eq!(
        openai(r#"{"messages":["\u00fc\n"]}"#)
            .unwrap()
            .input_estimate,
        1
    );
    assert_eq!(openai(r#"{"messages":[""]}"#).unwrap().input_estimate, 0);
}

#[test]
fn payloads_cost_a_flat_amount() {
    let base64 = "QUJD".repeat(10_000);
    for message in [
        format!(r#"{{"image_url":{{"url":"data:image/png;base64,{base64}"}}}}"#),
        format!(r#"{{"input_audio":{{"data":"{base64}"}}}}"#),
        format!(r#"{{"file":{{"file_data":"{base64}"}}}}"#),
        format!(r#"{{"source":{{"data":"{base64}"}}}}"#),
    ] {
        let facts = openai(&format!(r#"{{"messages":[{message}]}}"#)).unwrap();
        assert_eq!(facts.input_estimate, PAYLOAD_TOKENS, "{:.60}", message);
    }
}

#[test]
fn text_in_a_place_for_payloads_is_text() {
    let text = "Some words. ".repeat(1_000);
    for message in [
        format!(r#"{{"source":{{"data":"{text}"}}}}"#),
        format!(r#"{{"content":"data: {text}"}}"#),
        format!(r#"{{"input":{{"data":"{text}"}}}}"#),
    ] {
        let facts = openai(&format!(r#"{{"messages":[{message}]}}"#)).unwrap();
        assert!(facts.input_estimate >= 3_000, "{:.60}", message);
    }
    let no_place = format!(
        r#"{{"messages":[{{"content":"{}"}}]}}"#,
        "QUJD".repeat(2_000)
    );
    assert_eq!(openai(&no_place).unwrap().input_estimate, 2_000);
}
