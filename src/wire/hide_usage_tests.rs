use proptest::{collection::vec, prelude::*};

use super::*;

fn hide<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hide = HideUsage::default();
    let mut shown = Vec::new();
    for chunk in chunks {
        shown.extend_from_slice(&hide.push(chunk));
    }
    shown.extend_from_slice(&hide.end());
    String::from_utf8(shown).unwrap()
}

fn hide_all(stream: &str) -> String {
    hide([stream.as_bytes()])
}

#[test]
fn takes_out_a_null_wherever_it_stands() {
    for (with, without) in [
        (r#"{"a":1,"usage":null}"#, r#"{"a":1}"#),
        (r#"{"a":1,"usage":null,"b":2}"#, r#"{"a":1,"b":2}"#),
        (r#"{"usage":null,"b":2}"#, r#"{"b":2}"#),
        (r#"{ "usage" : null , "b": 2 }"#, r#"{ "b": 2 }"#),
        (r#"{"a": 1, "usage": null, "b": 2}"#, r#"{"a": 1, "b": 2}"#),
        (r#"{"usage":null}"#, "{}"),
        (r#"{"choices":[],"usage":null}"#, r#"{"choices":[]}"#),
        (
            r#"{"a":"\"usage\":null","usage":null}"#,
            r#"{"a":"\"usage\":null"}"#,
        ),
    ] {
        for end in ["\n\n", "\r\n\r\n", "\r\r"] {
            for start in ["data: ", "data:", "id: 1\ndata: "] {
                let event = |json: &str| format!("{start}{json}{end}");
                assert_eq!(hide_all(&event(with)), event(without));
            }
        }
    }
}

#[test]
fn takes_out_the_chunk_that_has_usage_and_no_choices() {
    for end in ["\n\n", "\r\n\r\n", "\r\r"] {
        for json in [
            r#"{"choices":[],"usage":{"total_tokens":9}}"#,
            r#"{"usage":{}, "choices":[ ]}"#,
        ] {
            let stream = format!("data: a{end}data: {json}{end}: b{end}");
            let expected = format!("data: a{end}: b{end}");
            assert_eq!(hide_all(&stream), expected);
            assert_eq!(hide(stream.as_bytes().chunks(1)), expected);
        }
    }
}

#[test]
fn passes_everything_else() {
    for json in [
        r#"{"choices":[{"delta":{}}],"usage":{"total_tokens":9}}"#,
        r#"{"usage":{"total_tokens":9}}"#,
        r#"{"choices":[],"usage":5}"#,
        r#"{"choices":null,"usage":{}}"#,
        r#"{"choices":[{"usage":null}]}"#,
        r#"{"a":"\"usage\":null"}"#,
        r#"{"usage":null,"usage":null}"#,
        r#"{"us\u0061ge":null,"x":"\"usage\""}"#,
        r#"{"usage":null"#,
        r#"["usage",null]"#,
        "[DONE]",
    ] {
        let stream = format!("data: {json}\n\n");
        assert_eq!(hide_all(&stream), stream);
    }
    let two_lines = "data: {\"usage\":\ndata: null}\n\n";
    assert_eq!(hide_all(two_lines), two_lines);
}

#[test]
fn holds_back_no_more_than_the_event_that_is_open() {
    let mut hide = HideUsage::default();
    assert_eq!(&hide.push(b"data: a\n\ndata: b\n")[..], b"data: a\n\n");
    assert_eq!(&hide.push(b"\n: c\r\n\r")[..], b"data: b\n\n: c\r\n\r");
    assert_eq!(&hide.push(b"\ndata")[..], b"\n");
    assert_eq!(&hide.end()[..], b"data");
}

#[test]
fn an_open_event_at_the_end_is_an_event() {
    let usage = r#"data: {"choices":[],"usage":{}}"#;
    assert_eq!(hide_all(usage), "");
    assert_eq!(hide_all(&format!("data: x\n\n{usage}\n")), "data: x\n\n");
}

#[test]
fn an_event_over_the_cap_passes_and_is_not_held() {
    let mut hide = HideUsage::default();
    let long = "x".repeat(EVENT_CAP);
    let stream =
        format!("data: {{\"usage\":null,\"a\":\"{long}\"}}\n\ndata: {{\"usage\":null}}\n\n");
    let mut shown = Vec::new();
    for chunk in stream.as_bytes().chunks(10_000) {
        shown.extend_from_slice(&hide.push(chunk));
        assert!(hide.event.len() <= EVENT_CAP);
    }
    let expected = stream.replace("{\"usage\":null}", "{}");
    assert!(String::from_utf8(shown).unwrap() == expected);
}

#[test]
fn an_event_over_the_cap_keeps_its_line_ends() {
    let usage = "data: {\"choices\":[],\"usage\":{}}\r\n\r\n";
    let long = format!("data: {}\r\ndata: y\r\n\r\n", "x".repeat(EVENT_CAP));
    let stream = format!("{usage}{long}{usage}");
    assert!(hide(stream.as_bytes().chunks(8 * 1024 + 1)) == long);
    // A chunk ends between CR and LF inside of the event.
    let cut = long.find('\n').unwrap();
    assert!(
        hide([
            usage.as_bytes(),
            &long.as_bytes()[..cut],
            &long.as_bytes()[cut..]
        ]) == long
    );
}

#[test]
fn debug_shows_no_content() {
    let mut hide = HideUsage::default();
    hide.push(b"data: secret");
    assert_eq!(format!("{hide:?}"), "HideUsage { held_back: 12, .. }");
}

/// An event as it is with usage asked for, and as it is without.
fn event() -> impl Strategy<Value = (String, String)> {
    let text = "[a-z \\\\\"{}:,é]{0,12}";
    let end = prop_oneof![Just("\n\n"), Just("\r\n\r\n"), Just("\r\r")];
    (0..5, text, any::<bool>(), end).prop_map(|(kind, text, spaced, end)| {
        let text = serde_json::to_string(&text).unwrap();
        let space = if spaced { " " } else { "" };
        let (before, after) = (format!(r#""id":{text}"#), format!(r#""x":{space}{text}"#));
        let choices = format!(r#""choices":[{{"delta":{{"content":{text}}}}}]"#);
        let data = |json: String| format!("data:{space}{json}{end}");
        match kind {
            0 => (
                data(format!(
                    r#"{{{before},{choices},{space}"usage":{space}null,{after}}}"#
                )),
                data(format!("{{{before},{choices},{after}}}")),
            ),
            1 => (
                data(format!(r#"{{{before},{choices},"usage":null}}"#)),
                data(format!("{{{before},{choices}}}")),
            ),
            2 => (
                data(format!(
                    r#"{{{before},"choices":[],"usage":{{"total_tokens":9}}}}"#
                )),
                String::new(),
            ),
            3 => (format!(": OPENROUTER{end}"), format!(": OPENROUTER{end}")),
            _ => (data("[DONE]".into()), data("[DONE]".into())),
        }
    })
}

proptest! {
    #[test]
    fn what_is_left_is_the_stream_without_usage(
        events in vec(event(), 0..8),
        cuts in vec(0_usize..2_000, 0..20),
    ) {
        let with: String = events.iter().map(|(with, _)| &**with).collect();
        let without: String = events.iter().map(|(_, without)| &**without).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (with.len() + 1)).collect();
        cuts.extend([0, with.len()]);
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|ends| &with.as_bytes()[ends[0]..ends[1]]);
        prop_assert_eq!(&hide(chunks), &without);
        prop_assert_eq!(&hide(with.as_bytes().chunks(1)), &without);
    }

    #[test]
    fn other_bytes_pass(bytes in vec(any::<u8>(), 0..200), size in 1_usize..20) {
        let mut hide = HideUsage::default();
        let mut shown = Vec::new();
        for chunk in bytes.chunks(size) {
            shown.extend_from_slice(&hide.push(chunk));
        }
        shown.extend_from_slice(&hide.end());
        prop_assert_eq!(shown, bytes);
    }
}
