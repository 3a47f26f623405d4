//! Whatever peers send, nothing panics, and what is read of it is sane.

// Helpers of tests are not seen as tests by the lint.
#![allow(clippy::unwrap_used)]

use http::{HeaderMap, HeaderValue, StatusCode};
use proptest::{collection::vec, prelude::*};
use tower_quota::wire::{
    Dialect, HideUsage, Meter, UsageAsk, ask_for_usage, go_duration, inspect, inspect_call,
    retry_after,
};

const DIALECTS: [Dialect; 12] = [
    Dialect::OpenAiChat,
    Dialect::OpenAiResponses,
    Dialect::OpenAiEmbeddings,
    Dialect::AnthropicMessages,
    Dialect::Gemini,
    Dialect::GeminiEmbed,
    Dialect::BedrockConverse,
    Dialect::BedrockInvoke,
    Dialect::CohereChat,
    Dialect::CohereEmbed,
    Dialect::Ollama,
    Dialect::Generic,
];

const CONTENT_TYPES: [&str; 5] = [
    "application/json",
    "text/event-stream",
    "application/x-ndjson",
    "application/vnd.amazon.eventstream",
    "text/plain",
];

/// Pieces that parsers care about.
const PIECES: [&str; 60] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "null",
    "true",
    "-1",
    "1e999",
    "1000000000000",
    "99999999999999",
    "18446744073709551615",
    "\n",
    "\r\n",
    "data:",
    "event: error",
    "[DONE]",
    "\u{feff}",
    "\"model\":",
    "\"usage\":{",
    "\"choices\":[",
    "\"error\":{",
    "\"message\":",
    "\"code\":",
    "\"type\":",
    "\"delta\":{",
    "\"text\":\"x\"",
    "\"response.failed\"",
    "\"message_stop\"",
    "\"prompt_tokens\":",
    "\"completion_tokens\":",
    "\"total_tokens\":",
    "\"completion_tokens_details\":{\"reasoning_tokens\":",
    "\"prompt_tokens_details\":{\"cached_tokens\":",
    "\"prompt_audio_seconds\":",
    "\"cost\":",
    "\"cost_in_usd_ticks\":",
    "\"input_tokens\":",
    "\"output_tokens\":",
    "\"cache_read_input_tokens\":",
    "\"cache_creation\":{\"ephemeral_1h_input_tokens\":",
    "\"iterations\":[{\"input_tokens\":",
    "\"usageMetadata\":{",
    "\"promptTokenCount\":",
    "\"candidatesTokenCount\":",
    "\"thoughtsTokenCount\":",
    "\"toolUsePromptTokenCount\":",
    "\"totalTokenCount\":",
    "\"inputTokens\":",
    "\"outputTokens\":",
    "\"cacheDetails\":[{\"ttl\":\"1h\",\"inputTokens\":",
    "\"bytes\":\"e30=\"",
    "\"billed_units\":{\"input_tokens\":",
    "\"prompt_eval_count\":",
    "\"eval_count\":",
    "\"stream\":true",
    "\"stream_options\":{",
];

/// More than any count that is believed, some of which are added up.
const SANE: u64 = 10_000_000_000_000;

fn read(chunks: &[Vec<u8>]) {
    for dialect in DIALECTS {
        for content_type in CONTENT_TYPES {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_static(content_type));
            let mut meter = Meter::new(dialect, StatusCode::OK, &headers);
            for chunk in chunks {
                meter.push(chunk);
                let _ = meter.reading();
                let _ = meter.stage("openai");
                let _ = meter.last_event("k", StatusCode::PAYMENT_REQUIRED, "m");
            }
            meter.end();
            let reading = meter.reading();
            let usage = reading.usage.unwrap_or_default();
            assert!(usage.cache_read + usage.cache_write <= usage.input);
            assert!(usage.cache_write_long <= usage.cache_write);
            assert!(usage.reasoning <= usage.output);
            assert!(usage.total() <= SANE, "{usage:?}");
            assert!(reading.output_seen <= reading.bytes);
        }
        let body = chunks.concat();
        if let Ok(facts) = inspect(dialect, &body) {
            assert!(facts.choices >= 1);
        }
        let path = String::from_utf8_lossy(&body);
        let _ = Dialect::detect(&path, &HeaderMap::new());
        let _ = inspect_call(dialect, &path, &body);
    }
}

/// A frame with right checksums around whatever is in it.
fn frame(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let length = |length: usize| u32::try_from(length).unwrap().to_be_bytes();
    let mut frame = length(16 + headers.len() + payload.len()).to_vec();
    frame.extend_from_slice(&length(headers.len()));
    frame.extend_from_slice(&crc(&frame).to_be_bytes());
    frame.extend_from_slice(headers);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&crc(&frame).to_be_bytes());
    frame
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (crc & 1).wrapping_neg() & 0xedb8_8320
        })
    })
}

fn pieces(pieces: Vec<usize>) -> Vec<u8> {
    let bytes = pieces.into_iter().flat_map(|piece| PIECES[piece].bytes());
    bytes.collect()
}

#[test]
fn deep_nesting_and_huge_numbers_do_no_harm() {
    let deep = |open: &str, close: &str| open.repeat(10_000) + "1" + &close.repeat(10_000);
    let number = "9".repeat(10_000);
    for json in [
        deep("[", "]"),
        deep("{\"usage\":", "}"),
        deep("[{\"error\":", "}]"),
        "[".repeat(10_000),
        format!("{{\"usage\":{{\"prompt_tokens\":{number}}}}}"),
        format!("{{\"usageMetadata\":{{\"totalTokenCount\":{number}.{number}e{number}}}}}"),
    ] {
        let sse = format!("data: {json}\n\n").into_bytes();
        let frame = frame(b"", json.as_bytes());
        let line = json.clone() + "\n";
        for body in [json.into_bytes(), sse, frame, line.into_bytes()] {
            read(&[body]);
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_do_no_harm(chunks in vec(vec(any::<u8>(), 0..100), 0..10)) {
        read(&chunks);
    }

    #[test]
    fn random_syntax_does_no_harm(syntax in vec(vec(0..PIECES.len(), 0..20), 0..10)) {
        let chunks: Vec<Vec<u8>> = syntax.into_iter().map(pieces).collect();
        read(&chunks);
    }

    /// Valid JSON of the words that dialects know, so that more of it is reached.
    #[test]
    fn random_objects_do_no_harm(
        members in vec((21..PIECES.len(), 0_usize..8), 0..12),
        list in any::<bool>(),
    ) {
        let values = ["null", "0", "1", "1000000000000", "-1", "0.5", "\"x\"", "[]"];
        let mut json = String::from("{");
        for (piece, value) in &members {
            let key = PIECES[*piece];
            let opened = key.matches('{').count();
            let closed = "}".repeat(opened) + if key.contains('[') { "]" } else { "" };
            // A list of objects closes them first.
            let closed = if key.contains("[{") && key.matches('{').count() == 1 {
                "}]".to_owned()
            } else {
                closed
            };
            let value = if key.ends_with(':') { values[*value] } else { "" };
            json.push_str(&format!("{key}{value}{closed},"));
        }
        let json = json.trim_end_matches(',').to_owned() + "}";
        let json = if list { format!("[{json}]") } else { json };
        let sse = format!("data: {json}\n\ndata: {json}\n\n");
        let framed = frame(b"", json.as_bytes());
        for body in [json.as_bytes(), sse.as_bytes(), &framed] {
            let (left, right) = body.split_at(body.len() / 2);
            read(&[left.to_vec(), right.to_vec()]);
        }
    }

    #[test]
    fn random_frames_do_no_harm(
        frames in vec((vec(any::<u8>(), 0..30), vec(0..PIECES.len(), 0..10)), 0..5),
        size in 1_usize..40,
        flip in any::<usize>(),
    ) {
        let frame = |(headers, payload): (Vec<u8>, Vec<usize>)| frame(&headers, &pieces(payload));
        let mut stream: Vec<u8> = frames.into_iter().flat_map(frame).collect();
        read(&stream.chunks(size).map(<[u8]>::to_vec).collect::<Vec<_>>());
        if !stream.is_empty() {
            let at = flip % (8 * stream.len());
            stream[at / 8] ^= 1 << (at % 8);
            read(&stream.chunks(size).map(<[u8]>::to_vec).collect::<Vec<_>>());
        }
    }

    /// What is put into a request only asks: without it, it is the same as before.
    #[test]
    fn random_requests_are_asked_or_left_alone(syntax in vec(0..PIECES.len(), 0..20)) {
        let body = pieces(syntax);
        for body in [body.clone(), [b"{\"stream\":true,", &body[..], b"}"].concat()] {
            if let UsageAsk::Added(asking) | UsageAsk::Declined(asking) = ask_for_usage(&body) {
                // A number may be larger than a tree of values can hold.
                let Ok(before) = serde_json::from_slice::<serde_json::Value>(&body) else {
                    continue;
                };
                let mut after: serde_json::Value = serde_json::from_slice(&asking).unwrap();
                prop_assert!(after["stream_options"]["include_usage"] == true);
                after["stream_options"] = before["stream_options"].clone();
                let mut before = before;
                before["stream_options"] = after["stream_options"].clone();
                prop_assert_eq!(after, before);
            }
        }
    }

    #[test]
    fn random_streams_lose_nothing_but_usage(syntax in vec(vec(0..PIECES.len(), 0..20), 0..10)) {
        let mut hide = HideUsage::default();
        let mut shown = Vec::new();
        let chunks: Vec<Vec<u8>> = syntax.into_iter().map(pieces).collect();
        for chunk in &chunks {
            shown.extend_from_slice(&hide.push(chunk));
        }
        shown.extend_from_slice(&hide.end());
        let all = chunks.concat();
        prop_assert!(shown.len() <= all.len());
        if !all.windows(7).any(|part| part == b"\"usage\"") {
            prop_assert_eq!(shown, all);
        }
    }

    #[test]
    fn random_waits_do_no_harm(value in vec(any::<u8>(), 0..40), year in 0_u16..10_000) {
        let date = format!("Sun, 22 Nov {year:04} 09:16:00 GMT");
        for value in [&value[..], date.as_bytes()] {
            let Ok(value) = HeaderValue::from_bytes(value) else { continue };
            for name in ["retry-after", "retry-after-ms", "x-ms-retry-after-ms"] {
                let mut headers = HeaderMap::new();
                headers.insert(name, value.clone());
                let _ = retry_after(&headers, std::time::SystemTime::UNIX_EPOCH);
            }
        }
    }

    #[test]
    fn random_durations_do_no_harm(text in "[0-9.hmsuµn]{0,30}", other in any::<String>()) {
        let ten_years = std::time::Duration::from_secs(10 * 365 * 86_400);
        for text in [text, other] {
            prop_assert!(go_duration(&text).is_none_or(|wait| wait <= ten_years));
        }
    }

    #[test]
    fn a_number_of_tokens_is_read_or_left_out(tokens in any::<i64>()) {
        let body = format!(r#"{{"usage":{{"prompt_tokens":{tokens}}}}}"#);
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let mut meter = Meter::new(Dialect::OpenAiChat, StatusCode::OK, &headers);
        meter.push(body.as_bytes());
        let expected = u64::try_from(tokens).ok().filter(|tokens| *tokens <= 1_000_000_000_000);
        prop_assert_eq!(meter.reading().usage.map(|usage| usage.input), expected);
    }
}
