//! Answers of OpenAI responses, embeddings and Gemini; calls of tools in all dialects.

use std::{collections::BTreeSet, fs, path::Path};

use super::*;

/// A payload of that provider as it was recorded or documented.
fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/wire")
        .join(name);
    fs::read_to_string(path).unwrap()
}

fn events(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok())
        .collect()
}

/// The paths of all values in a JSON text, lists left out of them.
fn paths(value: &Value, path: &str, to: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                paths(value, &format!("{path}.{name}"), to);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| paths(value, path, to)),
        _ => {
            to.insert(path.to_owned());
        }
    }
}

/// That all fields of an answer are fields of the provider's.
fn assert_known(answer: &Value, sample: &Value) {
    let (mut ours, mut theirs) = (BTreeSet::new(), BTreeSet::new());
    paths(answer, "", &mut ours);
    paths(sample, "", &mut theirs);
    let unknown: Vec<_> = ours.difference(&theirs).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

fn response() -> Call {
    Call {
        path: "/v1/responses",
        headers: Vec::new(),
        body: json!({"model": "gpt", "input": "word".repeat(10), "max_output_tokens": 100}),
    }
}

fn content(path: &'static str) -> Call {
    let contents = json!([{"role": "user", "parts": [{"text": "word".repeat(10)}]}]);
    Call {
        path,
        headers: Vec::new(),
        body: json!({"contents": contents, "generationConfig": {"maxOutputTokens": 100}}),
    }
}

const WHOLE: &str = "/v1beta/models/gem:generateContent";
const EVENTS: &str = "/v1beta/models/gem:streamGenerateContent?alt=sse";
const LIST: &str = "/v1beta/models/gem:streamGenerateContent";

#[tokio::test(start_paused = true)]
async fn answers_a_response_with_fields_of_a_response() {
    let body = send(&limited([]), &response()).await.json();
    assert_known(
        &body,
        &serde_json::from_str(&sample("openai-responses.json")).unwrap(),
    );
    assert_eq!(
        (&body["status"], &body["model"]),
        (&json!("completed"), &json!("gpt"))
    );
    assert_eq!(body["usage"]["input_tokens"], 10);
    assert_eq!(body["usage"]["output_tokens"], 10);
    let text = body["output"][0]["content"][0]["text"].as_str().unwrap();
    assert_eq!(text.len(), 10 * 4);
}

#[tokio::test(start_paused = true)]
async fn streams_a_response_in_the_events_of_one() {
    let simulator = started(SimConfig {
        chunks: 2,
        ..SimConfig::default()
    });
    let reply = send(&simulator, &response().stream()).await;
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    let (ours, theirs) = (
        reply.events(),
        events(&sample("openai-responses-stream.sse")),
    );
    let kinds = |events: &[Value]| -> Vec<String> {
        let kinds = events
            .iter()
            .map(|event| event["type"].as_str().unwrap().to_owned());
        // The recording has none of this kind, which is documented.
        kinds
            .filter(|kind| kind != "response.content_part.done")
            .collect()
    };
    assert_eq!(kinds(&ours), kinds(&theirs));
    for (number, event) in ours.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
        let Some(like) = theirs.iter().find(|like| like["type"] == event["type"]) else {
            continue;
        };
        assert_known(event, like);
    }
    let deltas: String = ours
        .iter()
        .filter_map(|event| event["delta"].as_str())
        .collect();
    let last = &ours.last().unwrap()["response"];
    assert_eq!(last["output"][0]["content"][0]["text"], deltas);
    assert_eq!(last["usage"]["output_tokens"], 10);
    let names = reply
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("event: "));
    assert!(names.eq(ours.iter().map(|event| event["type"].as_str().unwrap())));
}

#[tokio::test(start_paused = true)]
async fn says_that_a_response_is_incomplete_where_the_output_fills_its_cap() {
    let simulator = started(SimConfig {
        output_share: 1.0,
        ..SimConfig::default()
    });
    let whole = send(&simulator, &response()).await.json();
    assert_eq!(whole["status"], "incomplete");
    assert_eq!(whole["incomplete_details"]["reason"], "max_output_tokens");
    let stream = send(&simulator, &response().stream()).await.events();
    assert_eq!(stream.last().unwrap()["type"], "response.incomplete");
    let content = send(&simulator, &content(WHOLE)).await.json();
    assert_eq!(content["candidates"][0]["finishReason"], "MAX_TOKENS");
}

#[tokio::test(start_paused = true)]
async fn answers_content_whole_and_in_both_forms_of_a_stream() {
    let simulator = started(SimConfig {
        chunks: 3,
        ..SimConfig::default()
    });
    let whole = send(&simulator, &content(WHOLE)).await.json();
    assert_known(
        &whole,
        &serde_json::from_str(&sample("gemini-generate.json")).unwrap(),
    );
    assert_eq!(whole["modelVersion"], "gem");
    let events = send(&simulator, &content(EVENTS)).await;
    assert!(events.text.ends_with("}\r\n\r\n"));
    let list = send(&simulator, &content(LIST)).await;
    assert_eq!(list.header("content-type"), Some("application/json"));
    let pieces = events.events();
    let list: Vec<Value> = serde_json::from_str(&list.text).unwrap();
    for pieces in [pieces, list] {
        assert_eq!(pieces.len(), 4);
        let texts = pieces.iter().map(|piece| {
            piece["candidates"][0]["content"]["parts"][0]["text"]
                .as_str()
                .unwrap()
        });
        let told = &whole["candidates"][0]["content"]["parts"][0]["text"];
        assert_eq!(texts.collect::<String>(), told.as_str().unwrap());
        let so_far = pieces
            .iter()
            .map(|piece| &piece["usageMetadata"]["candidatesTokenCount"]);
        assert_eq!(so_far.collect::<Vec<_>>(), [3, 6, 10, 10]);
        assert_eq!(pieces[3]["usageMetadata"], whole["usageMetadata"]);
        assert_eq!(pieces[3]["candidates"][0]["finishReason"], "STOP");
        assert_eq!(pieces[2]["candidates"][0].get("finishReason"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn refuses_content_as_google_does() {
    let simulator = limited([SimLimit::requests(1, MINUTE)]);
    assert_eq!(status(&simulator, &content(WHOLE)).await, 200);
    pass(ms(500)).await;
    let refused = send(&simulator, &content(EVENTS)).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), None);
    let body = refused.json();
    let mut sample: Value = serde_json::from_str(&sample("gemini-429.json")).unwrap();
    assert_known(&body, &sample);
    assert_eq!(body["error"]["status"], sample["error"]["status"].take());
    assert_eq!(body["error"]["details"][1]["retryDelay"], "59.500000000s");
    let over = send(&limited([SimLimit::tokens(5, MINUTE)]), &content(WHOLE)).await;
    assert_eq!(over.json()["error"]["details"].as_array().unwrap().len(), 1);
    let fault = send(&limited([]), &content(WHOLE).fault("status=503;code=BUSY")).await;
    assert_eq!(fault.json()["error"]["details"][0]["reason"], "BUSY");
    let lost = Call {
        path: "/v1beta/models/gem:meditate",
        ..content(WHOLE)
    };
    let lost = send(&simulator, &lost).await.json();
    assert_eq!(lost["error"]["status"], "NOT_FOUND");
}

/// A tool of this dialect, which a call of it gets with its tools.
fn with_tool(call: Call) -> Call {
    let schema = json!({"type": "object", "required": ["city", "days"], "properties": {
        "city": {"type": "string", "enum": ["Qaanaaq"]}, "days": {"type": "integer", "minimum": 2}}});
    let tools = match call.path {
        "/v1/chat/completions" => json!([{"type": "function", "function":
            {"name": "look", "parameters": schema}}]),
        "/v1/messages" => json!([{"name": "look", "input_schema": schema}]),
        "/v1/responses" => json!([{"type": "function", "name": "look", "parameters": schema}]),
        _ => json!([{"functionDeclarations": [{"name": "look", "parameters": schema}]}]),
    };
    call.with("tools", tools)
}

/// What is joined of the texts at this place of all events.
fn joined(events: &[Value], pointer: &str) -> String {
    let texts = events
        .iter()
        .filter_map(|event| event.pointer(pointer)?.as_str());
    texts.collect()
}

#[tokio::test(start_paused = true)]
async fn calls_the_tool_with_what_it_requires() {
    let simulator = limited([]);
    let expected = json!({"city": "Qaanaaq", "days": 2});
    let arguments =
        |text: &Value| -> Value { serde_json::from_str(text.as_str().unwrap()).unwrap() };

    let body = send(&simulator, &with_tool(chat())).await.json();
    let choice = &body["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(
        (&call["type"], &call["function"]["name"]),
        (&json!("function"), &json!("look"))
    );
    assert_eq!(arguments(&call["function"]["arguments"]), expected);
    assert_eq!(choice["message"]["content"], Value::Null);

    let body = send(&simulator, &with_tool(message())).await.json();
    assert_eq!(body["stop_reason"], "tool_use");
    let block = &body["content"][0];
    assert_eq!(
        (&block["type"], &block["name"]),
        (&json!("tool_use"), &json!("look"))
    );
    assert_eq!(block["input"], expected);

    let body = send(&simulator, &with_tool(response())).await.json();
    let item = &body["output"][0];
    assert_eq!(
        (&item["type"], &item["name"]),
        (&json!("function_call"), &json!("look"))
    );
    assert_eq!(arguments(&item["arguments"]), expected);

    let body = send(&simulator, &with_tool(content(WHOLE))).await.json();
    let call = &body["candidates"][0]["content"]["parts"][0]["functionCall"];
    assert_eq!(call, &json!({"name": "look", "args": expected}));
    // The four bytes of the name, and the 27 of the arguments.
    assert_eq!(simulator.ledger().billed().output, 4 * 8);
}

#[tokio::test(start_paused = true)]
async fn streams_the_arguments_of_a_tool_in_pieces() {
    let simulator = limited([]);
    let expected = json!({"city": "Qaanaaq", "days": 2});
    for (call, pointer, pieces) in [
        (
            chat(),
            "/choices/0/delta/tool_calls/0/function/arguments",
            8,
        ),
        (message(), "/delta/partial_json", 8),
        (response(), "/delta", 8),
    ] {
        let events = send(&simulator, &with_tool(call).stream()).await.events();
        let arguments: Value = serde_json::from_str(&joined(&events, pointer)).unwrap();
        assert_eq!(arguments, expected, "{pointer}");
        let told = events
            .iter()
            .filter(|event| event.pointer(pointer).is_some());
        assert_eq!(told.count(), pieces, "{pointer}");
        let names = events
            .iter()
            .filter(|event| event.to_string().contains("look"));
        assert!(names.count() > 0, "{pointer}");
    }
    let events = send(&simulator, &with_tool(response()).stream())
        .await
        .events();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    let last = &events.last().unwrap()["response"]["output"][0];
    assert_eq!(last["arguments"], joined(&events, "/delta"));
    // Google's come in one piece.
    let events = send(&simulator, &with_tool(content(EVENTS))).await.events();
    let call = "/candidates/0/content/parts/0/functionCall/args";
    let told: Vec<_> = events
        .iter()
        .filter_map(|event| event.pointer(call))
        .collect();
    assert_eq!(told, [&expected]);
}

#[tokio::test(start_paused = true)]
async fn an_error_stands_where_it_is_told_to_in_a_stream() {
    let simulator = limited([]);
    for call in [response().stream(), content(EVENTS), content(LIST)] {
        let mut lengths = Vec::new();
        for place in ["first", "opened", "late"] {
            let fault = format!("error-event={place}");
            let reply = send(&simulator, &call.clone().fault(&fault)).await;
            assert!(reply.whole);
            assert!(reply.text.contains(r#""error":{"#), "{}", reply.text);
            assert!(!reply.text.contains("STOP") && !reply.text.contains("completed\""));
            if call.path == LIST {
                let list: Vec<Value> = serde_json::from_str(&reply.text).unwrap();
                assert!(list.last().unwrap()["error"]["code"] == 503);
            }
            lengths.push(reply.text.len());
        }
        assert!(
            lengths[0] <= lengths[1] && lengths[1] < lengths[2],
            "{lengths:?}"
        );
        let numbers = send(&simulator, &call.fault("error-event=late"))
            .await
            .events();
        let numbers = numbers
            .iter()
            .filter_map(|event| event["sequence_number"].as_u64());
        assert!(numbers.enumerate().all(|(at, number)| at as u64 == number));
    }
    let billed = simulator.ledger();
    assert!(
        billed
            .entries()
            .iter()
            .all(|attempt| attempt.billed.output < 10)
    );
}

fn embeddings(input: &Value) -> Call {
    Call {
        path: "/v1/embeddings",
        headers: Vec::new(),
        body: json!({"model": "vec", "input": input}),
    }
}

#[tokio::test(start_paused = true)]
async fn embeds_each_input_in_as_many_numbers_as_asked_for() {
    let simulator = limited([SimLimit::tokens(100, MINUTE)]);
    let body = send(&simulator, &embeddings(&json!(["one", "two", "one"])))
        .await
        .json();
    assert_known(
        &body,
        &serde_json::from_str(&sample("openai-embeddings.json")).unwrap(),
    );
    let data = body["data"].as_array().unwrap();
    assert_eq!(data.len(), 3);
    assert_eq!(data[0]["embedding"], data[2]["embedding"]);
    assert_ne!(data[0]["embedding"], data[1]["embedding"]);
    assert_eq!(
        body["usage"],
        json!({"prompt_tokens": 3, "total_tokens": 3})
    );
    let short = embeddings(&json!("one")).with("dimensions", 3);
    let short = send(&simulator, &short).await.json();
    assert_eq!(short["data"][0]["embedding"].as_array().unwrap().len(), 3);
    let ledger = simulator.ledger();
    let attempt = &ledger.entries()[0];
    assert_eq!(
        (attempt.charged, attempt.billed.input, attempt.billed.output),
        (3, 3, 0)
    );
    // Its answer holds an attempt open as any other does, and a limit refuses it likewise.
    let many = send(&simulator, &embeddings(&json!(vec![7; 200]))).await;
    assert_eq!(many.status, 429);
}

#[tokio::test(start_paused = true)]
async fn embeds_in_base64_where_that_is_asked_for() {
    use base64::Engine as _;

    let simulator = limited([]);
    let plain = send(&simulator, &embeddings(&json!("text"))).await.json();
    let encoded = embeddings(&json!("text")).with("encoding_format", "base64");
    let encoded = send(&simulator, &encoded).await.json();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(encoded["data"][0]["embedding"].as_str().unwrap())
        .unwrap();
    let numbers = bytes
        .chunks(4)
        .map(|four| f32::from_le_bytes(four.try_into().unwrap()));
    let numbers: Vec<f32> = numbers.collect();
    let expected: Vec<f32> = serde_json::from_value(plain["data"][0]["embedding"].clone()).unwrap();
    assert_eq!(numbers, expected);
}

#[tokio::test(start_paused = true)]
async fn embeds_content_one_by_one_and_many_at_once() {
    let simulator = limited([]);
    let part = json!({"parts": [{"text": "eight888"}]});
    let one = Call {
        path: "/v1beta/models/vec:embedContent",
        headers: Vec::new(),
        body: json!({"content": part, "outputDimensionality": 2}),
    };
    let many = Call {
        path: "/v1beta/models/vec:batchEmbedContents",
        headers: Vec::new(),
        body: json!({"requests": [{"content": part}, {"content": part}]}),
    };
    let one = send(&simulator, &one).await.json();
    assert_eq!(one["embedding"]["values"].as_array().unwrap().len(), 2);
    let many = send(&simulator, &many).await.json();
    assert_eq!(many["embeddings"].as_array().unwrap().len(), 2);
    assert_eq!(many["usageMetadata"]["promptTokenCount"], 4);
    let ledger = simulator.ledger();
    assert_eq!(&*ledger.entries()[1].model, "vec");
    assert_eq!(ledger.billed().input, 2 + 4);
}

#[tokio::test(start_paused = true)]
async fn counts_tokens_for_nothing() {
    let simulator = limited([SimLimit::requests(0, MINUTE)]);
    let count = Call {
        path: "/v1beta/models/gem:countTokens",
        ..content(WHOLE)
    };
    assert_eq!(
        send(&simulator, &count).await.json(),
        json!({"totalTokens": 10})
    );
    let count = Call {
        path: "/v1/messages/count_tokens",
        ..chat()
    };
    assert_eq!(
        send(&simulator, &count).await.json(),
        json!({"input_tokens": 10})
    );
    let wrong = send(&simulator, &count.with("messages", 5)).await;
    assert_eq!(wrong.status, 400);
    assert_eq!(wrong.json()["error"]["type"], "invalid_request_error");
    assert_eq!(simulator.ledger().attempts(), 0);
}
