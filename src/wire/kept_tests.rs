use std::{fs, path::Path};

use super::*;

fn kept(body: &[u8], chunk: usize) -> Kept {
    let mut kept = Kept::default();
    for chunk in body.chunks(chunk) {
        kept.push(chunk);
        assert!(kept.capacity() <= 2 * WHOLE);
    }
    assert_eq!(kept.is_cut(), body.len() > WHOLE);
    if kept.is_cut() {
        assert!(kept.capacity() <= 2 * (TAIL + THIN));
    }
    kept
}

fn note(dialect: Dialect, body: &str, chunk: usize) -> Option<Note> {
    kept(body.as_bytes(), chunk).read(dialect, true)
}

fn output(body: &str, chunk: usize) -> Option<u64> {
    note(Dialect::AnthropicMessages, body, chunk)?.counts.output
}

fn large(rest: &str) -> String {
    format!(r#"{{"content":[{{"text":"{}"}}],{rest}"#, "x".repeat(WHOLE))
}

/// So large that it is too much without its long parts as well.
fn huge(rest: &str) -> String {
    format!(r#"{{"numbers":[{}1],{rest}"#, "1,".repeat(WHOLE))
}

fn thin(body: &str, chunk: usize) -> Thin {
    let mut thin = Thin::default();
    for chunk in body.as_bytes().chunks(chunk) {
        thin.push(chunk);
    }
    thin
}

#[test]
fn usage_is_found_at_the_end_of_a_large_body() {
    for rest in [
        r#""usage":{"output_tokens":7},"z":[1]}"#,
        "\"usage\" : {\"output_tokens\":7}}\n",
        r#""a":{"usage":{"output_tokens":9}},"usage":{"output_tokens":7},"usage_tier":"x"}"#,
    ] {
        for chunk in [100, 1_000_000, usize::MAX] {
            assert_eq!(output(&large(rest), chunk), Some(7), "{rest}");
            assert_eq!(output(&huge(rest), chunk), Some(7), "{rest}");
        }
    }
}

#[test]
fn no_number_of_nested_usages_hides_the_real_one() {
    let decoys = r#""a":{"usage":{"output_tokens":9}},"#.repeat(TRIES * 2);
    let rest = format!(r#"{decoys}"usage":{{"output_tokens":7}}}}"#);
    assert_eq!(output(&large(&rest), 1_000), Some(7));
    assert_eq!(output(&huge(&rest), 1_000), Some(7));
}

#[test]
fn the_end_of_a_large_body_is_always_at_hand() {
    let body: Vec<u8> = (0_u32..400_000).flat_map(u32::to_le_bytes).collect();
    for chunk in [7_777, TAIL, TAIL + 1, WHOLE] {
        let mut kept = Kept::default();
        let mut passed = 0;
        for chunk in body.chunks(chunk) {
            kept.push(chunk);
            passed += chunk.len();
            assert_eq!(
                last(&kept.bytes, TAIL),
                last(&body[..passed], TAIL),
                "{passed}"
            );
        }
    }
}

#[test]
fn usage_elsewhere_in_a_large_body_is_not_taken() {
    let nested = r#""a":{"usage":{"output_tokens":9}}}"#;
    let quoted = r#""a":"{\"usage\":{\"output_tokens\":9}}"}"#;
    let value = r#""a":"usage","output_tokens":9}"#;
    let cut = r#""usage":{"output_tokens":9},"a":{}"#;
    let absent = r#""z":1}"#;
    for rest in [nested, quoted, value, cut, absent] {
        assert_eq!(output(&large(rest), 1_000), None, "{rest}");
        assert_eq!(output(&huge(rest), 1_000), None, "{rest}");
    }
}

#[test]
fn early_usage_is_found_if_what_follows_is_no_more_than_is_kept() {
    let early = |rest: usize| {
        large(r#""usage":{"output_tokens":9},"a":["#) + &"1,".repeat(rest / 2) + "1]}"
    };
    assert_eq!(output(&early(2 * TAIL), 1_000), Some(9));
    assert_eq!(output(&early(THIN), 1_000), None);
}

#[test]
fn a_body_of_exactly_the_cap_is_kept_whole() {
    let frame = r#"{"a":"","usage":{"output_tokens":7}}"#.len();
    let text = "x".repeat(WHOLE - frame);
    let body = format!(r#"{{"a":"{text}","usage":{{"output_tokens":7}}}}"#);
    assert_eq!(body.len(), WHOLE);
    assert_eq!(output(&body, 1_000), Some(7));
}

#[test]
fn half_a_body_says_nothing() {
    for body in [r#"{"usage":{"output_tokens":7}"#, ""] {
        assert_eq!(note(Dialect::AnthropicMessages, body, 10), None);
    }
    let half = large(r#""usage":{"output_tokens":7}"#);
    assert_eq!(note(Dialect::AnthropicMessages, &half, 1_000), None);
}

#[test]
fn the_tier_is_found_on_either_side_of_the_usage() {
    let usage = r#""usage":{"prompt_tokens":7,"completion_tokens":2}"#;
    let tier = r#""service_tier":"priority""#;
    let nested = r#""a":{"service_tier":"flex"}"#;
    let quoted = r#""a":"\"service_tier\":\"flex\"}""#;
    let value = r#""a":"service_tier""#;
    for (rest, expected) in [
        (format!("{tier},{usage}}}"), Some("priority")),
        (format!("{usage},{tier}}}"), Some("priority")),
        (
            format!("{nested},{tier},{quoted},{usage},{value}}}"),
            Some("priority"),
        ),
        (format!("{nested},{quoted},{value},{usage}}}"), None),
        (format!("{usage},{nested},{quoted},{value}}}"), None),
    ] {
        for body in [large(&rest), huge(&rest)] {
            let note = note(Dialect::OpenAiChat, &body, 10_000).unwrap();
            assert_eq!(note.served.tier.as_deref(), expected, "{rest}");
            assert_eq!((note.counts.input, note.counts.output), (Some(7), Some(2)));
        }
    }
}

#[test]
fn searches_that_a_large_answer_of_gemini_is_grounded_in_are_counted() {
    let body = format!(
        r#"{{"candidates":[{{"content":{{"parts":[{{"inlineData":{{"data":"{}"}}}}]}},
        "groundingMetadata":{{"webSearchQueries":["a","b"]}}}}],
        "usageMetadata":{{"promptTokenCount":7,"candidatesTokenCount":2}}}}"#,
        "A".repeat(WHOLE)
    );
    let note = note(Dialect::Gemini, &body, 10_000).unwrap();
    assert_eq!(note.extras.web_searches, 2);
    assert_eq!((note.counts.input, note.counts.output), (Some(7), Some(2)));
}

#[test]
fn what_is_long_or_deep_is_left_out() {
    let (name, text) = ("n".repeat(LONG), "t".repeat(LONG + 1));
    let quotes = r#"\""#.repeat(LONG);
    let letters = "ü".repeat(LONG);
    for (body, expected) in [
        (format!(r#"{{"a":"{name}"}}"#), None),
        (
            format!(r#"{{"a":"{text}","b":1}}"#),
            Some(r#"{"a":"","b":1}"#),
        ),
        (format!(r#"{{"{text}":"b"}}"#), Some(r#"{"":"b"}"#)),
        (
            format!(r#"{{"a":"{quotes}","b":"{letters}"}}"#),
            Some(r#"{"a":"","b":""}"#),
        ),
        (r#"{"a":"\\","b":"}\"]","c":[{}, null]}"#.to_owned(), None),
        (r#"[[[[[1]]]]]"#.to_owned(), None),
        (
            r#"[[[[[[1,"]"],{"a":{}},2]]]],3]"#.to_owned(),
            Some("[[[[[[],{},2]]]],3]"),
        ),
    ] {
        for chunk in [1, 2, 3, 100, usize::MAX] {
            let kept = String::from_utf8(thin(&body, chunk).bytes).unwrap();
            assert_eq!(kept, expected.unwrap_or(&body), "{chunk}");
        }
    }
}

#[test]
fn brackets_that_do_not_match_are_no_trouble() {
    for body in ["]]}}", "}\"", "[{\"a\":", "\\\"\\", "{]}[\"\\"] {
        let all = body.repeat(1_000);
        assert_eq!(thin(&all, 3).bytes, thin(&all, usize::MAX).bytes);
    }
}

#[test]
fn too_much_is_not_kept_in_part() {
    for part in ["1,", "[],", r#""a","#, r#"{"b":"\n"},"#] {
        let body = format!("[{}1]", part.repeat(THIN));
        for chunk in [1_000, usize::MAX] {
            let thin = thin(&body, chunk);
            assert!(thin.is_too_much && thin.bytes.capacity() == 0, "{part}");
        }
    }
}

#[test]
fn all_that_is_counted_is_left() {
    for (name, dialect) in [
        ("openai-chat.json", Dialect::OpenAiChat),
        ("openrouter-chat.json", Dialect::OpenAiChat),
        ("xai-chat.json", Dialect::OpenAiChat),
        ("openai-responses.json", Dialect::OpenAiResponses),
        ("anthropic-message.json", Dialect::AnthropicMessages),
        ("gemini-generate.json", Dialect::Gemini),
        ("bedrock-converse.json", Dialect::BedrockConverse),
        ("cohere-chat.json", Dialect::CohereChat),
        ("ollama-chat.json", Dialect::Ollama),
    ] {
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire");
        let body = fs::read_to_string(samples.join(name)).unwrap();
        let whole = read(dialect.spec(), body.as_bytes()).unwrap();
        let mut left = read(dialect.spec(), &thin(&body, 100).bytes).unwrap();
        assert!(whole.counts.usage().is_some(), "{name}");
        (left.text, left.has_content) = (whole.text, whole.has_content);
        assert_eq!(left, whole, "{name}");
    }
}
