//! A meter that compares events with the last one reads what one reads that parses each.

use std::{fs, path::Path};

use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use proptest::prelude::*;

use super::{
    super::{Dialect, Meter, note::Note, walk::Scalar},
    Alike,
};

/// The events of a sample, and how they are read.
struct Stream {
    dialect: Dialect,
    content_type: &'static str,
    events: Vec<String>,
}

fn stream(name: &str, dialect: Dialect) -> Stream {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/wire")
        .join(name);
    let text = fs::read_to_string(path).unwrap();
    let (content_type, end) = if name.ends_with(".sse") {
        (
            "text/event-stream",
            if text.contains("\r\n") {
                "\r\n\r\n"
            } else {
                "\n\n"
            },
        )
    } else {
        ("application/x-ndjson", "\n")
    };
    let events = text.split_inclusive(end).map(str::to_owned).collect();
    Stream {
        dialect,
        content_type,
        events,
    }
}

/// Events whose counts do not simply stand there, and one after the other.
const TWISTED: [(Dialect, &str); 7] = [
    (
        Dialect::OpenAiChat,
        r#"{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":5,"completion_tokens":1}}"#,
    ),
    (
        Dialect::OpenAiChat,
        r#"{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":5,"prompt_tokens":5}}"#,
    ),
    (
        Dialect::OpenAiChat,
        r#"{"choices":[{"delta":{"content":"a"}}],"x_groq":{"usage":{"completion_tokens":1}},"usage":{"completion_tokens":1}}"#,
    ),
    (
        Dialect::OpenAiChat,
        r#"{"choices":[{"delta":{"content":"a"}}],"usage":{"total_tokens":9}}"#,
    ),
    (
        Dialect::OpenAiChat,
        r#"{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_audio_seconds":0,"total_tokens":9,"prompt_tokens":2,"completion_tokens":3}}"#,
    ),
    (
        Dialect::AnthropicMessages,
        r#"{"delta":{"text":"a"},"usage":{"iterations":[{"input_tokens":5},{"input_tokens":5}],"output_tokens":5}}"#,
    ),
    (
        Dialect::BedrockConverse,
        r#"{"delta":{"text":"a"},"usage":{"outputTokens":3,"cacheDetails":[{"ttl":"1h","inputTokens":5},{"inputTokens":5,"ttl":"5m"}]}}"#,
    ),
];

fn streams() -> Vec<Stream> {
    let samples = [
        ("openai-chat-stream.sse", Dialect::OpenAiChat),
        ("openai-chat-stream-error.sse", Dialect::OpenAiChat),
        ("groq-stream.sse", Dialect::OpenAiChat),
        ("openrouter-stream.sse", Dialect::OpenAiChat),
        ("openai-responses-stream.sse", Dialect::OpenAiResponses),
        (
            "openai-responses-stream-ratelimit.sse",
            Dialect::OpenAiResponses,
        ),
        ("anthropic-stream.sse", Dialect::AnthropicMessages),
        ("anthropic-stream-error.sse", Dialect::AnthropicMessages),
        ("gemini-stream.sse", Dialect::Gemini),
        ("ollama-stream.ndjson", Dialect::Ollama),
    ];
    let samples = samples.map(|(name, dialect)| stream(name, dialect));
    let twisted = TWISTED.map(|(dialect, event)| Stream {
        dialect,
        content_type: "application/x-ndjson",
        events: vec![format!("{event}\n")],
    });
    samples.into_iter().chain(twisted).collect()
}

impl Stream {
    fn meter(&self) -> Meter {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        Meter::new(self.dialect, StatusCode::OK, &headers)
    }
}

/// What becomes of an event before it is sent: it is sent again so often, with another text, or with a byte changed.
#[derive(Clone, Debug)]
struct Turn {
    event: prop::sample::Index,
    times: usize,
    text: String,
    /// Not where texts stand, but in place of a digit.
    another: Option<prop::sample::Index>,
    change: Option<(prop::sample::Index, u8)>,
}

fn turn() -> impl Strategy<Value = Turn> {
    let text = prop_oneof![
        Just(String::new()),
        "[ -~]{0,12}",
        "[0-9]{1,3}",
        "[0-9]{1,3}",
        r#"(a|\\n|\\"|\\\\|\\u00e9|\\x|é|日|"|7){0,6}"#,
    ];
    let change = prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>()));
    let another = prop::option::weighted(0.4, any::<prop::sample::Index>());
    (
        any::<prop::sample::Index>(),
        1..4_usize,
        text,
        another,
        change,
    )
        .prop_map(|(event, times, text, another, change)| Turn {
            event,
            times,
            text,
            another,
            change,
        })
}

/// The event, with another text in place of the sample's, also for numbers that differ in a real stream.
fn with_text(event: &str, text: &str) -> String {
    let mut event = event.to_owned();
    for key in TEXTS {
        replace(&mut event, &format!("\"{key}\":\""), |c| c == '"', text);
    }
    for key in NUMBERS {
        replace(
            &mut event,
            &format!("\"{key}\":"),
            |c| !c.is_ascii_digit(),
            text,
        );
    }
    event
}

const TEXTS: [&str; 4] = ["content", "text", "delta", "obfuscation"];
const NUMBERS: [&str; 9] = [
    "sequence_number",
    "index",
    "candidatesTokenCount",
    "totalTokenCount",
    "prompt_tokens",
    "completion_tokens",
    "output_tokens",
    "outputTokens",
    "total_tokens",
];

/// Puts `text` in place of what stands after the first `key`.
fn replace(event: &mut String, key: &str, is_end: impl Fn(char) -> bool, text: &str) {
    if let Some(start) = event.find(key).map(|at| at + key.len()) {
        let end = start + event[start..].find(is_end).unwrap();
        event.replace_range(start..end, text);
    }
}

/// One number or text more, wherever it stands in the event.
fn with_another(event: &str, at: prop::sample::Index, text: &str) -> String {
    let digits: Vec<usize> = event
        .match_indices(|c: char| c.is_ascii_digit())
        .map(|(at, _)| at)
        .collect();
    let mut event = event.to_owned();
    if !digits.is_empty() {
        let at = *at.get(&digits);
        event.replace_range(at..=at, text);
    }
    event
}

impl Turn {
    fn changed(&self, event: &str) -> Vec<u8> {
        let mut event = match self.another {
            Some(at) => with_another(event, at, &self.text),
            None => with_text(event, &self.text),
        }
        .into_bytes();
        if let Some((at, byte)) = &self.change {
            let at = at.index(event.len());
            event[at] = *byte;
        }
        event
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn comparing_reads_what_parsing_reads(turns in prop::collection::vec(turn(), 1..12)) {
        for stream in streams() {
            let (mut compares, mut parses) = (stream.meter(), stream.meter());
            parses.alike = Alike::off();
            for turn in &turns {
                let event = turn.event.get(&stream.events);
                for time in 0..turn.times {
                    let event = if time % 2 == 0 { event.clone().into_bytes() } else { turn.changed(event) };
                    compares.push(&event);
                    parses.push(&event);
                    prop_assert_eq!(compares.reading(), parses.reading());
                    prop_assert_eq!(compares.stage(""), parses.stage(""));
                }
            }
        }
    }
}

/// How many events of a stream were found alike, of those that came after the first text.
fn found_alike(name: &str, dialect: Dialect, event: usize) -> usize {
    let stream = stream(name, dialect);
    let mut meter = stream.meter();
    let mut found = 0;
    for number in 1..=10 {
        let event = with_text(&stream.events[event], &number.to_string());
        let json = &event[event.find('{').unwrap()..=event.rfind('}').unwrap()];
        found += usize::from(meter.alike.compare(json.as_bytes()).is_some());
        meter.push(event.as_bytes());
    }
    found
}

#[test]
fn all_chunks_of_text_but_the_first_are_compared() {
    assert_eq!(
        found_alike("openai-chat-stream.sse", Dialect::OpenAiChat, 1),
        9
    );
    assert_eq!(found_alike("groq-stream.sse", Dialect::OpenAiChat, 1), 9);
    assert_eq!(
        found_alike("anthropic-stream.sse", Dialect::AnthropicMessages, 3),
        9
    );
    assert_eq!(found_alike("ollama-stream.ndjson", Dialect::Ollama, 0), 9);
    assert_eq!(found_alike("gemini-stream.sse", Dialect::Gemini, 0), 9);
}

#[test]
fn idle_values_are_passed_over() {
    let dialects = [
        Dialect::OpenAiChat,
        Dialect::OpenAiResponses,
        Dialect::AnthropicMessages,
        Dialect::CohereChat,
        Dialect::Ollama,
        Dialect::Gemini,
        Dialect::BedrockConverse,
    ];
    for dialect in dialects {
        let spec = dialect.spec();
        assert!(!spec.idle().is_empty(), "{dialect:?}");
        for path in spec.idle() {
            // Words that mean something elsewhere.
            for text in [
                "",
                "x",
                "message_stop",
                "message-end",
                "response.failed",
                "stop",
                "error",
            ] {
                let mut note = Note::default();
                spec.response(path, &Scalar::Text(text), &mut note);
                assert_eq!(note, Note::default(), "{dialect:?} {path:?} {text}");
            }
            for number in [0, 1, 1_000] {
                let mut note = Note::default();
                spec.response(path, &Scalar::Whole(number), &mut note);
                assert_eq!(note, Note::default(), "{dialect:?} {path:?} {number}");
            }
        }
    }
}
