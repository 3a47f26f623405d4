use super::*;

const CAP: usize = 64;

/// The events of `chunks` as `name=data`, and the bytes that were dropped.
fn parse<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, end: bool) -> (Vec<String>, u64) {
    let mut parser = Parser::new(CAP);
    let mut events = Vec::new();
    let mut on_event = |event: Event<'_>| {
        events.push(format!(
            "{}={}",
            event.name,
            String::from_utf8_lossy(event.data)
        ));
    };
    for chunk in chunks {
        parser.push(chunk, &mut on_event);
        assert!(parser.line.len() <= CAP);
        assert!(parser.data.len() <= CAP);
    }
    if end {
        parser.end(&mut on_event);
    }
    (events, parser.dropped_bytes())
}

/// Whole, byte by byte, and in two pieces everywhere: always the same.
fn events(stream: &str) -> Vec<String> {
    let bytes = stream.as_bytes();
    let (whole, dropped) = parse([bytes], false);
    assert_eq!(
        parse(bytes.chunks(1), false),
        (whole.clone(), dropped),
        "{stream:?}"
    );
    for cut in 0..=bytes.len() {
        let (left, right) = bytes.split_at(cut);
        let pieces = parse([left, b"", right], false);
        assert_eq!(pieces, (whole.clone(), dropped), "{stream:?} cut at {cut}");
    }
    whole
}

#[test]
fn lines_end_in_any_of_three_ways() {
    for end in ["\n", "\r", "\r\n"] {
        let stream = format!("event: a{end}data: 1{end}{end}data: 2{end}{end}");
        assert_eq!(events(&stream), ["a=1", "message=2"], "{end:?}");
    }
    assert_eq!(
        events("data: 1\r\n\ndata: 2\n\r\n"),
        ["message=1", "message=2"]
    );
}

#[test]
fn crlf_is_one_line_end_also_across_chunks() {
    assert_eq!(events("data: 1\r\ndata: 2\r\n\r\n"), ["message=1\n2"]);
}

#[test]
fn data_lines_are_joined() {
    assert_eq!(
        events("data: 1\ndata\ndata:2\ndata:  3\n\n"),
        ["message=1\n\n2\n 3"]
    );
    assert_eq!(events("data\n\n"), ["message="]);
    assert_eq!(events("data:\ndata:\n\n"), ["message=\n"]);
}

#[test]
fn what_has_no_data_is_no_event() {
    assert!(events("event: a\n\n\n\n: x\n\nid: 5\nretry: 1\ndat: 1\ndatas: 2\n\n").is_empty());
    assert_eq!(events("event: a\n\ndata: 1\n\n"), ["message=1"]);
}

#[test]
fn comments_are_passed_over() {
    let comment = format!(": {}\n", "x".repeat(200));
    let stream = format!("{comment}\n:\ndata: 1\n{comment}data: 2\n\n");
    assert_eq!(events(&stream), ["message=1\n2"]);
}

#[test]
fn a_byte_order_mark_counts_only_at_the_start() {
    assert_eq!(events("\u{feff}data: 1\n\n"), ["message=1"]);
    assert_eq!(events("\u{feff}\n\ndata: 1\n\n"), ["message=1"]);
    assert!(events("\n\u{feff}data: 1\n\n").is_empty());
}

#[test]
fn an_oversized_event_is_dropped_and_the_next_is_not() {
    let long = "x".repeat(100);
    for oversized in [
        format!("event: a\ndata: {long}\ndata: 1\n: comment\n"),
        format!("{long}\n"),
        format!("event: {long}\n"),
        "data: 12345678\n".repeat(9),
    ] {
        let stream = format!("data: 1\n\n{oversized}\ndata: 2\n\n");
        assert_eq!(events(&stream), ["message=1", "message=2"], "{stream:?}");
        let (_, dropped) = parse([stream.as_bytes()], false);
        assert!(dropped > CAP as u64, "{stream:?}");
    }
}

#[test]
fn an_event_of_exactly_the_cap_is_not_dropped() {
    let fits = "x".repeat(64 - "data: ".len());
    assert_eq!(
        events(&format!("data: {fits}\n\n")),
        [format!("message={fits}")]
    );
    assert!(events(&format!("data: {fits}x\n\n")).is_empty());
}

#[test]
fn events_do_not_add_up_to_the_cap() {
    assert_eq!(events(&"data: 12345678\n\n".repeat(20)).len(), 20);
}

#[test]
fn an_open_event_waits_for_the_end() {
    for stream in [
        "data: 1\n\ndata: 2",
        "data: 1\n\ndata: 2\n",
        "data: 1\n\ndata: 2\r",
    ] {
        assert_eq!(events(stream), ["message=1"], "{stream:?}");
        assert_eq!(
            parse([stream.as_bytes()], true).0,
            ["message=1", "message=2"],
            "{stream:?}"
        );
    }
    assert_eq!(parse([&b"data: 1\n\n"[..]], true).0, ["message=1"]);
}

#[test]
fn bytes_that_are_no_text_are_handed_on() {
    let mut data = Vec::new();
    let mut parser = Parser::new(CAP);
    parser.push(b"event: \xff\ndata: \xff\0\n\n", |event| {
        assert_eq!(event.name, "\u{fffd}");
        data.extend_from_slice(event.data);
    });
    assert_eq!(data, b"\xff\0");
}

#[test]
fn a_large_event_leaves_no_large_buffer() {
    let mut parser = Parser::new(1 << 20);
    let event = format!("data: {}\n\n", "x".repeat(1 << 19));
    for chunk in event.as_bytes().chunks(1_000) {
        parser.push(chunk, |event| assert_eq!(event.data.len(), 1 << 19));
    }
    assert!(parser.data.capacity() <= RETAINED && parser.line.capacity() <= RETAINED);
}

#[test]
fn debug_shows_no_content() {
    let mut parser = Parser::new(CAP);
    parser.push(b"data: secret", |_| {});
    assert!(!format!("{parser:?}").contains("secret"));
}
