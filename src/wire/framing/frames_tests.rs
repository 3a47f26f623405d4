use super::*;

/// A frame with these raw headers.
fn frame(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let length = |length: usize| u32::try_from(length).unwrap().to_be_bytes();
    let mut frame = Vec::new();
    frame.extend_from_slice(&length(SMALLEST + headers.len() + payload.len()));
    frame.extend_from_slice(&length(headers.len()));
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(headers);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame
}

/// What is found, with `!` before the name of an exception, and how many bytes were dropped.
fn found(stream: &[u8], size: usize, cap: usize) -> (Vec<String>, u64) {
    let mut frames = Frames::new(cap);
    let mut found = Vec::new();
    for chunk in stream.chunks(size) {
        frames.push(chunk, &mut |frame: Frame<'_>| {
            found.push(match frame {
                Frame::Event(payload) => String::from_utf8_lossy(payload).into_owned(),
                Frame::Exception { name, payload } => {
                    format!("!{name} {}", String::from_utf8_lossy(payload))
                }
            });
        });
    }
    frames.end();
    (found, frames.dropped_bytes())
}

#[test]
fn frames_however_they_are_cut() {
    let stream = [frame(b"", b"one"), exception("no", b"{}"), frame(b"", b"")].concat();
    for size in 1..=stream.len() {
        let expected = ["one", "!no {}", ""].map(str::to_owned).to_vec();
        assert_eq!(found(&stream, size, 1_000), (expected, 0), "{size}");
    }
}

#[test]
fn headers_of_every_type_are_passed_over() {
    let mut headers = Vec::new();
    for (kind, length) in [
        (0, 0),
        (1, 0),
        (2, 1),
        (3, 2),
        (4, 4),
        (5, 8),
        (8, 8),
        (9, 16),
    ] {
        headers.extend_from_slice(&[1, b'x', kind]);
        headers.extend(std::iter::repeat_n(0xff, length));
    }
    headers.extend_from_slice(&[1, b'x', 6, 0, 2, 0xff, 0xff]);
    headers.extend_from_slice(b"\x0d:message-type\x07\x00\x05error");
    headers.extend_from_slice(b"\x0b:error-code\x07\x00\x02no");
    headers.extend_from_slice(b"\x0e:error-message\x07\x00\x03why");
    let stream = frame(&headers, b"{}");
    assert_eq!(found(&stream, 5, 1_000), (vec!["!no why".to_owned()], 0));
}

#[test]
fn a_wrong_crc_drops_the_frame_and_not_the_next() {
    let mut stream = [frame(b"", b"one"), frame(b"", b"two")].concat();
    stream[13] ^= 1;
    for size in [1, 7, 100] {
        assert_eq!(found(&stream, size, 1_000), (vec!["two".to_owned()], 19));
    }
}

#[test]
fn a_wrong_crc_of_the_lengths_drops_all_that_follows() {
    for at in 0..PRELUDE {
        let mut stream = [frame(b"", b"one"), frame(b"", b"two")].concat();
        stream[19 + at] ^= 1;
        assert_eq!(
            found(&stream, 3, 1_000),
            (vec!["one".to_owned()], 19),
            "{at}"
        );
    }
}

#[test]
fn lengths_that_make_no_sense() {
    for (total, headers) in [(0_u32, 0_u32), (15, 0), (16, 1), (u32::MAX, u32::MAX)] {
        let mut stream = [total.to_be_bytes(), headers.to_be_bytes()].concat();
        stream.extend_from_slice(&crc32fast::hash(&stream).to_be_bytes());
        stream.extend_from_slice(b"rest");
        assert_eq!(found(&stream, 5, 1_000), (vec![], 16), "{total} {headers}");
    }
}

#[test]
fn a_frame_over_the_cap_is_dropped_and_the_next_is_not() {
    let stream = [frame(b"", &[b'x'; 100]), frame(b"", b"two")].concat();
    for size in [1, 50, 1_000] {
        assert_eq!(found(&stream, size, 100), (vec!["two".to_owned()], 116));
    }
}

#[test]
fn headers_that_are_none_drop_the_frame() {
    for headers in [
        &b"\x05x"[..],
        b"\x01x",
        b"\x01x\x0a",
        b"\x01x\x07\x00",
        b"\x01x\x07\x00\x05a",
    ] {
        let stream = frame(headers, b"");
        assert_eq!(found(&stream, 9, 1_000), (vec![], stream.len() as u64));
    }
}

#[test]
fn a_frame_that_is_cut_off_is_dropped() {
    let stream = frame(b"", b"one");
    for cut in 1..stream.len() {
        assert_eq!(
            found(&stream[..cut], 4, 1_000),
            (vec![], cut as u64),
            "{cut}"
        );
    }
}
