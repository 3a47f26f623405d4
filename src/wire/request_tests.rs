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
        model_in_url: false,
        background: false,
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

/// What an upstream may read as many choices is never taken for one.
#[test]
fn a_number_of_choices_that_is_no_whole_number_is_malformed() {
    for n in ["\"five\"", "\"-5\"", "5.5", "5e0", "true", "-1"] {
        let body = format!(r#"{{"n":{n}}}"#);
        assert_eq!(openai(&body), Err(FactsError::Malformed), "{body}");
    }
    for (n, choices) in [("5", 5), ("\"5\"", 5), ("5.0", 5), ("null", 1), ("0", 1)] {
        let facts = openai(&format!(r#"{{"n":{n}}}"#)).unwrap();
        assert_eq!(facts.choices, choices, "{n}");
    }
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

#[test]
fn facts_of_other_dialects() {
    for (dialect, body, max_output, choices, input_estimate) in [
        (
            Dialect::OpenAiResponses,
            r#"{"model":"m","max_output_tokens":9,"input":"12345678","instructions":"1234",
            "previous_response_id":"not input"}"#,
            Some(9),
            1,
            3,
        ),
        (
            Dialect::OpenAiChat,
            r#"{"model":"m","max_tokens":9,"prompt":["12345678",[1,2,3]],"n":2,"best_of":4}"#,
            Some(9),
            4,
            5,
        ),
        (
            Dialect::Gemini,
            r#"{"contents":[{"parts":[{"text":"12345678"}]}],"systemInstruction":{"parts":[{"text":"1234"}]},
            "generationConfig":{"maxOutputTokens":9,"candidateCount":2},"safetySettings":[{"category":"x"}]}"#,
            Some(9),
            2,
            3,
        ),
        (
            Dialect::Gemini,
            r#"{"contents":[],"generation_config":{"max_output_tokens":9,"candidate_count":2}}"#,
            Some(9),
            2,
            0,
        ),
        (
            Dialect::BedrockConverse,
            r#"{"messages":[{"content":[{"text":"12345678"}]}],"system":[{"text":"1234"}],
            "inferenceConfig":{"maxTokens":9}}"#,
            Some(9),
            1,
            3,
        ),
        (
            Dialect::BedrockInvoke,
            r#"{"anthropic_version":"x","max_tokens":9,"messages":[{"content":"12345678"}]}"#,
            Some(9),
            1,
            2,
        ),
        (
            Dialect::BedrockInvoke,
            r#"{"prompt":"12345678","max_gen_len":9}"#,
            Some(9),
            1,
            2,
        ),
        (
            Dialect::BedrockInvoke,
            r#"{"inputText":"12345678","textGenerationConfig":{"maxTokenCount":9}}"#,
            Some(9),
            1,
            2,
        ),
        (
            Dialect::CohereChat,
            r#"{"model":"m","max_tokens":9,"messages":[{"content":"12345678"}]}"#,
            Some(9),
            1,
            2,
        ),
        (
            Dialect::Ollama,
            r#"{"model":"m","options":{"num_predict":9},"messages":[{"content":"12345678"}]}"#,
            Some(9),
            1,
            2,
        ),
        (
            Dialect::Ollama,
            r#"{"model":"m","options":{"num_predict":-1},"prompt":"12345678"}"#,
            None,
            1,
            2,
        ),
    ] {
        let facts = inspect(dialect, body.as_bytes()).unwrap();
        assert_eq!(facts.max_output, max_output, "{body}");
        assert_eq!(facts.choices, choices, "{body}");
        assert_eq!(facts.input_estimate, input_estimate, "{body}");
    }
}

#[test]
fn embeddings_take_texts_or_tokens_and_write_nothing() {
    for (input, expected) in [
        (r#""12345678""#, 2),
        (r#"["1234","12345678"]"#, 3),
        ("[1,2,3]", 3),
        ("[[1,2,3],[4]]", 4),
        ("[1.5,-2,null]", 0),
    ] {
        let body = format!(r#"{{"model":"m","input":{input}}}"#);
        let facts = inspect(Dialect::OpenAiEmbeddings, body.as_bytes()).unwrap();
        assert_eq!(
            (facts.input_estimate, facts.max_output),
            (expected, Some(0)),
            "{input}"
        );
    }
    let numbers = openai(r#"{"messages":[1,2,3]}"#).unwrap();
    assert_eq!(
        numbers.input_estimate, 0,
        "but elsewhere a number is no token"
    );
    let rerank = br#"{"query":"1234","documents":["1234","1234"]}"#;
    let facts = inspect(Dialect::CohereEmbed, rerank).unwrap();
    assert_eq!((facts.input_estimate, facts.max_output), (3, Some(0)));
    let part = r#"{"parts":[{"text":"12345678"}]}"#;
    for (body, expected) in [
        (format!(r#"{{"content":{part}}}"#), 2),
        (
            format!(r#"{{"requests":[{{"content":{part}}},{{"content":{part}}}]}}"#),
            4,
        ),
    ] {
        let facts = inspect(Dialect::GeminiEmbed, body.as_bytes()).unwrap();
        let found = (facts.input_estimate, facts.max_output);
        assert_eq!(found, (expected, Some(0)), "{body}");
    }
}

#[test]
fn google_reads_keys_in_both_spellings_and_any_mix_of_them() {
    for (settings, found) in [
        (
            r#""generationConfig":{"max_output_tokens":7,"candidate_count":2}"#,
            (Some(7), 2),
        ),
        (
            r#""generation_config":{"maxOutputTokens":7,"candidateCount":2}"#,
            (Some(7), 2),
        ),
        (
            r#""generationConfig":{"max_output_tokens":7},"generation_config":{"max_output_tokens":5}"#,
            (Some(7), 1),
        ),
        (
            r#""generation_config":{"max_output_tokens":5,"maxOutputTokens":7,"candidate_count":null}"#,
            (Some(7), 1),
        ),
        (
            r#""generationConfig":{"response_schema":{"type":"OBJECT"}}"#,
            (None, 1),
        ),
    ] {
        let body = format!(r#"{{"contents":[],{settings}}}"#);
        let facts = inspect(Dialect::Gemini, body.as_bytes()).unwrap();
        assert_eq!((facts.max_output, facts.choices), found, "{settings}");
        let has_text = settings.contains("OBJECT");
        assert_eq!(facts.input_estimate > 0, has_text, "{settings}");
    }
}

#[test]
fn what_the_url_says() {
    let claude =
        "/v1/projects/p/locations/l/publishers/anthropic/models/claude-opus-5-5:streamRawPredict";
    let arn = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.claude/invoke-with-response-stream";
    for (dialect, path, model, stream) in [
        (
            Dialect::Gemini,
            "/v1beta/models/gemini-3.8-flash:generateContent",
            Some("gemini-3.8-flash"),
            false,
        ),
        (
            Dialect::Gemini,
            "/v1/projects/p/locations/l/publishers/google/models/gemini:streamGenerateContent",
            Some("gemini"),
            true,
        ),
        (
            Dialect::BedrockConverse,
            "/model/anthropic.claude-v1%3A0/converse-stream",
            Some("anthropic.claude-v1:0"),
            true,
        ),
        (
            Dialect::BedrockInvoke,
            arn,
            Some("arn:aws:bedrock:us-east-1:1:inference-profile/us.claude"),
            true,
        ),
        (
            Dialect::BedrockInvoke,
            "/model/arn:aws:bedrock:us-east-1:1:inference-profile/us.claude/invoke",
            Some("arn:aws:bedrock:us-east-1:1:inference-profile/us.claude"),
            false,
        ),
        (
            Dialect::OpenAiChat,
            "/openai/deployments/my%20gpt/chat/completions",
            Some("my gpt"),
            false,
        ),
        (
            Dialect::OpenAiChat,
            "/openai/v1/chat/completions",
            Some("in the body"),
            false,
        ),
        (
            Dialect::AnthropicMessages,
            claude,
            Some("claude-opus-5-5"),
            false,
        ),
        (Dialect::Ollama, "/api/chat", Some("in the body"), true),
    ] {
        assert_eq!(
            Dialect::detect(path, &http::HeaderMap::new()),
            dialect,
            "{path}"
        );
        let facts = inspect_call(dialect, path, br#"{"model":"in the body"}"#).unwrap();
        assert_eq!(facts.model.as_deref(), model, "{path}");
        assert_eq!(facts.stream, stream, "{path}");
    }
    let asked = br#"{"stream":true}"#;
    let path = "/v1beta/models/gemini:generateContent";
    assert!(!inspect_call(Dialect::Gemini, path, asked).unwrap().stream);
    assert!(
        inspect_call(Dialect::AnthropicMessages, claude, asked)
            .unwrap()
            .stream
    );
    let unasked = br#"{"stream":false}"#;
    assert!(
        !inspect_call(Dialect::Ollama, "/api/chat", unasked)
            .unwrap()
            .stream
    );
}

#[test]
fn payloads_of_other_dialects_cost_a_flat_amount() {
    let base64 = "QUJD".repeat(10_000);
    for (dialect, body) in [
        (
            Dialect::Gemini,
            format!(r#"{{"contents":[{{"parts":[{{"inlineData":{{"data":"{base64}"}}}}]}}]}}"#),
        ),
        (
            Dialect::BedrockConverse,
            format!(
                r#"{{"messages":[{{"content":[{{"image":{{"source":{{"bytes":"{base64}"}}}}}}]}}]}}"#
            ),
        ),
        (
            Dialect::Ollama,
            format!(r#"{{"messages":[{{"images":["{base64}"]}}]}}"#),
        ),
    ] {
        let facts = inspect(dialect, body.as_bytes()).unwrap();
        assert_eq!(facts.input_estimate, PAYLOAD_TOKENS, "{dialect:?}");
    }
}

#[test]
fn each_prompt_of_the_older_completions_is_answered_by_itself() {
    let choices = |path, body: &str| {
        let facts = inspect_call(Dialect::OpenAiChat, path, body.as_bytes());
        facts.unwrap().choices
    };
    for (body, expected) in [
        (r#"{"prompt":"a"}"#, 1),
        (r#"{"prompt":["a","b","c"]}"#, 3),
        (r#"{"prompt":["a","b"],"n":2,"best_of":5}"#, 10),
        (r#"{"prompt":[1,2,3]}"#, 1),
        (r#"{"prompt":[[1,2],[3]]}"#, 2),
        (r#"{"prompt":[],"n":4}"#, 4),
        ("{}", 1),
    ] {
        assert_eq!(choices("/v1/completions", body), expected, "{body}");
    }
    let chat = r#"{"prompt":["a","b","c"],"messages":[]}"#;
    assert_eq!(choices("/v1/chat/completions", chat), 1);
}
