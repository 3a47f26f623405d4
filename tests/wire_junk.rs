//! Whatever peers send, nothing panics, and what is read of it is sane.

use http::{HeaderMap, HeaderValue, StatusCode};
use proptest::{collection::vec, prelude::*};
use tower_quota::wire::{Dialect, Meter, go_duration, inspect, retry_after};

const DIALECTS: [Dialect; 3] = [
    Dialect::OpenAiChat,
    Dialect::AnthropicMessages,
    Dialect::Generic,
];

const CONTENT_TYPES: [&str; 3] = ["application/json", "text/event-stream", "text/plain"];

/// Pieces that parsers care about.
const PIECES: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "null",
    "-1",
    "1e999",
    "99999999999999",
    "\n",
    "\r\n",
    "data:",
    "event: error",
    "[DONE]",
    "\"model\"",
    "\"usage\"",
    "\"choices\"",
    "\"error\"",
    "\"prompt_tokens\"",
    "\"delta\"",
    "\u{feff}",
];

fn read(chunks: &[Vec<u8>]) {
    for dialect in DIALECTS {
        for content_type in CONTENT_TYPES {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_static(content_type));
            let mut meter = Meter::new(dialect, StatusCode::OK, &headers);
            for chunk in chunks {
                meter.push(chunk);
                let _ = meter.reading();
            }
            meter.end();
            let usage = meter.reading().usage.unwrap_or_default();
            assert!(usage.cache_read + usage.cache_write <= usage.input);
            assert!(usage.reasoning <= usage.output);
        }
        if let Ok(facts) = inspect(dialect, &chunks.concat()) {
            assert!(facts.choices >= 1);
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_do_no_harm(chunks in vec(vec(any::<u8>(), 0..100), 0..10)) {
        read(&chunks);
    }

    #[test]
    fn random_syntax_does_no_harm(pieces in vec(vec(0..PIECES.len(), 0..20), 0..10)) {
        let chunk = |pieces: Vec<usize>| {
            pieces.into_iter().flat_map(|piece| PIECES[piece].bytes()).collect()
        };
        let chunks: Vec<Vec<u8>> = pieces.into_iter().map(chunk).collect();
        read(&chunks);
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
