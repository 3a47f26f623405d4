use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::usage::Usage;

const OPENAI: &str = r#"{"choices":[{"message":{"content":"123456789"}}],
    "usage":{"prompt_tokens":7,"completion_tokens":2}}"#;

fn meter(dialect: Dialect, status: u16, headers: &[(&'static str, &'static str)]) -> Meter {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_static(value));
    }
    Meter::new(dialect, StatusCode::from_u16(status).unwrap(), &map)
}

fn json() -> Meter {
    meter(
        Dialect::OpenAiChat,
        200,
        &[("content-type", "application/json")],
    )
}

fn sse(dialect: Dialect) -> Meter {
    meter(dialect, 200, &[("content-type", "text/event-stream")])
}

fn read_all(mut meter: Meter, body: &str) -> Reading {
    meter.push(body.as_bytes());
    meter.end();
    meter.reading()
}

#[test]
fn the_content_type_decides_how_to_read() {
    for content_type in [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/vnd.example+json",
    ] {
        let meter = meter(Dialect::OpenAiChat, 200, &[("content-type", content_type)]);
        let reading = read_all(meter, OPENAI);
        assert_eq!(reading.usage, Some(Usage::new(7, 2)), "{content_type}");
        assert!(reading.usage_is_final && reading.complete);
        assert_eq!(reading.output_seen, 3);
    }
    let stream = meter(
        Dialect::OpenAiChat,
        200,
        &[("content-type", "text/event-stream;a=b")],
    );
    let body = OPENAI.replace('\n', "");
    assert!(
        read_all(stream, &format!("data: {body}\n\n"))
            .usage
            .is_some()
    );
}

#[test]
fn other_and_encoded_bodies_are_only_counted() {
    let json = ("content-type", "application/json");
    let tokens = (OPENAI.len() as u64).div_ceil(4);
    for headers in [
        vec![],
        vec![("content-type", "text/plain")],
        vec![("content-type", "text/json-seq")],
        vec![json, ("content-encoding", "gzip")],
        vec![
            json,
            ("content-encoding", "identity"),
            ("content-encoding", "br"),
        ],
    ] {
        let reading = read_all(meter(Dialect::OpenAiChat, 200, &headers), OPENAI);
        assert_eq!(reading.usage, None, "{headers:?}");
        assert_eq!(reading.bytes, OPENAI.len() as u64);
        assert_eq!(reading.output_seen, tokens);
        let encodings = headers
            .iter()
            .filter(|(name, _)| *name == "content-encoding");
        let is_encoded = encodings.count() > 0;
        assert_eq!(reading.complete, !is_encoded, "its length says nothing");
    }
    let identity = meter(
        Dialect::OpenAiChat,
        200,
        &[json, ("content-encoding", "Identity")],
    );
    assert!(read_all(identity, OPENAI).usage.is_some());
}

#[test]
fn a_generic_response_says_nothing() {
    let generic = meter(
        Dialect::Generic,
        200,
        &[("content-type", "application/json")],
    );
    let reading = read_all(generic, OPENAI);
    let expected = Reading {
        complete: true,
        bytes: OPENAI.len() as u64,
        ..Reading::default()
    };
    assert_eq!(reading, expected);
}

#[test]
fn a_body_that_broke_off_is_counted_and_not_complete() {
    let mut meter = json();
    meter.push(&OPENAI.as_bytes()[..OPENAI.len() - 1]);
    for _ in 0..2 {
        let reading = meter.reading();
        assert_eq!(reading.usage, None);
        assert!(!reading.complete && !reading.usage_is_final);
        assert_eq!(reading.output_seen, (OPENAI.len() as u64 - 1).div_ceil(4));
        meter.end();
    }
}

#[test]
fn a_json_body_is_whole_without_a_signal() {
    let mut meter = json();
    meter.push(OPENAI.as_bytes());
    assert!(meter.reading().complete);
}

#[test]
fn nothing_counts_after_the_end() {
    let mut meter = sse(Dialect::OpenAiChat);
    meter.push(b"data: [DONE]");
    meter.end();
    meter.push(b"\n\ndata: {\"usage\":{\"prompt_tokens\":5}}\n\n");
    meter.end();
    let reading = meter.reading();
    assert_eq!(
        (reading.complete, reading.usage, reading.bytes),
        (true, None, 12)
    );
}

#[test]
fn the_text_of_an_error_answer_is_no_output() {
    let body = r#"{"error":{"message":"m","type":"t","code":"c"}}"#;
    for content_type in ["application/json", "text/plain"] {
        let meter = meter(Dialect::OpenAiChat, 429, &[("content-type", content_type)]);
        assert_eq!(read_all(meter, body).output_seen, 0, "{content_type}");
    }
    let error = read_all(json(), body).error.unwrap();
    assert_eq!(
        (&*error.kind, error.code.as_deref(), &*error.message),
        ("t", Some("c"), "m")
    );
}

#[test]
fn an_end_mark_belongs_to_its_dialect() {
    let done = "data: [DONE]\n\n";
    assert!(read_all(sse(Dialect::OpenAiChat), done).complete);
    assert!(!read_all(sse(Dialect::AnthropicMessages), done).complete);
    assert!(!read_all(sse(Dialect::OpenAiChat), "data: {\"x\":\"[DONE]\"}\n\n").complete);
    assert!(!read_all(sse(Dialect::OpenAiChat), "").complete);
}

#[test]
fn usage_is_final_only_with_both_sides_and_the_last_word() {
    let both = r#"data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#;
    let running = r#"data: {"choices":[{}],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#;
    let half = r#"data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":-2}}"#;
    let empty = r#"data: {"choices":[]}"#;
    let error = r#"data: {"error":{"message":"m"}}"#;
    let done = "data: [DONE]";
    for (events, expected) in [
        (vec![both], true),
        (vec![running, done], true),
        (vec![running], false),
        (vec![empty, running], false),
        (vec![half, done], false),
        (vec![both, error], false),
        (vec![done], false),
    ] {
        let stream = events
            .iter()
            .map(|event| format!("{event}\n\n"))
            .collect::<String>();
        let reading = read_all(sse(Dialect::OpenAiChat), &stream);
        assert_eq!(reading.usage_is_final, expected, "{stream}");
    }
}

#[test]
fn events_that_are_not_json_say_nothing() {
    let stream = "data: {\"usage\":{\"prompt_tokens\":5},\n\ndata: hello\n\ndata: \n\n";
    let reading = read_all(sse(Dialect::OpenAiChat), stream);
    assert_eq!((reading.usage, reading.output_seen), (None, 0));
}

#[test]
fn an_event_over_the_cap_counts_as_text() {
    let mut meter = sse(Dialect::OpenAiChat);
    let oversized = format!("data: {}\n\n", "x".repeat(9 << 20));
    meter.push(oversized.as_bytes());
    meter.push(b"data: {\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6}}\n\n");
    let reading = meter.reading();
    assert_eq!(reading.output_seen, ((9 << 20) + 6_u64).div_ceil(4));
    assert_eq!(reading.usage, Some(Usage::new(5, 6)));
}

/// OpenRouter sends a whole image in one.
#[test]
fn an_image_in_an_event_is_no_text() {
    let mut meter = sse(Dialect::OpenAiChat);
    let image = "A".repeat(2 << 20);
    let event = format!(
        r#"data: {{"choices":[{{"delta":{{"images":[{{"image_url":{{"url":"data:image/png;base64,{image}"}}}}]}}}}]}}"#
    );
    for part in event.as_bytes().chunks(64 << 10) {
        meter.push(part);
        assert!(meter.output_streamed() < 10);
    }
    meter.push(b"\n\n");
    assert!(meter.reading().output_seen < 10);
}

#[test]
fn usage_at_the_end_of_a_large_body_is_final() {
    let text = "x".repeat(2 << 20);
    let body = OPENAI.replace("123456789", &text);
    let reading = read_all(json(), &body);
    assert_eq!(reading.usage, Some(Usage::new(7, 2)));
    assert!(reading.usage_is_final && reading.complete);
    assert_eq!(reading.output_seen, (body.len() as u64).div_ceil(4));
}

/// A response of more than 1 MiB with these items, in the order of OpenAI's reference.
fn large_response(items: &str) -> Reading {
    let body = format!(
        r#"{{"id":"resp_1","object":"response","status":"completed","error":null,"model":"gpt-4o",
        "output":[{items}],"service_tier":"priority","text":{{"format":{{"type":"text"}}}},
        "tools":[{{"type":"image_generation"}}],
        "usage":{{"input_tokens":30,"output_tokens":8,"total_tokens":38}},"metadata":{{}}}}"#
    );
    assert!(body.len() > 1 << 20);
    let json = [("content-type", "application/json")];
    let mut meter = meter(Dialect::OpenAiResponses, 200, &json);
    for chunk in body.as_bytes().chunks(16 << 10) {
        meter.push(chunk);
    }
    meter.reading()
}

#[test]
fn the_tools_and_the_tier_of_a_large_body_are_read() {
    let data = "A".repeat(2 << 20);
    let call = r#""id":"ig_1","type":"image_generation_call","status":"completed""#;
    let search = r#"{"id":"ws_1","type":"web_search_call","status":"completed"}"#;
    let image = format!(r#"{{{call},"result":"{data}"}}"#);
    let image_backwards = format!(r#"{{"result":"{data}",{call}}}"#);
    // What a message says of tools and tiers is no tool and no tier.
    let quoted = r#"[{\"type\":\"image_generation_call\"}],\"service_tier\":\"flex\""#;
    let message = |text: &str| {
        format!(
            r#"{{"type":"message","content":[{{"type":"output_text","text":"{text}"}},{{"text":"{quoted}"}}]}}"#
        )
    };
    for (items, images, searches) in [
        (image.clone(), 1, 0),
        (image_backwards.clone(), 1, 0),
        (
            [&image[..], search, &image_backwards, &message("")].join(","),
            2,
            1,
        ),
        (message(&data), 0, 0),
        (message(&quoted.repeat(30_000)), 0, 0),
    ] {
        let reading = large_response(&items);
        assert_eq!(reading.extras.images, images);
        assert_eq!(reading.extras.web_searches, searches);
        assert_eq!(reading.served.tier.as_deref(), Some("priority"));
        assert_eq!(reading.usage, Some(Usage::new(30, 8)));
        assert!(reading.usage_is_final && reading.complete);
        assert_eq!(reading.model.as_deref(), Some("gpt-4o"));
    }
}

#[test]
fn the_tier_of_a_large_chat_is_read_on_either_side_of_its_usage() {
    let text = "x".repeat(2 << 20);
    let choices = format!(r#""choices":[{{"message":{{"content":"{text}"}}}}]"#);
    let usage = r#""usage":{"prompt_tokens":7,"completion_tokens":2}"#;
    let tier = r#""service_tier":"flex""#;
    for body in [
        format!("{{{choices},{usage},{tier}}}"),
        format!("{{{choices},{tier},{usage}}}"),
        format!("{{{tier},{usage},{choices}}}"),
    ] {
        let reading = read_all(json(), &body);
        assert_eq!(reading.served.tier.as_deref(), Some("flex"));
        assert_eq!(reading.usage, Some(Usage::new(7, 2)));
        assert!(reading.usage_is_final && reading.complete);
    }
}

#[test]
fn debug_shows_no_content() {
    for mut meter in [json(), sse(Dialect::OpenAiChat)] {
        meter.push(b"data: secret");
        assert!(!format!("{meter:?}").contains("secret"));
    }
}

#[test]
fn nothing_is_generated_by_embeddings() {
    let json = [("content-type", "application/json")];
    let body = r#"{"data":[{"embedding":[0.5]}],"usage":{"prompt_tokens":7,"total_tokens":7}}"#;
    let whole = read_all(meter(Dialect::OpenAiEmbeddings, 200, &json), body);
    assert_eq!(
        (whole.usage, whole.output_seen),
        (Some(Usage::new(7, 0)), 0)
    );
    assert!(whole.usage_is_final);
    let mut cut = meter(Dialect::OpenAiEmbeddings, 200, &json);
    cut.push(&body.as_bytes()[..40]);
    assert_eq!(cut.reading().output_seen, 0);
}

#[test]
fn usage_at_the_end_of_large_bodies_of_other_shapes() {
    let json = [("content-type", "application/json")];
    let long = "x".repeat(2 << 20);
    for (dialect, rest, expected) in [
        (
            Dialect::Gemini,
            r#""usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":2},"modelVersion":"m"}"#,
            Usage::new(7, 2),
        ),
        (
            Dialect::CohereEmbed,
            r#""meta":{"api_version":{"version":"2"},"billed_units":{"input_tokens":7}}}"#,
            Usage::new(7, 0),
        ),
        (
            Dialect::Ollama,
            r#""prompt_eval_count":7,"prompt_eval_duration":1,"eval_count":2}"#,
            Usage::new(7, 2),
        ),
    ] {
        let body = format!(r#"{{"x":"{long}",{rest}"#);
        let reading = read_all(meter(dialect, 200, &json), &body);
        assert_eq!(reading.usage, Some(expected), "{dialect:?}");
        assert!(reading.usage_is_final, "{dialect:?}");
    }
}

#[test]
fn gemini_is_over_when_it_ended_with_a_reason() {
    let stream = |events: &[&str]| {
        let mut meter = sse(Dialect::Gemini);
        for event in events {
            meter.push(format!("data: {event}\r\n\r\n").as_bytes());
        }
        let open = meter.reading().complete;
        meter.end();
        (open, meter.reading().complete)
    };
    let text = r#"{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}"#;
    let last = r#"{"candidates":[{"finishReason":"STOP"}]}"#;
    let error = r#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#;
    assert_eq!(stream(&[text, last]), (false, true));
    assert_eq!(stream(&[text]), (false, false));
    assert_eq!(stream(&[text, last, error]), (false, false));
}

#[test]
fn an_answer_of_bedrock_whose_body_says_nothing_is_counted_by_its_headers() {
    let meter = meter(
        Dialect::BedrockInvoke,
        200,
        &[
            ("content-type", "application/json"),
            ("x-amzn-bedrock-input-token-count", "17"),
            ("x-amzn-bedrock-output-token-count", "19"),
        ],
    );
    let reading = read_all(meter, r#"{"outputs":[{"text":"Chalk."}]}"#);
    assert_eq!(reading.usage, Some(Usage::new(17, 19)));
    assert!(reading.usage_is_final);
}

#[test]
fn content_that_is_no_text_counts_for_something() {
    let audio = r#"data: {"choices":[{"delta":{"audio":{"data":"QUJD"}}}]}"#;
    let mut meter = sse(Dialect::OpenAiChat);
    meter.push(format!("{audio}\n\n").as_bytes());
    assert_eq!(meter.reading().output_seen, 1);
    assert_eq!(meter.output_streamed(), 1);
    assert_eq!(meter.stage("openai"), Stage::Content);
}

/// Pieces of streams, of frames and of JSON.
fn piece(piece: usize) -> Vec<u8> {
    // Prelude of a frame of 512 KiB, and of one of 2 GiB.
    let prelude = |total: u32| {
        let lengths = [total.to_be_bytes(), [0; 4]].concat();
        [&lengths[..], &crc32fast::hash(&lengths).to_be_bytes()].concat()
    };
    match piece {
        0 => b"data: ".to_vec(),
        1 => b"\n".to_vec(),
        2 => b"\r\n\r\n".to_vec(),
        3 => b"event: ".to_vec(),
        4 => b":".to_vec(),
        5 => b"{\"usage\":".to_vec(),
        6 => b"[DONE]".to_vec(),
        7 => vec![b'x'; 200_000],
        8 => vec![b'['; 200_000],
        9 => prelude(512 << 10),
        _ => prelude(u32::MAX),
    }
}

fn check_memory(mut meter: Meter, pieces: &[usize], most: usize) {
    for number in pieces {
        meter.push(&piece(*number));
        let kept = meter.framing.capacity();
        assert!(kept <= most, "{:?}: {kept}", meter.dialect);
    }
    meter.end();
    let _ = meter.reading();
}

proptest! {
    /// Pieces in a random order reach deeper than random bytes.
    #[test]
    fn memory_stays_capped(pieces in proptest::collection::vec(0_usize..9, 1..40)) {
        for meter in [json(), sse(Dialect::OpenAiChat), sse(Dialect::AnthropicMessages)] {
            check_memory(meter, &pieces, 5 << 20);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn memory_stays_capped_in_other_framings(
        pieces in proptest::collection::vec(0_usize..11, 1..60),
    ) {
        let of = |dialect, kind| meter(dialect, 200, &[("content-type", kind)]);
        let frames = "application/vnd.amazon.eventstream";
        check_memory(of(Dialect::Ollama, "application/x-ndjson"), &pieces, 5 << 20);
        check_memory(of(Dialect::BedrockInvoke, frames), &pieces, 5 << 20);
        // Here events may be larger.
        check_memory(sse(Dialect::OpenAiResponses), &pieces, 40 << 20);
        check_memory(of(Dialect::Gemini, "application/json"), &pieces, 40 << 20);
        let list: Vec<usize> = [&[8], &pieces[..]].concat();
        check_memory(of(Dialect::Gemini, "application/json"), &list, 40 << 20);
    }
}
