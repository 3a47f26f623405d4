//! What every stream is held to, however it is framed.

use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use tower_quota::wire::{Dialect, Meter, Reading, Stage};

use super::{chunks::Cuts, memory::allocated};

pub(crate) const SSE: &str = "text/event-stream";
pub(crate) const NDJSON: &str = "application/x-ndjson";
pub(crate) const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";

/// More than any count that is believed, some of which are added up.
const SANE: u64 = 10_000_000_000_000;
/// What a meter may hold besides the event that is open: the event that the next one may be like, the strings that it
/// has read, and buffers that are kept for the next event.
const HELD: usize = 96 * 1024;
/// A buffer that grows is twice as large as what is in it, and an event may be in two of them.
const OPEN: usize = 8;

fn meter(dialect: Dialect, content_type: &'static str) -> Meter {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Meter::new(dialect, StatusCode::OK, &headers)
}

/// What is read of `stream`: the same however it is cut, which is held here.
pub(crate) fn read(
    dialect: Dialect,
    content_type: &'static str,
    stream: &[u8],
    cuts: &Cuts,
) -> Reading {
    let [whole, others @ ..] = cuts.all(stream);
    let whole = read_chunks(dialect, content_type, &whole);
    for chunks in others {
        let cut = read_chunks(dialect, content_type, &chunks);
        assert_eq!(cut, whole, "{dialect:?} in {} pieces", chunks.len());
    }
    ends_with_our_error(dialect, content_type, stream);
    does_not_grow(dialect, content_type, stream);
    whole
}

/// What is read of one stream of events in this framing, and of the same events in another, has to be the same but for
/// the bytes.
pub(crate) fn said(dialect: Dialect, content_type: &'static str, stream: &[u8]) -> Reading {
    let mut reading = read_chunks(dialect, content_type, &[stream]);
    reading.bytes = 0;
    reading
}

fn read_chunks(dialect: Dialect, content_type: &'static str, chunks: &[&[u8]]) -> Reading {
    let before = allocated();
    let mut meter = meter(dialect, content_type);
    let (mut passed, mut seen, mut stage) = (0, 0, Stage::Preamble);
    for (at, chunk) in chunks.iter().enumerate() {
        meter.push(chunk);
        passed += chunk.len();
        assert!(
            allocated() - before <= HELD + OPEN * passed,
            "after {passed}"
        );
        // Not each of very many times.
        if chunks.len() > 64 && at % 16 != 0 {
            continue;
        }
        let reading = meter.reading();
        assert_eq!(reading.bytes, passed as u64);
        assert!(reading.output_seen >= seen, "what was seen is not unseen");
        assert!(reading.output_seen <= reading.bytes);
        seen = reading.output_seen;
        sane(&reading);
        let now = meter.stage("openai");
        assert!(
            stage == Stage::Preamble || now == stage,
            "{stage:?}, then {now:?}"
        );
        stage = now;
    }
    meter.end();
    let reading = meter.reading();
    sane(&reading);
    meter.push(b"data: {\"choices\":[]}\n\n");
    meter.end();
    assert_eq!(meter.reading(), reading, "it is over");
    reading
}

fn sane(reading: &Reading) {
    let usage = reading.usage.unwrap_or_default();
    assert!(
        usage.cache_read + usage.cache_write <= usage.input,
        "{usage:?}"
    );
    assert!(usage.cache_write_long <= usage.cache_write, "{usage:?}");
    assert!(usage.reasoning <= usage.output, "{usage:?}");
    assert!(usage.total() <= SANE, "{usage:?}");
    assert!(reading.usage.is_some() || !reading.usage_is_final);
    assert!(!(reading.usage_is_final && reading.error.is_some()));
}

/// Wherever it says that it can be ended with an error, it can.
fn ends_with_our_error(dialect: Dialect, content_type: &'static str, stream: &[u8]) {
    let is_bedrock = matches!(dialect, Dialect::BedrockConverse | Dialect::BedrockInvoke);
    if is_bedrock && content_type != EVENT_STREAM {
        // It sends no other streams, and how these end with an error is not known.
        return;
    }
    let mut meter = meter(dialect, content_type);
    meter.push(stream);
    let ending = meter.last_event("budget_exceeded", StatusCode::PAYMENT_REQUIRED, "no");
    let Some(ending) = ending else { return };
    meter.push(&ending);
    meter.end();
    let reading = meter.reading();
    assert!(
        reading.error.is_some() && !reading.usage_is_final,
        "{dialect:?}"
    );
}

/// Event after event, nothing is heaped up.
fn does_not_grow(dialect: Dialect, content_type: &'static str, stream: &[u8]) {
    const FEW: usize = 3;
    const MANY: usize = 7;
    let mut meter = meter(dialect, content_type);
    let before = allocated();
    let mut held = [0; MANY];
    for held in &mut held {
        meter.push(stream);
        // Frames have no such end; what is open there is dropped by its length.
        meter.push(b"\n\n");
        *held = allocated().saturating_sub(before);
    }
    let open = if content_type == EVENT_STREAM {
        OPEN * MANY * (stream.len() + 2)
    } else {
        0
    };
    let early = held[..FEW].iter().max().copied().unwrap_or_default();
    let late = held[FEW..].iter().max().copied().unwrap_or_default();
    assert!(
        late <= early + open + 4 * 1024,
        "{early} bytes at first, then {late}"
    );
}

/// The same events with spaces behind each, a number that changes, so that none is like the one before: each is parsed.
pub(crate) fn spaced(events: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let space = |(at, event): (usize, &Vec<u8>)| {
        let mut event = event.clone();
        event.resize(event.len() + 1 + at % 5, b' ');
        event
    };
    events.iter().enumerate().map(space).collect()
}

pub(crate) fn as_lines(events: &[Vec<u8>]) -> Vec<u8> {
    events
        .iter()
        .flat_map(|event| [&event[..], b"\n"].concat())
        .collect()
}

pub(crate) fn as_sse(events: &[Vec<u8>]) -> Vec<u8> {
    let event = |event: &Vec<u8>| [b"data: ", &event[..], b"\n\n"].concat();
    events.iter().flat_map(event).collect()
}

pub(crate) fn as_frames(events: &[Vec<u8>]) -> Vec<u8> {
    let frame = |event: &Vec<u8>| super::event_stream::frame(b"", event);
    events.iter().flat_map(frame).collect()
}

/// The same events say the same, in whatever framing, and whether or not they were compared instead of parsed. None
/// of them may have an end of line in it, or be blank.
pub(crate) fn says_the_same_in_every_framing(dialect: Dialect, events: &[Vec<u8>]) {
    let plain = said(dialect, NDJSON, &as_lines(events));
    // Spaces around what is wrapped make no difference to what is in it, and count where it cannot be unwrapped.
    if dialect != Dialect::BedrockInvoke {
        let parsed = said(dialect, NDJSON, &as_lines(&spaced(events)));
        assert_eq!(plain, parsed, "{dialect:?}: alike, and parsed");
    }
    assert_eq!(
        plain,
        said(dialect, SSE, &as_sse(events)),
        "{dialect:?}: SSE"
    );
    let framed = said(dialect, EVENT_STREAM, &as_frames(events));
    assert_eq!(plain, framed, "{dialect:?}: frames");
}

/// Whether an event can stand in every framing.
pub(crate) fn fits_everywhere(event: &[u8]) -> bool {
    let is_cut = event.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
    !is_cut && !event.trim_ascii().is_empty()
}
