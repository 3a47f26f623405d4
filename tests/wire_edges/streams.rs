//! How streams begin and how they may be ended, in every dialect that streams.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use tower_quota::wire::{Dialect, ErrorClass, Meter, Stage};

const KIND: &str = "budget_exceeded";
const MESSAGE: &str = "agent a: the \"budget\" of $10.00 a day is used up";

fn meter(dialect: Dialect, content_type: &'static str) -> Meter {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static(content_type));
    Meter::new(dialect, StatusCode::OK, &headers)
}

/// A stream: its events, how many of them are the preamble, and its end.
struct Stream {
    dialect: Dialect,
    content_type: &'static str,
    preamble: Vec<Vec<u8>>,
    content: Vec<Vec<u8>>,
    end: Vec<Vec<u8>>,
}

const SSE: &str = "text/event-stream";
const LINES: &str = "application/x-ndjson";
const FRAMES: &str = "application/vnd.amazon.eventstream";
const JSON: &str = "application/json; charset=utf-8";

fn stream(
    dialect: Dialect,
    content_type: &'static str,
    [preamble, content, end]: [&[&str]; 3],
) -> Stream {
    let event = |json: &&str| match content_type {
        SSE => format!("data: {json}\n\n").into_bytes(),
        LINES => format!("{json}\n").into_bytes(),
        FRAMES => frame(json),
        _ => json.as_bytes().to_vec(),
    };
    let events = |events: &[&str]| events.iter().map(event).collect();
    Stream {
        dialect,
        content_type,
        preamble: events(preamble),
        content: events(content),
        end: events(end),
    }
}

fn frame(payload: &str) -> Vec<u8> {
    let headers = b"\x0d:message-type\x07\x00\x05event";
    let length = |length: usize| u32::try_from(length).unwrap().to_be_bytes();
    let mut frame = length(16 + headers.len() + payload.len()).to_vec();
    frame.extend_from_slice(&length(headers.len()));
    frame.extend_from_slice(&crc(&frame));
    frame.extend_from_slice(headers);
    frame.extend_from_slice(payload.as_bytes());
    frame.extend_from_slice(&crc(&frame));
    frame
}

/// CRC-32 of IEEE 802.3, bit by bit, so that it is not checked against itself.
fn crc(bytes: &[u8]) -> [u8; 4] {
    let mut crc = !0_u32;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            };
        }
    }
    (!crc).to_be_bytes()
}

/// `{"type":"message_start"}` and so on, in base64 inside of a part.
const PARTS: [&str; 3] = [
    r#"{"bytes":"eyJ0eXBlIjoibWVzc2FnZV9zdGFydCJ9","p":"a"}"#,
    r#"{"bytes":"eyJkZWx0YSI6eyJ0ZXh0IjoiSGkifX0="}"#,
    r#"{"bytes":"eyJhbWF6b24tYmVkcm9jay1pbnZvY2F0aW9uTWV0cmljcyI6eyJvdXRwdXRUb2tlbkNvdW50Ijo1fX0="}"#,
];

#[rustfmt::skip]
fn streams() -> Vec<Stream> {
    vec![
        stream(Dialect::OpenAiChat, SSE, [
            &[
                r#"{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#,
                r#"{"model":"m","choices":[{"delta":{"role":"assistant","content":"","refusal":null}}],"usage":null}"#,
            ],
            &[
                r#"{"choices":[{"delta":{"content":"Hi"}}]}"#,
                r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
            ],
            &["[DONE]"],
        ]),
        stream(Dialect::OpenAiResponses, SSE, [
            &[
                r#"{"type":"response.created","response":{"status":"in_progress","error":null,"output":[],"usage":null}}"#,
                r#"{"type":"response.output_item.added","item":{"type":"message","content":[]}}"#,
                r#"{"type":"response.content_part.added","part":{"type":"output_text","text":""}}"#,
            ],
            &[r#"{"type":"response.output_text.delta","delta":"Hi"}"#],
            &[r#"{"type":"response.completed","response":{"status":"completed","error":null}}"#],
        ]),
        stream(Dialect::AnthropicMessages, SSE, [
            &[
                r#"{"type":"message_start","message":{"model":"m","content":[],"usage":{"input_tokens":5,"output_tokens":1}}}"#,
                r#"{"type":"ping"}"#,
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            ],
            &[
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#,
                r#"{"type":"ping"}"#,
            ],
            &[r#"{"type":"message_stop"}"#],
        ]),
        stream(Dialect::Gemini, SSE, [
            &[r#"{"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9},"modelVersion":"m"}"#],
            &[r#"{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}"#],
            &[],
        ]),
        stream(Dialect::Gemini, JSON, [
            &["[", r#"{"usageMetadata":{"promptTokenCount":9}}"#],
            &[r#",{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}"#],
            &[r#",{"candidates":[{"finishReason":"STOP"}]}]"#],
        ]),
        stream(Dialect::BedrockConverse, FRAMES, [
            &[r#"{"role":"assistant","p":"abcd"}"#],
            &[r#"{"contentBlockIndex":0,"delta":{"text":"Hi"},"p":"ab"}"#],
            &[r#"{"usage":{"inputTokens":1,"outputTokens":1},"metrics":{}}"#],
        ]),
        stream(Dialect::BedrockInvoke, FRAMES, [&[PARTS[0]], &[PARTS[1]], &[PARTS[2]]]),
        stream(Dialect::CohereChat, SSE, [
            &[
                r#"{"type":"message-start","delta":{"message":{"role":"assistant","content":[]}}}"#,
                r#"{"type":"content-start","delta":{"message":{"content":{"type":"text","text":""}}}}"#,
            ],
            &[r#"{"type":"content-delta","delta":{"message":{"content":{"text":"Hi"}}}}"#],
            &[r#"{"type":"message-end","delta":{"finish_reason":"COMPLETE"}}"#],
        ]),
        stream(Dialect::Ollama, LINES, [
            &[r#"{"model":"m","message":{"role":"assistant","content":""},"done":false}"#],
            &[r#"{"model":"m","message":{"role":"assistant","content":"Hi"},"done":false}"#],
            &[r#"{"model":"m","done":true,"eval_count":5}"#],
        ]),
    ]
}

#[test]
fn a_stream_is_its_preamble_and_then_its_content() {
    for stream in streams() {
        let dialect = stream.dialect;
        let mut meter = meter(dialect, stream.content_type);
        assert_eq!(meter.stage("x"), Stage::Preamble, "{dialect:?}");
        for event in &stream.preamble {
            for byte in event {
                meter.push(&[*byte]);
                assert_eq!(meter.stage("x"), Stage::Preamble, "{dialect:?}");
            }
        }
        assert_eq!(meter.reading().output_seen, 0, "{dialect:?}");
        for event in stream.content.iter().chain(&stream.end) {
            meter.push(event);
            assert_eq!(meter.stage("x"), Stage::Content, "{dialect:?}");
        }
        meter.end();
        assert_eq!(meter.stage("x"), Stage::Content, "{dialect:?}");
        assert_eq!(meter.reading().output_seen, 1, "{dialect:?}");
    }
}

#[test]
fn a_stream_without_content_only_ends() {
    for stream in streams() {
        let dialect = stream.dialect;
        let mut meter = meter(dialect, stream.content_type);
        for event in stream.preamble.iter().chain(&stream.end) {
            meter.push(event);
        }
        meter.end();
        assert_eq!(meter.stage("x"), Stage::End, "{dialect:?}");
    }
}

#[test]
fn a_stream_that_we_end_says_why_and_is_over() {
    let mut ended = 0;
    for stream in streams() {
        let dialect = stream.dialect;
        let events: Vec<&Vec<u8>> = stream.preamble.iter().chain(&stream.content).collect();
        for kept in 0..=events.len() {
            let mut meter = meter(dialect, stream.content_type);
            events[..kept].iter().for_each(|event| meter.push(event));
            let last = meter.last_event(KIND, StatusCode::PAYMENT_REQUIRED, MESSAGE);
            if !meter.is_stream() {
                // Nothing came yet of what will be a list.
                assert_eq!((dialect, kept, last), (Dialect::Gemini, 0, None));
                continue;
            }
            let last = last.unwrap_or_else(|| panic!("{dialect:?} after {kept}"));
            meter.push(&last);
            let reading = meter.reading();
            let error = reading.error.unwrap();
            assert_eq!(error.message, MESSAGE, "{dialect:?}");
            match dialect {
                Dialect::BedrockConverse | Dialect::BedrockInvoke => {
                    assert_eq!(error.code.as_deref(), Some("validationException"));
                }
                Dialect::CohereChat => assert_eq!(reading.finish.as_deref(), Some("ERROR")),
                _ => assert_eq!(error.code.as_deref(), Some(KIND), "{dialect:?}"),
            }
            assert!(!reading.complete && !reading.usage_is_final, "{dialect:?}");
            let had_content = kept > stream.preamble.len();
            let stage = meter.stage("somebody");
            assert_eq!(
                stage == Stage::Content,
                had_content,
                "{dialect:?} {stage:?}"
            );
            assert_eq!(
                matches!(stage, Stage::Error(_)),
                !had_content,
                "{dialect:?}"
            );
            ended += 1;
        }
    }
    assert!(ended >= 30, "{ended}");
}

#[test]
fn what_we_end_a_list_with_makes_it_whole() {
    let all = streams();
    let list = all
        .iter()
        .find(|stream| stream.content_type == JSON)
        .unwrap();
    for kept in 1..=list.preamble.len() + list.content.len() {
        let mut meter = meter(Dialect::Gemini, JSON);
        let events = list.preamble.iter().chain(&list.content).take(kept);
        let mut whole: Vec<u8> = Vec::new();
        for event in events {
            meter.push(event);
            whole.extend_from_slice(event);
        }
        let last = meter.last_event(KIND, StatusCode::PAYMENT_REQUIRED, MESSAGE);
        whole.extend_from_slice(&last.unwrap());
        let parsed: Vec<serde_json::Value> = serde_json::from_slice(&whole).unwrap();
        assert_eq!(parsed.last().unwrap()["error"]["message"], MESSAGE);
    }
}

#[test]
fn a_frame_that_we_make_has_its_checksums() {
    let meter = meter(Dialect::BedrockConverse, FRAMES);
    let frame = meter
        .last_event(KIND, StatusCode::PAYMENT_REQUIRED, MESSAGE)
        .unwrap();
    assert_eq!(
        frame[..4],
        u32::try_from(frame.len()).unwrap().to_be_bytes()
    );
    assert_eq!(frame[8..12], crc(&frame[..8]));
    assert_eq!(frame[frame.len() - 4..], crc(&frame[..frame.len() - 4]));
}

#[test]
fn nothing_ends_what_is_over_or_in_the_middle_of_an_event() {
    let status = StatusCode::PAYMENT_REQUIRED;
    for stream in streams() {
        let dialect = stream.dialect;
        let mut over = meter(dialect, stream.content_type);
        let content = &stream.content[0];
        for event in stream.preamble.iter().chain([content]).chain(&stream.end) {
            over.push(event);
        }
        over.end();
        assert_eq!(over.last_event(KIND, status, MESSAGE), None, "{dialect:?}");
        if stream.content_type == JSON {
            continue;
        }
        for cut in 1..content.len() - 1 {
            let mut open = meter(dialect, stream.content_type);
            open.push(&content[..cut]);
            // Of an SSE event one line end may be there already.
            assert_eq!(
                open.last_event(KIND, status, MESSAGE),
                None,
                "{dialect:?} at {cut}"
            );
            open.push(&content[cut..]);
            assert!(
                open.last_event(KIND, status, MESSAGE).is_some(),
                "{dialect:?}"
            );
        }
    }
    for (dialect, content_type) in [
        (Dialect::OpenAiChat, "application/json"),
        (Dialect::OpenAiChat, "text/plain"),
        (Dialect::Generic, SSE),
    ] {
        let meter = meter(dialect, content_type);
        assert_eq!(meter.last_event(KIND, status, MESSAGE), None, "{dialect:?}");
        assert_eq!(meter.stage("x"), Stage::Content, "no stream to hold back");
    }
}

/// An error before anything was generated, as providers send it: worth repeating, or not.
#[test]
fn an_error_at_the_beginning_is_told_as_any_other() {
    for (dialect, provider, event, class, retryable) in [
        (
            Dialect::OpenAiChat,
            "openrouter",
            r#"{"error":{"code":429,"message":"Rate limit exceeded"},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
            ErrorClass::RateLimit,
            true,
        ),
        (
            Dialect::OpenAiResponses,
            "openai",
            r#"{"type":"response.failed","response":{"error":{"code":"insufficient_quota","message":"m"}}}"#,
            ErrorClass::Quota,
            false,
        ),
        (
            Dialect::AnthropicMessages,
            "anthropic",
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            ErrorClass::Overloaded,
            true,
        ),
        (
            Dialect::Gemini,
            "gemini",
            r#"{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}"#,
            ErrorClass::Overloaded,
            true,
        ),
        (
            Dialect::Gemini,
            "gemini",
            r#"{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}}"#,
            ErrorClass::Invalid,
            false,
        ),
        (
            Dialect::Ollama,
            "ollama",
            r#"{"error":"model runner has unexpectedly stopped"}"#,
            ErrorClass::Server,
            true,
        ),
    ] {
        let content_type = if dialect == Dialect::Ollama {
            LINES
        } else {
            SSE
        };
        let mut meter = meter(dialect, content_type);
        meter.push(&stream(dialect, content_type, [&[event], &[], &[]]).preamble[0]);
        let Stage::Error(error) = meter.stage(provider) else {
            panic!("{event}");
        };
        assert_eq!(
            (error.class, error.retryable),
            (class, retryable),
            "{event}"
        );
    }
    let text = r#"{"error":{"code":"rate_limit_exceeded","message":"Please try again in 1.5s."}}"#;
    let mut meter = meter(Dialect::OpenAiChat, SSE);
    meter.push(format!("data: {text}\n\n").as_bytes());
    let Stage::Error(error) = meter.stage("openai") else {
        panic!("{text}");
    };
    assert_eq!(error.wait, Some(Duration::from_millis(1_500)));
}

/// What cannot be read may have been content.
#[test]
fn broken_frames_are_handed_on_and_count_for_something() {
    let mut broken = frame(r#"{"delta":{"text":"Hi"}}"#);
    let last = broken.len() - 1;
    broken[last] ^= 1;
    let mut meter = meter(Dialect::BedrockConverse, FRAMES);
    meter.push(&frame(r#"{"role":"assistant"}"#));
    meter.push(&broken);
    assert_eq!(meter.stage("bedrock"), Stage::Content);
    assert!(meter.reading().output_seen > 0);
    let mut cut = self::meter(Dialect::BedrockInvoke, FRAMES);
    cut.push(&frame(PARTS[1])[..50]);
    cut.end();
    assert!(cut.reading().output_seen > 0);
    let mut unwrapped = self::meter(Dialect::BedrockInvoke, FRAMES);
    unwrapped.push(&frame(r#"{"bytes":"no base64"}"#));
    assert_eq!(unwrapped.stage("bedrock"), Stage::Content);
}
