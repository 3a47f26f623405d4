use proptest::{collection::vec, prelude::*};
use serde::de::IgnoredAny;

use super::{
    super::walk::{Sink, walk},
    *,
};

/// Writes down what it is shown; passes over `skip`, stops at `stop`.
#[derive(Default)]
struct Log(Vec<String>);

fn step(path: &[&str]) -> Step {
    match path.last() {
        Some(&"skip") => Step::Skip,
        Some(&"stop") => Step::Stop,
        _ => Step::Read,
    }
}

impl Look for Log {
    fn enter(&mut self, path: &[&str]) -> Step {
        step(path)
    }

    fn text(&mut self, path: &[&str], text: Quoted<'_>) {
        let read = text.read().expect("UTF-8");
        assert_eq!(text.bytes, read.len() as u64);
        assert!(
            read.as_bytes()
                .starts_with(&text.head(3)[..read.len().min(3)])
        );
        assert!(text.starts_with(&read.as_bytes()[..read.len().min(2)]));
        assert!(!text.starts_with(b"something else"));
        self.0.push(format!("{}={read:?}", path.join(".")));
    }

    fn scalar(&mut self, path: &[&str], value: Scalar<'_>) {
        let value = match value {
            Scalar::OtherNumber(_) => "a number".to_owned(),
            value => format!("{value:?}"),
        };
        self.0.push(format!("{}={value}", path.join(".")));
    }

    fn known(&self, key: &str) -> Option<&'static str> {
        ["model", "skip", "stop", "a"]
            .into_iter()
            .find(|known| *known == key)
    }
}

impl Sink for Log {
    fn enter(&mut self, path: &[&str]) -> Step {
        step(path)
    }

    fn scalar(&mut self, path: &[&str], value: Scalar<'_>) {
        match value {
            Scalar::Text(text) => self.0.push(format!("{}={text:?}", path.join("."))),
            value => Look::scalar(self, path, value),
        }
    }
}

fn scanned(json: &[u8]) -> (Vec<String>, Result<(), Ended>) {
    let mut log = Log::default();
    let ended = scan(json, &mut log);
    (log.0, ended)
}

fn walked(json: &[u8]) -> (Vec<String>, bool) {
    let mut log = Log::default();
    let whole = walk(json, &mut log).is_ok();
    (log.0, whole)
}

#[test]
fn it_is_shown_what_a_walk_is_shown() {
    for json in [
        r#"{"a":[{"b":1},{"b":"x"}],"c":[],"d":null,"e":{}}"#,
        r#" { "a" : [ true , false , [ [ ] ] , -1 , 0 , 1.5 , 2e3 , -0 , 0.0E-1 ] } "#,
        r#"{"mod\u0065l":true,"a":"\"\\\/\b\f\n\r\t\u00fc\ud83d\ude00ü😀"}"#,
        r#"{"skip":{"x":[1e999,{}],"skip":1},"y":"z","x":{"skip":[[{"a":1}]],"a":{"stop":1}}}"#,
        r#"[[[{"a":[{"b":{"c":{"d":{"e":{"f":{"g":{"h":{"i":1}}}}}}}}]}]],"b"]"#,
        "\"x\"",
        "5",
    ] {
        let (seen, whole) = walked(json.as_bytes());
        let (shown, ended) = scanned(json.as_bytes());
        assert_eq!((&shown, ended.is_ok()), (&seen, whole), "{json}");
        assert_eq!(ended == Err(Ended::Stopped), json.contains("stop"));
    }
}

#[test]
fn what_is_no_json_is_none() {
    for json in [
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"\\\"",
        "{,}",
        "[,]",
        "[1,]",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{"a" 1}"#,
        r#"{a:1}"#,
        "{1:1}",
        "[1 2]",
        "[1}",
        r#"{"a":1]"#,
        "{}{}",
        "1 2",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "1e+",
        "+1",
        "tru",
        "truex",
        "nul",
        "NaN",
        "'a'",
        "\u{feff}{}",
        "\"\u{1}\"",
        "\"\n\"",
        r#""\x""#,
        r#""\u12g4""#,
        r#""\u123"#,
        r#""\ud83d\u12"#,
        "\"a",
        "[\"a\\",
        "{\"a\":[}",
        "[[]",
    ] {
        assert_eq!(scanned(json.as_bytes()).1, Err(Ended::NotJson), "{json:?}");
        assert!(!walked(json.as_bytes()).1, "{json:?}");
    }
}

#[test]
fn depth_is_neither_an_error_nor_a_stack_overflow() {
    for (open, close) in [("[", "]"), (r#"{"k":"#, "}")] {
        let json = |depth: usize| format!("{}\"x\"{}", open.repeat(depth), close.repeat(depth));
        for depth in [NESTING - 1, NESTING, NESTING + 1, 2 * NESTING + 1, 100_000] {
            let (shown, ended) = scanned(json(depth).as_bytes());
            assert_eq!(
                (shown.len(), ended),
                (usize::from(depth < NESTING), Ok(())),
                "{depth}"
            );
        }
        let cut = json(100_000);
        assert_eq!(
            scanned(&cut.as_bytes()[..cut.len() - 1]).1,
            Err(Ended::NotJson)
        );
    }
}

#[test]
fn keys_that_are_shown_are_utf8() {
    for (json, whole) in [
        (&b"{\"\xff\":1}"[..], false),
        (b"{\"skip\":[\"\xff\",{\"\xff\":1}]}", true),
    ] {
        assert_eq!(scanned(json).1.is_ok(), whole);
    }
}

/// Runs are looked at in three ways, by eight bytes, by blocks, by a search: every length, with what ends it at every place.
#[test]
fn strings_of_every_length() {
    for length in (0..100).chain(FAR - 20..FAR + 100) {
        let text = "x".repeat(length);
        for (end, is_json) in [
            ("", true),
            (r"\n", true),
            ("ü", true),
            ("\u{7f}", true),
            ("\u{1f}", false),
            ("\0", false),
        ] {
            for after in ["", "yz", "0123456789"] {
                let json = format!("\"{text}{end}{after}\"");
                let (shown, ended) = scanned(json.as_bytes());
                assert_eq!(ended.is_ok(), is_json, "{json:?}");
                assert_eq!((shown, is_json), walked(json.as_bytes()), "{json:?}");
            }
        }
    }
}

#[test]
fn half_a_pair_is_replaced() {
    for json in [r#""\ud83dx""#, r#""\ude00x""#, r#""\ud83d\ud83d\ude00""#] {
        let (shown, ended) = scanned(json.as_bytes());
        assert_eq!(ended, Ok(()));
        assert!(shown[0].contains('\u{fffd}'), "{shown:?}");
    }
}

const PIECES: [&str; 30] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    " ",
    "\n",
    "null",
    "true",
    "false",
    "-1",
    "0",
    "1.5e3",
    "1e999",
    "\"a\"",
    "\"a\":",
    "\"skip\":",
    "\"m\\u006fdel\":",
    "\"\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "\"ü\"",
    "{}",
    "[]",
    "{\"a\":",
    "[1,",
    "],",
    "},",
];

proptest! {
    #[test]
    fn it_is_json_to_both_or_to_none(pieces in vec(0..PIECES.len(), 0..14)) {
        let json: String = pieces.into_iter().map(|piece| PIECES[piece]).collect();
        let (shown, ended) = scanned(json.as_bytes());
        let is_json = serde_json::from_str::<IgnoredAny>(&json).is_ok();
        prop_assert_eq!(ended.is_ok(), is_json, "{}", json);
        let (seen, whole) = walked(json.as_bytes());
        if whole {
            prop_assert_eq!(shown, seen);
        }
    }
}
