//! How a body is cut into events: by its content type, and where that leaves it open, its dialect.

mod frames;
mod lines;
mod list;
mod piece;

use bytes::Bytes;
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};

pub(super) use self::frames::Frame;
use self::{
    frames::{Frames, exception},
    lines::Lines,
    list::List,
};
use super::{dialect::Spec, kept::Kept, sse::Parser};

pub(super) enum Framing {
    Sse(Parser),
    Lines(Lines),
    List(List),
    Frames(Frames),
    /// JSON that is a list or is not: its first byte will tell.
    Undecided,
    Json(Kept),
    Counted,
}

impl Framing {
    pub(super) fn of(spec: &dyn Spec, headers: &HeaderMap) -> Framing {
        if spec.request().is_empty() || is_encoded(headers) {
            return Framing::Counted;
        }
        let content_type = headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
        let essence = content_type.and_then(|value| value.split(|byte| *byte == b';').next());
        let essence = essence.unwrap_or_default().trim_ascii();
        let is = |kind: &str| essence.eq_ignore_ascii_case(kind.as_bytes());
        let cap = spec.event_cap();
        if is("application/json") || is_json(essence) {
            if spec.streams_lists() {
                Framing::Undecided
            } else {
                Framing::Json(Kept::default())
            }
        } else if is("text/event-stream") {
            Framing::Sse(Parser::new(cap))
        } else if LINES.iter().any(|kind| is(kind)) {
            Framing::Lines(Lines::new(cap))
        } else if is(FRAMES) {
            Framing::Frames(Frames::new(cap))
        } else {
            Framing::Counted
        }
    }

    /// Takes the next chunk of the body and hands on the events that it completes.
    pub(super) fn push(
        &mut self,
        spec: &dyn Spec,
        chunk: &[u8],
        mut on_event: impl FnMut(Frame<'_>),
    ) {
        if let Framing::Undecided = self {
            match chunk.trim_ascii_start().first() {
                None => return,
                Some(b'[') => *self = Framing::List(List::new(spec.event_cap())),
                Some(_) => *self = Framing::Json(Kept::default()),
            }
        }
        let mut on_data = |data: &[u8]| on_event(Frame::Event(data));
        match self {
            Framing::Sse(parser) => parser.push(chunk, |event| on_data(event.data)),
            Framing::Lines(lines) => lines.push(chunk, &mut on_data),
            Framing::List(list) => list.push(chunk, &mut on_data),
            Framing::Frames(frames) => frames.push(chunk, &mut on_event),
            Framing::Json(kept) => kept.push(chunk),
            Framing::Undecided | Framing::Counted => {}
        }
    }

    /// The body ended cleanly.
    pub(super) fn end(&mut self, mut on_event: impl FnMut(Frame<'_>)) {
        let mut on_data = |data: &[u8]| on_event(Frame::Event(data));
        match self {
            Framing::Sse(parser) => parser.end(|event| on_data(event.data)),
            Framing::Lines(lines) => lines.end(&mut on_data),
            Framing::Frames(frames) => frames.end(),
            Framing::List(_) | Framing::Undecided | Framing::Json(_) | Framing::Counted => {}
        }
    }

    /// Whether what passes is made while it passes.
    pub(super) fn is_stream(&self) -> bool {
        !matches!(
            self,
            Framing::Undecided | Framing::Json(_) | Framing::Counted
        )
    }

    /// Whether all that passed so far is whole events.
    pub(super) fn is_between(&self) -> bool {
        match self {
            Framing::Sse(parser) => parser.is_between(),
            Framing::Lines(lines) => lines.is_between(),
            Framing::List(list) => list.may_go_on().is_some(),
            Framing::Frames(frames) => frames.is_between(),
            Framing::Undecided | Framing::Json(_) | Framing::Counted => false,
        }
    }

    /// Bytes of events that could not be read.
    pub(super) fn dropped_bytes(&self) -> u64 {
        match self {
            Framing::Sse(parser) => parser.dropped_bytes(),
            Framing::Lines(lines) => lines.dropped_bytes(),
            Framing::List(list) => list.dropped_bytes(),
            Framing::Frames(frames) => frames.dropped_bytes(),
            Framing::Undecided | Framing::Json(_) | Framing::Counted => 0,
        }
    }

    /// Whether the outermost bracket of a list is closed.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Framing::List(list) if list.is_closed())
    }

    /// The event `data`, framed, as the last of this stream; nothing where none may follow.
    pub(super) fn last_event(
        &self,
        name: Option<&str>,
        data: &str,
        end_mark: Option<&[u8]>,
    ) -> Option<Bytes> {
        if !self.is_between() {
            return None;
        }
        let bytes = match self {
            Framing::Sse(_) => {
                let name = name.map(|name| format!("event: {name}\n"));
                let end =
                    end_mark.map(|mark| format!("data: {}\n\n", String::from_utf8_lossy(mark)));
                let (name, end) = (name.unwrap_or_default(), end.unwrap_or_default());
                format!("{name}data: {data}\n\n{end}").into_bytes()
            }
            Framing::Lines(_) => format!("{data}\n").into_bytes(),
            Framing::List(list) => {
                let before = match (list.is_open(), list.may_go_on()?) {
                    (false, _) => "[",
                    (true, false) => "",
                    (true, true) => ",",
                };
                format!("{before}{data}]").into_bytes()
            }
            Framing::Frames(_) => exception(name.unwrap_or_default(), data.as_bytes()),
            Framing::Undecided | Framing::Json(_) | Framing::Counted => return None,
        };
        Some(bytes.into())
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        match self {
            Framing::Sse(parser) => parser.capacity(),
            Framing::Lines(lines) => lines.capacity(),
            Framing::List(list) => list.capacity(),
            Framing::Frames(frames) => frames.capacity(),
            Framing::Json(kept) => kept.capacity(),
            Framing::Undecided | Framing::Counted => 0,
        }
    }
}

/// Whether a kind of its own is written in JSON.
fn is_json(essence: &[u8]) -> bool {
    let suffix = essence.last_chunk::<5>();
    suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json"))
}

const LINES: [&str; 4] = [
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
];

const FRAMES: &str = "application/vnd.amazon.eventstream";

pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}
