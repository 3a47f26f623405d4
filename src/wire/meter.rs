//! What a response consumed, read while it passes.

use std::fmt;

use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};

use super::{
    Dialect,
    dialect::Spec,
    kept::Kept,
    note::Note,
    request::tokens,
    sse::Parser,
    walk::{Scalar, Sink, walk},
};
use crate::usage::Usage;

/// Events larger than this are dropped. The largest known ones repeat a whole answer.
const EVENT_CAP: usize = 1024 * 1024;

/// Reads the usage of one response from its body, chunk by chunk, without changing it.
///
/// - `text/event-stream` is parsed as it passes. An event of more than 1 MiB is not read; its
///   bytes count as text.
/// - `application/json` (and `+json`) is kept and read as soon as it is whole. Of a body of more
///   than 1 MiB only the last 64 KiB are kept; usage is found if it stands in there, as it does in
///   all known dialects, an error is not.
/// - Anything else, anything with a `content-encoding`, and every [`Dialect::Generic`] response is
///   only counted.
///
/// Memory stays below a few times these caps. A meter holds text of the answer, which its `Debug`
/// does not show.
///
/// ```
/// use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
/// use tower_quota::{usage::Usage, wire::{Dialect, Meter}};
///
/// let mut headers = HeaderMap::new();
/// headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
/// let mut meter = Meter::new(Dialect::OpenAiChat, StatusCode::OK, &headers);
/// meter.push(br#"{"choices":[],"usage":{"prompt_tokens":"#);
/// assert!(!meter.reading().complete);
/// meter.push(br#"7,"completion_tokens":2}}"#);
/// meter.end();
/// assert_eq!(meter.reading().usage, Some(Usage::new(7, 2)));
/// ```
pub struct Meter {
    dialect: Dialect,
    is_success: bool,
    bytes: u64,
    is_ended: bool,
    note: Note,
    body: Body,
}

enum Body {
    Sse(Parser),
    Json(Kept),
    Counted,
}

/// What a [`Meter`] knows so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// What the provider reported. Reports in streams are cumulative: the last one wins, and what
    /// it leaves out stays as it was. Negative, fractional and absurdly large numbers (beyond
    /// 10¹²) count as not reported; of a side that was not reported the amount is 0.
    pub usage: Option<Usage>,
    /// `usage` has both sides and is the provider's last word. Otherwise it is a lower bound.
    pub usage_is_final: bool,
    /// Tokens generated so far, estimated from the bytes of text: four to a token, rounded up.
    /// Where text cannot be told from the rest (JSON that is cut off, or too large; unknown and
    /// encoded bodies) all bytes count. 0 for [`Dialect::Generic`] and for statuses other than
    /// 2xx.
    pub output_seen: u64,
    /// The end mark of the stream was seen and no error before it, or a whole JSON body, or the
    /// clean end of a body that is only counted.
    pub complete: bool,
    /// The error that the body or an event of the stream reported, whatever the status.
    pub error: Option<StreamError>,
    /// Bytes of the body so far.
    pub bytes: u64,
}

/// An error object in a response, which may have begun with a 200.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamError {
    /// The provider's `type`, such as `overloaded_error`; empty if there was none.
    pub kind: String,
    /// The provider's `code` (OpenAI) or `details.error_code` (Anthropic), which says more than
    /// the type. Numbers are spelled out.
    pub code: Option<String>,
    /// The message for people; empty if there was none. At most 2 KiB are kept.
    pub message: String,
}

impl Meter {
    /// A meter for a response with this status and these headers.
    #[must_use]
    pub fn new(dialect: Dialect, status: StatusCode, headers: &HeaderMap) -> Meter {
        let body = if dialect.spec().request().is_empty() || is_encoded(headers) {
            Body::Counted
        } else {
            body_of_type(headers)
        };
        Meter {
            dialect,
            is_success: status.is_success(),
            bytes: 0,
            is_ended: false,
            note: Note::default(),
            body,
        }
    }

    /// Takes the next chunk of the body. Chunks after the end are passed over.
    pub fn push(&mut self, chunk: &[u8]) {
        if self.is_ended {
            return;
        }
        self.bytes = self.bytes.saturating_add(chunk.len() as u64);
        let (spec, note) = (self.dialect.spec(), &mut self.note);
        match &mut self.body {
            Body::Sse(parser) => parser.push(chunk, |event| read_event(spec, event.data, note)),
            Body::Json(kept) => kept.push(chunk),
            Body::Counted => {}
        }
    }

    /// The body ended cleanly. (A body that broke off is just not pushed any further.)
    pub fn end(&mut self) {
        if !std::mem::replace(&mut self.is_ended, true) {
            let (spec, note) = (self.dialect.spec(), &mut self.note);
            if let Body::Sse(parser) = &mut self.body {
                parser.end(|event| read_event(spec, event.data, note));
            }
        }
    }

    /// What is known so far; at any moment, also if the body is never read to its end.
    ///
    /// For streams this costs next to nothing. A JSON body is parsed by each call, so ask for it
    /// once, when no more of it is to come.
    #[must_use]
    pub fn reading(&self) -> Reading {
        match &self.body {
            Body::Sse(parser) => {
                let text = self.note.text.saturating_add(parser.dropped_bytes());
                self.report(&self.note, text, self.note.done)
            }
            Body::Json(kept) => match kept.read(self.dialect.spec()) {
                Some(mut note) => {
                    note.done = true;
                    let text = if kept.is_tail() {
                        self.bytes
                    } else {
                        note.text
                    };
                    self.report(&note, text, true)
                }
                None => self.report(&self.note, self.bytes, self.is_ended && kept.is_tail()),
            },
            Body::Counted => self.report(&self.note, self.bytes, self.is_ended),
        }
    }

    /// Output tokens of a stream so far: what was reported of them, or what was seen where that is more; see
    /// [`Reading::output_seen`]. 0 where the body is not an event stream. Costs next to nothing.
    #[must_use]
    pub fn output_streamed(&self) -> u64 {
        match &self.body {
            Body::Sse(parser) if self.is_success => {
                let text = self.note.text.saturating_add(parser.dropped_bytes());
                let reported = self.note.counts.usage().map_or(0, |usage| usage.output);
                tokens(text).max(reported)
            }
            _ => 0,
        }
    }

    fn report(&self, note: &Note, text_bytes: u64, complete: bool) -> Reading {
        let has_output = self.is_success && self.dialect != Dialect::Generic;
        let is_last = note.closes || note.done;
        Reading {
            usage: note.counts.usage(),
            usage_is_final: is_last && note.counts.both() && note.error.is_none(),
            output_seen: if has_output { tokens(text_bytes) } else { 0 },
            complete,
            error: note.error.clone(),
            bytes: self.bytes,
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter")
            .field("dialect", &self.dialect)
            .field("bytes", &self.bytes)
            .field("is_ended", &self.is_ended)
            .field("counts", &self.note.counts)
            .finish_non_exhaustive()
    }
}

fn is_encoded(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn body_of_type(headers: &HeaderMap) -> Body {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|value| value.split(';').next());
    match essence.unwrap_or_default().trim().to_ascii_lowercase() {
        essence if essence == "text/event-stream" => Body::Sse(Parser::new(EVENT_CAP)),
        essence if essence == "application/json" || essence.ends_with("+json") => {
            Body::Json(Kept::default())
        }
        _ => Body::Counted,
    }
}

/// Takes in one event of a stream. An event that is not what it should be says nothing.
fn read_event(spec: &dyn Spec, data: &[u8], note: &mut Note) {
    if spec
        .end_mark()
        .is_some_and(|mark| mark == data.trim_ascii())
    {
        note.merge(Note {
            done: true,
            ..Note::default()
        });
    } else if let Some(said) = read(spec, data) {
        note.merge(said);
    }
}

/// What a JSON text says in this dialect; nothing at all if it is not JSON to its end.
pub(super) fn read(spec: &dyn Spec, json: &[u8]) -> Option<Note> {
    struct Reader<'s> {
        spec: &'s dyn Spec,
        note: Note,
    }

    impl Sink for Reader<'_> {
        fn scalar(&mut self, path: &[&str], value: Scalar<'_>) {
            self.spec.response(path, &value, &mut self.note);
        }
    }

    let mut reader = Reader {
        spec,
        note: Note::default(),
    };
    walk(json, &mut reader).ok()?;
    Some(reader.note)
}

#[cfg(test)]
#[path = "meter_tests.rs"]
mod tests;
