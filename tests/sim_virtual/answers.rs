//! The answers: their fields are those of recorded ones.

use super::*;

/// The paths of all fields of a JSON value, in their order; of a list, those of its first element.
fn fields(value: &Value) -> Vec<String> {
    fn walk(value: &Value, path: &str, to: &mut Vec<String>) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (name, value) in fields {
                    walk(value, &format!("{path}.{name}"), to);
                }
            }
            Value::Array(list) if !list.is_empty() => walk(&list[0], path, to),
            _ => to.push(path.trim_start_matches('.').to_owned()),
        }
    }
    let mut paths = Vec::new();
    walk(value, "", &mut paths);
    paths.sort();
    paths
}

fn sorted(text: &str) -> Vec<String> {
    let mut paths: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    paths.sort();
    paths
}

const OPENAI_USAGE: &str = "usage.prompt_tokens usage.completion_tokens usage.total_tokens
    usage.prompt_tokens_details.cached_tokens usage.prompt_tokens_details.audio_tokens
    usage.completion_tokens_details.reasoning_tokens
    usage.completion_tokens_details.audio_tokens
    usage.completion_tokens_details.accepted_prediction_tokens
    usage.completion_tokens_details.rejected_prediction_tokens";
const OPENAI_CHUNK: &str = "id object created model service_tier system_fingerprint";
const ANTHROPIC_USAGE: &str = "usage.input_tokens usage.cache_creation_input_tokens
    usage.cache_read_input_tokens usage.cache_creation.ephemeral_5m_input_tokens
    usage.cache_creation.ephemeral_1h_input_tokens usage.output_tokens usage.service_tier
    usage.inference_geo";

#[tokio::test(start_paused = true)]
async fn answers_a_chat_with_the_fields_of_a_completion() {
    let reply = send(&limited([]), &chat().text(25).cap(200)).await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let body = reply.json();
    let shape = format!(
        "{OPENAI_CHUNK} choices.index choices.message.role choices.message.content
        choices.message.refusal choices.message.annotations choices.logprobs
        choices.finish_reason {OPENAI_USAGE}"
    );
    assert_eq!(fields(&body), sorted(&shape));
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["model"], "gpt");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["usage"]["prompt_tokens"], 25);
    assert_eq!(body["usage"]["completion_tokens"], 20);
    assert_eq!(body["usage"]["total_tokens"], 45);
    let text = body["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(text.len(), 20 * 4);
}

#[tokio::test(start_paused = true)]
async fn answers_a_message_with_the_fields_of_a_message() {
    let reply = send(&limited([]), &message().text(25).cap(200)).await;
    let body = reply.json();
    let shape = format!(
        "model id type role content.type content.text stop_reason stop_sequence {ANTHROPIC_USAGE}"
    );
    assert_eq!(fields(&body), sorted(&shape));
    assert_eq!(body["stop_reason"], "end_turn");
    assert_eq!(body["usage"]["input_tokens"], 25);
    assert_eq!(body["usage"]["output_tokens"], 20);
}

#[tokio::test(start_paused = true)]
async fn streams_a_chat_with_the_usage_last_where_it_was_asked_for() {
    let reply = send(&limited([]), &chat().cap(200).stream().usage()).await;
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    assert!(reply.text.ends_with("\n\ndata: [DONE]\n\n"));
    let events = reply.events();
    let (usage, chunks) = events.split_last().unwrap();
    // The role, 8 of content, the reason.
    assert_eq!(chunks.len(), 10);
    let part = |delta: &str| {
        sorted(&format!(
            "{OPENAI_CHUNK} choices.index {delta} choices.logprobs choices.finish_reason usage"
        ))
    };
    let opening = "choices.delta.role choices.delta.content choices.delta.refusal";
    assert_eq!(fields(&chunks[0]), part(opening));
    assert_eq!(chunks[0]["choices"][0]["delta"]["content"], "");
    assert_eq!(fields(&chunks[1]), part("choices.delta.content"));
    assert_eq!(fields(&chunks[9]), part("choices.delta"));
    assert_eq!(chunks[9]["choices"][0]["finish_reason"], "stop");
    assert!(chunks.iter().all(|chunk| chunk["usage"].is_null()));
    assert_eq!(
        fields(usage),
        sorted(&format!("{OPENAI_CHUNK} choices {OPENAI_USAGE}"))
    );
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["completion_tokens"], 20);
}

#[tokio::test(start_paused = true)]
async fn streams_a_chat_without_a_word_of_usage_where_it_was_not_asked_for() {
    let reply = send(&limited([]), &chat().cap(200).stream()).await;
    assert!(!reply.text.contains("usage"));
    assert!(reply.text.ends_with("data: [DONE]\n\n"));
    assert_eq!(reply.events().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn streams_a_message_with_cumulative_usage_at_both_ends() {
    let reply = send(&limited([]), &message().cap(200).stream()).await;
    let names: Vec<_> = reply
        .text
        .lines()
        .filter_map(|l| l.strip_prefix("event: "))
        .collect();
    let events = reply.events();
    let kinds: Vec<_> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(names, kinds);
    assert_eq!(kinds[..3], ["message_start", "content_block_start", "ping"]);
    assert!(
        kinds[3..11]
            .iter()
            .all(|kind| *kind == "content_block_delta")
    );
    assert_eq!(
        kinds[11..],
        ["content_block_stop", "message_delta", "message_stop"]
    );
    let shape = format!("model id type role content stop_reason stop_sequence {ANTHROPIC_USAGE}");
    assert_eq!(fields(&events[0]["message"]), sorted(&shape));
    assert_eq!(events[0]["message"]["usage"]["output_tokens"], 1);
    assert_eq!(
        events[12],
        json!({
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {
                "input_tokens": 10, "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0, "output_tokens": 20
            }
        })
    );
}

#[tokio::test(start_paused = true)]
async fn sends_all_tokens_of_an_answer_in_no_more_chunks_than_told() {
    for (chunks, cap, seen) in [(3, 110, 3), (8, 30, 3), (0, 110, 1)] {
        let simulator = started(SimConfig {
            chunks,
            ..SimConfig::default()
        });
        let reply = send(&simulator, &message().cap(cap).stream()).await;
        let events = reply.events();
        let texts: Vec<_> = events
            .iter()
            .filter_map(|e| e["delta"]["text"].as_str())
            .collect();
        assert_eq!(texts.len(), seen);
        assert_eq!(texts.concat().len() as u64, cap / 10 * 4);
    }
}

#[tokio::test(start_paused = true)]
async fn says_that_the_cap_was_reached_where_the_output_fills_it() {
    let simulator = started(SimConfig {
        output_share: 1.0,
        ..SimConfig::default()
    });
    let chat = send(&simulator, &chat().cap(5)).await.json();
    assert_eq!(chat["choices"][0]["finish_reason"], "length");
    assert_eq!(chat["usage"]["completion_tokens"], 5);
    let message = send(&simulator, &message().cap(5)).await.json();
    assert_eq!(message["stop_reason"], "max_tokens");
}

#[tokio::test(start_paused = true)]
async fn generates_nothing_under_a_cap_of_zero_and_something_under_one() {
    let simulator = limited([]);
    let none = send(&simulator, &message().cap(0).stream()).await;
    assert!(!none.text.contains("content_block_delta"));
    assert_eq!(simulator.ledger().billed().output, 0);
    let one = send(&simulator, &message().cap(1).stream()).await;
    assert!(one.text.contains("content_block_delta"));
    assert_eq!(simulator.ledger().billed().output, 1);
}

#[tokio::test(start_paused = true)]
async fn quotes_the_name_of_the_model() {
    let reply = send(&limited([]), &chat().model("a\"b").stream()).await;
    assert_eq!(reply.events()[0]["model"], "a\"b");
}

#[tokio::test(start_paused = true)]
async fn waits_for_the_latency_and_before_each_chunk() {
    let simulator = started(SimConfig {
        latency: ms(300),
        chunk_delay: ms(50),
        chunks: 4,
        ..SimConfig::default()
    });
    let open = begin(&simulator, &chat().stream()).await.unwrap();
    assert_eq!(simulator.now(), ms(300));
    read(open).await;
    assert_eq!(simulator.now(), ms(500));
    send(&simulator, &chat()).await;
    assert_eq!(simulator.now(), ms(800));
}

#[tokio::test(start_paused = true)]
async fn adds_jitter_up_to_its_bound_and_the_same_for_the_same_seed() {
    let run = |seed| async move {
        let simulator = started(SimConfig {
            latency: ms(100),
            jitter: ms(50),
            seed,
            ..SimConfig::default()
        });
        for _ in 0..20 {
            send(&simulator, &chat()).await;
        }
        let ledger = simulator.ledger();
        let took = ledger
            .entries()
            .iter()
            .map(|a| a.finish.unwrap() - a.arrival);
        took.collect::<Vec<_>>()
    };
    let (one, same, other) = (run(1).await, run(1).await, run(2).await);
    assert_eq!(one, same);
    assert_ne!(one, other);
    // Timers are rounded up to the millisecond.
    assert!(
        one.iter().all(|took| (ms(100)..=ms(151)).contains(took)),
        "{one:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn refuses_without_the_latency() {
    let simulator = started(SimConfig {
        limits: vec![SimLimit::requests(0, MINUTE)],
        latency: ms(300),
        ..SimConfig::default()
    });
    assert_eq!(status(&simulator, &chat()).await, 429);
    assert_eq!(simulator.now(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn lists_the_models_in_each_dialect() {
    let simulator = limited([]);
    let list = |dialect: Option<&'static str>| {
        let mut request = Request::get("/v1/models");
        if let Some(version) = dialect {
            request = request.header("anthropic-version", version);
        }
        let request = request.body(Full::new(Bytes::new())).unwrap();
        let answer = simulator.service().call(request);
        async move { read(answer.await.unwrap()).await.json() }
    };
    let openai = list(None).await;
    assert_eq!(
        fields(&openai),
        sorted("object data.id data.object data.created data.owned_by")
    );
    assert_eq!(openai["data"][0]["id"], "sim-1");
    let anthropic = list(Some("2023-06-01")).await;
    let shape = "data.type data.id data.display_name data.created_at has_more first_id last_id";
    assert_eq!(fields(&anthropic), sorted(shape));
    let request = Request::get("/v1beta/models").body(Full::new(Bytes::new()));
    let answer = simulator.service().call(request.unwrap()).await.unwrap();
    let gemini = read(answer).await.json();
    assert_eq!(gemini["models"][0]["name"], "models/sim-1");
    assert_eq!(simulator.ledger().attempts(), 0);
}

#[tokio::test(start_paused = true)]
async fn answers_404_in_the_dialect_of_the_path() {
    let simulator = limited([]);
    let openai = send(
        &simulator,
        &Call {
            path: "/v1/nothing",
            ..chat()
        },
    )
    .await;
    assert_eq!(openai.status, 404);
    assert_eq!(
        fields(&openai.json()),
        sorted("error.message error.type error.param error.code")
    );
    let anthropic = send(
        &simulator,
        &Call {
            path: "/v1/messages/nothing",
            ..chat()
        },
    )
    .await;
    assert_eq!(anthropic.status, 404);
    assert_eq!(anthropic.json()["error"]["type"], "not_found_error");
    assert_eq!(simulator.ledger().attempts(), 0);
}

#[tokio::test(start_paused = true)]
async fn answers_400_to_a_malformed_request_and_charges_nothing() {
    let simulator = limited([SimLimit::requests(1, MINUTE)]);
    let openai = send(&simulator, &chat().with("messages", 5)).await;
    assert_eq!(openai.status, 400);
    assert_eq!(openai.json()["error"]["type"], "invalid_request_error");
    let anthropic = send(
        &simulator,
        &Call {
            body: chat().body,
            ..message()
        },
    )
    .await;
    assert_eq!(anthropic.status, 400);
    assert_eq!(
        anthropic.json()["error"]["message"],
        "max_tokens: Field required"
    );
    let fault = send(&simulator, &chat().fault("meteor")).await;
    assert_eq!(fault.status, 400);
    assert!(fault.text.contains("meteor"), "{}", fault.text);
    assert_eq!(status(&simulator, &chat()).await, 200);
    let ledger = simulator.ledger();
    assert_eq!(
        (ledger.attempts(), ledger.ok(), ledger.refused()),
        (4, 1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn tokens_are_as_long_as_they_are_told_to_be() {
    for (bytes, length) in [(1, 1), (3, 3), (9, 9), (0, 1)] {
        let simulator = started(SimConfig {
            token_bytes: bytes,
            output_share: 1.0,
            ..SimConfig::default()
        });
        for call in [chat().cap(50), message().cap(50)] {
            let whole = send(&simulator, &call).await.json();
            let text = whole["content"][0]["text"].as_str();
            let text = text.or(whole["choices"][0]["message"]["content"].as_str());
            assert_eq!(text.unwrap().len(), 50 * length);
            let reply = send(&simulator, &call.stream()).await;
            let deltas = reply.events();
            let text = deltas.iter().filter_map(|event| {
                let content = event["choices"][0]["delta"]["content"].as_str();
                content.or(event["delta"]["text"].as_str())
            });
            assert_eq!(text.map(str::len).sum::<usize>(), 50 * length);
        }
    }
}
