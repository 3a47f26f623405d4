//! What is compared says what is read.

use std::{fs, path::Path};

use proptest::prelude::*;

use super::*;

const ANSWERS: [(&str, Dialect); 6] = [
    ("openai-chat.json", Dialect::OpenAiChat),
    ("openai-responses.json", Dialect::OpenAiResponses),
    ("anthropic-message.json", Dialect::AnthropicMessages),
    ("gemini-generate.json", Dialect::Gemini),
    ("bedrock-converse.json", Dialect::BedrockConverse),
    ("ollama-chat.json", Dialect::Ollama),
];

fn answer(name: &str) -> String {
    fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/wire")
            .join(name),
    )
    .unwrap()
}

/// With another letter or digit in place of one, or more of them, or none.
fn changed(answer: &str, at: prop::sample::Index, by: &str) -> String {
    let places: Vec<usize> = answer
        .match_indices(|c: char| c.is_ascii_alphanumeric())
        .map(|(at, _)| at)
        .collect();
    let at = *at.get(&places);
    format!("{}{by}{}", &answer[..at], &answer[at + 1..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn comparing_reads_what_parsing_reads(
        changes in prop::collection::vec(
            (0..ANSWERS.len(), any::<prop::sample::Index>(), r#"(a|7|\\n|\\"|\\x|é|"|,|-|\.|){0,3}"#),
            1..40,
        ),
    ) {
        let mut shapes = Shapes::default();
        for (which, at, by) in changes {
            let (name, dialect) = ANSWERS[which];
            let whole = answer(name);
            for json in [whole.clone(), changed(&whole, at, &by)] {
                let json = json.trim_ascii_end().as_bytes();
                prop_assert_eq!(shapes.read(dialect, json, true), read(dialect.spec(), json));
            }
        }
    }
}

#[test]
fn the_second_answer_of_a_kind_is_compared() {
    for (name, dialect) in ANSWERS {
        if dialect == Dialect::BedrockConverse {
            // What it counts hangs on what stands beside it: it is read each time.
            continue;
        }
        let (first, mut shapes) = (answer(name), Shapes::default());
        let note = shapes.read(dialect, first.as_bytes(), true).unwrap();
        assert_eq!(shapes.misses, 1, "{name}");
        assert_eq!(
            shapes.read(dialect, first.as_bytes(), true),
            Some(note),
            "{name}"
        );
        assert_eq!(shapes.misses, 0, "{name}");
    }
}

/// Nothing else is left out with the names, and they are not lost for whoever asks next.
#[test]
fn without_its_names_an_answer_counts_the_same() {
    for (name, dialect) in ANSWERS {
        let (json, mut shapes) = (answer(name), Shapes::default());
        let whole = shapes.read(dialect, json.as_bytes(), true).unwrap();
        let mut counted = shapes.read(dialect, json.as_bytes(), false).unwrap();
        assert_eq!(
            shapes.read(dialect, json.as_bytes(), true),
            Some(whole.clone())
        );
        counted.model.clone_from(&whole.model);
        counted.finish.clone_from(&whole.finish);
        assert_eq!(counted, whole, "{name}");
    }
}

#[test]
fn another_dialect_is_not_taken_for_it() {
    let (json, mut shapes) = (answer("openai-chat.json"), Shapes::default());
    assert!(
        shapes
            .read(Dialect::OpenAiChat, json.as_bytes(), true)
            .is_some()
    );
    let other = shapes.read(Dialect::Ollama, json.as_bytes(), true);
    assert_eq!(other, read(Dialect::Ollama.spec(), json.as_bytes()));
    assert_eq!(shapes.misses, 2);
}

#[test]
fn errors_and_answers_without_text_are_learnt_from_by_none() {
    let mut shapes = Shapes::default();
    for json in [
        r#"{"error":{"message":"m"},"choices":[{"message":{"content":"x"}}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
        r#"{"choices":"#,
    ] {
        let _ = shapes.read(Dialect::OpenAiChat, json.as_bytes(), true);
    }
    assert!(shapes.known.is_empty());
}

#[test]
fn answers_that_never_repeat_are_hardly_learnt_from_and_few_are_kept() {
    let mut shapes = Shapes::default();
    let answer = |number: u32| {
        let keys = "k".repeat(number as usize + 1);
        format!(r#"{{"{keys}":1,"choices":[{{"message":{{"content":"x"}}}}]}}"#)
    };
    let mut learnt = 0;
    for number in 0..20 * TRIES {
        let before = shapes.oldest;
        let json = answer(number);
        assert!(
            shapes
                .read(Dialect::OpenAiChat, json.as_bytes(), true)
                .is_some()
        );
        learnt += usize::from(shapes.oldest != before || shapes.known.len() < MOST);
    }
    assert!(learnt <= TRIES as usize + 20, "{learnt}");
    assert_eq!(shapes.known.len(), MOST);
    // And one that does repeat itself then is found in time.
    for _ in 0..=TRIES {
        let _ = shapes.read(Dialect::OpenAiChat, answer(0).as_bytes(), true);
    }
    assert_eq!(shapes.misses, 0);
}
