use proptest::prelude::*;

use super::*;

fn quoted(json: &str) -> Quoted<'_> {
    let raw = &json.as_bytes()[1..json.len() - 1];
    let text: String = serde_json::from_str(json).unwrap();
    Quoted::new(raw, raw.len() - text.len())
}

#[test]
fn what_has_no_escapes_is_not_copied() {
    let text = quoted(r#""as it is, ü""#);
    assert!(!text.has_escapes());
    assert!(matches!(text.read(), Some(Cow::Borrowed("as it is, ü"))));
    assert!(matches!(text.head(2), Cow::Borrowed(b"as")));
}

#[test]
fn of_a_head_no_more_is_made_out_than_is_asked_for() {
    let long = "A".repeat(1_000);
    for json in [
        format!(r#""{}""#, r"\n".repeat(1_000)),
        format!(r#""{long}\n""#),
        format!(r#""\n{long}""#),
        format!(r#""A\u00fc\ud83d\ude00{long}""#),
    ] {
        for count in 0..9 {
            let head = quoted(&json).head(count);
            assert!((count..count + 4).contains(&head.len()), "{json}");
        }
    }
    assert_eq!(&*quoted(r#""a\nbc""#).head(3), b"a\nb");
}

#[test]
fn what_a_text_starts_with_is_not_what_its_escapes_do() {
    assert!(!quoted(r#""\t""#).starts_with(b"\\"));
    assert!(!quoted(r#""\"""#).starts_with(b"\\\""));
    assert!(quoted(r#""\u0064ata:""#).starts_with(b"data:"));
}

#[test]
fn what_is_no_utf_8_says_nothing() {
    for raw in [&b"\xff"[..], b"a\\n\xc3"] {
        assert_eq!(read(raw), None);
    }
}

proptest! {
    #[test]
    fn it_says_what_a_parser_says(text in "(\\PC|[\"\\\\/\n\t\u{1}])*", start in "\\PC{0,2}") {
        let json = serde_json::to_string(&text).unwrap();
        let raw = &json.as_bytes()[1..json.len() - 1];
        let found = Quoted::new(raw, raw.len() - text.len());
        prop_assert_eq!(found.read().unwrap(), &*text);
        prop_assert_eq!(found.has_escapes(), raw != text.as_bytes());
        prop_assert!(text.as_bytes().starts_with(&found.head(3)[..text.len().min(3)]));
        prop_assert_eq!(found.starts_with(start.as_bytes()), text.starts_with(&*start));
    }
}

#[cfg(feature = "tiktoken")]
proptest! {
    #[test]
    fn parts_are_short_and_end_between_characters_and_escapes(
        letters in prop::collection::vec(
            prop_oneof![
                Just("a"), Just("ü"), Just("😀"), Just(r"\n"), Just(r"\\"), Just(r"\u00fc"), Just(r"\ud83d\ude00"),
                Just(r"\ud83d"),
            ],
            0..60,
        ),
        most in 12_usize..30,
    ) {
        let raw = letters.concat();
        let whole = Quoted::new(raw.as_bytes(), 0);
        let parts: Vec<&[u8]> = whole.parts(most).collect();
        prop_assert_eq!(parts.concat(), raw.as_bytes());
        for (number, part) in parts.iter().enumerate() {
            prop_assert!(part.len() <= most && (number + 1 == parts.len() || part.len() + 12 > most));
        }
        let said: Option<Vec<_>> = parts.iter().map(|part| read(part)).collect();
        prop_assert_eq!(said.unwrap().concat(), read(raw.as_bytes()).unwrap());
    }

    #[test]
    fn parts_of_anything_are_all_of_it(raw in prop::collection::vec(prop_oneof![Just(b'\\'), any::<u8>()], 0..90)) {
        let whole = Quoted::new(&raw, 0);
        prop_assert_eq!(whole.parts(12).collect::<Vec<_>>().concat(), raw);
    }
}
