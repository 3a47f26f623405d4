//! AWS's binary event streams (`application/vnd.amazon.eventstream`).
//!
//! Source: AWS, "Event stream encoding": total length, length of the headers, a CRC of both; the
//! headers; the payload; a CRC of all before. Lengths are big-endian.

const PRELUDE: usize = 12;

/// A frame without headers and payload.
const SMALLEST: usize = PRELUDE + 4;

/// A buffer that grew beyond this for one frame is not kept that large for the next.
const RETAINED: usize = 64 * 1024;

/// What a frame says.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Frame<'a> {
    Event(&'a [u8]),
    /// An error, with its name and its payload.
    Exception {
        name: &'a str,
        payload: &'a [u8],
    },
}

/// Splits a stream of bytes into frames.
///
/// A frame with a wrong CRC, or larger than the cap, is dropped. If the CRC of the lengths is
/// wrong, nobody knows where the next frame begins, and all that follows is dropped.
pub(in super::super) struct Frames {
    cap: usize,
    bytes: Vec<u8>,
    /// Bytes to come of a frame that is not kept.
    skip: u64,
    is_broken: bool,
    dropped: u64,
}

impl Frames {
    pub(super) fn new(cap: usize) -> Frames {
        Frames {
            cap,
            bytes: Vec::new(),
            skip: 0,
            is_broken: false,
            dropped: 0,
        }
    }

    /// Takes the next piece of the stream and hands on the frames that it completes.
    pub(super) fn push(&mut self, chunk: &[u8], on_frame: &mut impl FnMut(Frame<'_>)) {
        let mut rest = chunk;
        while !rest.is_empty() {
            if self.is_broken {
                self.drop_bytes(rest.len() as u64);
                return;
            }
            let skipped = self.skip.min(rest.len() as u64);
            if skipped > 0 {
                self.skip -= skipped;
                self.drop_bytes(skipped);
                rest = &rest[usize::try_from(skipped).unwrap_or(rest.len())..];
                continue;
            }
            rest = self.fill(rest, PRELUDE);
            if self.bytes.len() < PRELUDE {
                return;
            }
            let Some(total) = total(&self.bytes) else {
                self.is_broken = true;
                self.drop_kept();
                continue;
            };
            if total > self.cap {
                self.skip = (total - self.bytes.len()) as u64;
                self.drop_kept();
                continue;
            }
            rest = self.fill(rest, total);
            if self.bytes.len() == total {
                let bytes = std::mem::take(&mut self.bytes);
                match read(&bytes) {
                    Some(frame) => on_frame(frame),
                    None => self.drop_bytes(total as u64),
                }
                self.bytes = bytes;
                self.bytes.clear();
                self.bytes.shrink_to(RETAINED);
            }
        }
    }

    /// The stream is over. A frame that is not whole was cut off.
    pub(super) fn end(&mut self) {
        self.drop_kept();
    }

    pub(super) fn is_between(&self) -> bool {
        self.bytes.is_empty() && self.skip == 0 && !self.is_broken
    }

    pub(super) fn dropped_bytes(&self) -> u64 {
        self.dropped
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Fills the buffer up to `size`, and returns what is left.
    fn fill<'c>(&mut self, chunk: &'c [u8], size: usize) -> &'c [u8] {
        let missing = size.saturating_sub(self.bytes.len()).min(chunk.len());
        self.bytes.extend_from_slice(&chunk[..missing]);
        &chunk[missing..]
    }

    fn drop_kept(&mut self) {
        self.drop_bytes(self.bytes.len() as u64);
        self.bytes.clear();
    }

    fn drop_bytes(&mut self, bytes: u64) {
        self.dropped = self.dropped.saturating_add(bytes);
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// How long the frame is that begins so; nothing if that is nonsense.
fn total(prelude: &[u8]) -> Option<usize> {
    let crc = number(prelude, 8)?;
    let total = usize::try_from(number(prelude, 0)?).ok()?;
    let headers = usize::try_from(number(prelude, 4)?).ok()?;
    let is_sound =
        crc32fast::hash(&prelude[..8]) == crc && total >= SMALLEST && headers <= total - SMALLEST;
    is_sound.then_some(total)
}

fn read(frame: &[u8]) -> Option<Frame<'_>> {
    let body = frame.len().checked_sub(4)?;
    if crc32fast::hash(&frame[..body]) != number(frame, body)? {
        return None;
    }
    let headers = usize::try_from(number(frame, 4)?).ok()?;
    let payload = frame.get(PRELUDE + headers..body)?;
    let mut is_event = true;
    let (mut name, mut message) = ("", None);
    let mut rest = frame.get(PRELUDE..PRELUDE + headers)?;
    while !rest.is_empty() {
        let (key, value, after) = header(rest)?;
        rest = after;
        match (key, value) {
            (":message-type", Some(kind)) => is_event = kind == "event",
            (":exception-type" | ":error-code", Some(text)) => name = text,
            (":error-message", Some(text)) => message = Some(text),
            _ => {}
        }
    }
    Some(if is_event {
        Frame::Event(payload)
    } else {
        let payload = message.map_or(payload, str::as_bytes);
        Frame::Exception { name, payload }
    })
}

/// The first header: its name, its value if that is a text, and what follows.
fn header(bytes: &[u8]) -> Option<(&str, Option<&str>, &[u8])> {
    let (&length, bytes) = bytes.split_first()?;
    let (name, bytes) = bytes.split_at_checked(length.into())?;
    let (&kind, bytes) = bytes.split_first()?;
    let (length, bytes) = match kind {
        // True, false.
        0 | 1 => (0, bytes),
        2 => (1, bytes),
        3 => (2, bytes),
        4 => (4, bytes),
        // A long, a timestamp.
        5 | 8 => (8, bytes),
        // Bytes, a text.
        6 | 7 => {
            let (length, bytes) = bytes.split_at_checked(2)?;
            (u16::from_be_bytes(length.try_into().ok()?).into(), bytes)
        }
        // A UUID.
        9 => (16, bytes),
        _ => return None,
    };
    let (value, rest) = bytes.split_at_checked(length)?;
    let text = if kind == 7 {
        Some(str::from_utf8(value).ok()?)
    } else {
        None
    };
    Some((str::from_utf8(name).ok()?, text, rest))
}

/// A frame that says that the stream failed.
pub(super) fn exception(name: &str, payload: &[u8]) -> Vec<u8> {
    let mut headers = Vec::new();
    for (key, value) in [
        (":exception-type", name),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ] {
        headers.push(u8::try_from(key.len()).unwrap_or(u8::MAX));
        headers.extend_from_slice(key.as_bytes());
        headers.push(7);
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        headers.extend_from_slice(&length.to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    let mut frame = Vec::new();
    frame.extend_from_slice(&length(SMALLEST + headers.len() + payload.len()));
    frame.extend_from_slice(&length(headers.len()));
    let crc = crc32fast::hash(&frame);
    frame.extend_from_slice(&crc.to_be_bytes());
    frame.extend_from_slice(&headers);
    frame.extend_from_slice(payload);
    let crc = crc32fast::hash(&frame);
    frame.extend_from_slice(&crc.to_be_bytes());
    frame
}

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;
