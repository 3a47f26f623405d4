//! Server-sent events, parsed from pieces of any size as they pass.
//!
//! The format is that of the HTML standard, section "Server-sent events". The fields `id` and `retry`, which say how to
//! reconnect, are not kept.

use std::fmt;

use memchr::memchr2;

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event<'a> {
    /// The `event` field; `message` if there was none.
    pub name: &'a str,
    /// The `data` fields, joined by line feeds.
    pub data: &'a [u8],
}

/// Splits a stream of bytes into events.
///
/// Lines may end in LF, CR or CRLF, and a byte order mark at the start is skipped. How the stream is cut into chunks
/// makes no difference.
///
/// An event that takes more than the cap is dropped; the events after it are not. Buffers are reused from event to
/// event, and stay within a few times the cap.
///
/// ```
/// use tower_quota::wire::sse::Parser;
///
/// let mut events = Vec::new();
/// let mut parser = Parser::new(1024);
/// for chunk in ["event: pi", "ng\ndata: {}\n\n: comment\n"] {
///     parser.push(chunk.as_bytes(), |event| {
///         events.push((event.name.to_owned(), event.data.to_owned()));
///     });
/// }
/// assert_eq!(events, [("ping".to_owned(), b"{}".to_vec())]);
/// ```
#[derive(Clone)]
pub struct Parser {
    cap: u64,
    /// The current line, as far as earlier chunks had it. Of a line that will not be read only the
    /// first byte is kept: enough to know that it is not empty.
    line: Vec<u8>,
    name: String,
    data: Vec<u8>,
    has_data: bool,
    /// Bytes in the lines of the current event, comments left out.
    event_bytes: u64,
    dropped_bytes: u64,
    at_start: bool,
    after_cr: bool,
}

/// A buffer that grew beyond this for one event is not kept that large for the next.
const RETAINED: usize = 64 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Parser {
    /// Creates a parser that drops events of more than `cap` bytes.
    #[must_use]
    pub const fn new(cap: usize) -> Self {
        Self {
            cap: cap as u64,
            line: Vec::new(),
            name: String::new(),
            data: Vec::new(),
            has_data: false,
            event_bytes: 0,
            dropped_bytes: 0,
            at_start: true,
            after_cr: false,
        }
    }

    /// Takes the next piece of the stream, and hands on the events that it completes.
    pub fn push(&mut self, chunk: &[u8], mut on_event: impl FnMut(Event<'_>)) {
        let mut rest = chunk;
        if self.after_cr && !chunk.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = memchr2(b'\n', b'\r', rest) {
            let ended_by_cr = rest[end] == b'\r';
            self.end_line(&rest[..end], &mut on_event);
            rest = &rest[end + 1..];
            if ended_by_cr {
                self.after_cr = rest.is_empty();
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
        }
        self.keep(rest);
    }

    /// Ends the stream, and hands on the event that was open.
    ///
    /// The standard drops an event that has no empty line after it. Some servers leave out that line after the last
    /// event, and reading it does no harm here.
    pub fn end(&mut self, mut on_event: impl FnMut(Event<'_>)) {
        self.end_line(b"", &mut on_event);
        self.dispatch(&mut on_event);
    }

    /// Returns how many bytes of events were dropped because of the cap.
    #[must_use]
    pub const fn dropped_bytes(&self) -> u64 {
        let open = if self.is_over() { self.event_bytes } else { 0 };
        self.dropped_bytes.saturating_add(open)
    }

    /// Whether all that passed so far is whole events, and no line is open.
    pub(super) const fn is_between(&self) -> bool {
        self.line.is_empty() && self.event_bytes == 0
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.line.capacity() + self.name.capacity() + self.data.capacity()
    }

    const fn is_over(&self) -> bool {
        self.event_bytes > self.cap
    }

    fn keep(&mut self, part: &[u8]) {
        let Some(&first) = self.line.first().or(part.first()) else {
            return;
        };
        self.count(first, part);
        if first == b':' || self.is_over() {
            self.line.clear();
            self.line.push(first);
        } else {
            self.line.extend_from_slice(part);
        }
    }

    fn count(&mut self, first: u8, part: &[u8]) {
        if first != b':' {
            self.event_bytes = self.event_bytes.saturating_add(part.len() as u64);
        }
    }

    fn end_line(&mut self, rest: &[u8], on_event: &mut impl FnMut(Event<'_>)) {
        if self.line.is_empty() {
            self.count(rest.first().copied().unwrap_or_default(), rest);
            self.read_line(rest, on_event);
        } else {
            self.keep(rest);
            let mut line = std::mem::take(&mut self.line);
            self.read_line(&line, on_event);
            line.clear();
            line.shrink_to(RETAINED);
            self.line = line;
        }
    }

    fn read_line(&mut self, line: &[u8], on_event: &mut impl FnMut(Event<'_>)) {
        let at_start = std::mem::take(&mut self.at_start);
        let line = match line.strip_prefix(BYTE_ORDER_MARK) {
            Some(line) if at_start => line,
            _ => line,
        };
        if line.is_empty() {
            self.dispatch(on_event);
        } else if !self.is_over() {
            self.field(line);
        }
    }

    fn field(&mut self, line: &[u8]) {
        let colon = line.iter().position(|&byte| byte == b':');
        let (field, value) = match colon {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            b"event" => {
                self.name.clear();
                self.name.push_str(&String::from_utf8_lossy(value));
            }
            _ => {}
        }
    }

    fn dispatch(&mut self, on_event: &mut impl FnMut(Event<'_>)) {
        if self.is_over() {
            self.dropped_bytes = self.dropped_bytes.saturating_add(self.event_bytes);
        } else if self.has_data {
            let name = if self.name.is_empty() {
                "message"
            } else {
                &self.name
            };
            on_event(Event {
                name,
                data: &self.data,
            });
        }
        self.event_bytes = 0;
        self.has_data = false;
        self.name.clear();
        self.name.shrink_to(RETAINED);
        self.data.clear();
        self.data.shrink_to(RETAINED);
    }
}

/// Shows sizes, not contents: an answer may be confidential.
impl fmt::Debug for Parser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parser")
            .field("cap", &self.cap)
            .field("event_bytes", &self.event_bytes)
            .field("dropped_bytes", &self.dropped_bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "sse_tests.rs"]
mod tests;
