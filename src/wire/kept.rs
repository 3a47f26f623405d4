//! A JSON body, kept until it can be read.

use memchr::memchr2;

use super::{Dialect, dialect::Spec, note::Note, read::read, shapes::read_answer};

/// Up to this size a body is kept whole.
const WHOLE: usize = 1024 * 1024;

/// Of a larger body all is kept but its long parts, if that is no more than this.
const THIN: usize = 256 * 1024;

/// Longer strings are long parts, such as texts and images. The names that are counted by are shorter.
const LONG: usize = 256;

/// So is what stands in more brackets than these, such as the probabilities of tokens. No counts do. (Sources from Gemini's maps do,
/// and tools and pages in chats: in a large answer they are not seen.)
const DEEP: usize = 5;

/// Its end is kept too, and is read where the rest is more than that: usage comes last in the dialects we know.
const TAIL: usize = 64 * 1024;

/// How many places that look like a key are tried. Only the last ones can be it.
const TRIES: usize = 8;

/// Says in which tier a call was served; before the usage, or behind it.
const TIER_KEY: &[u8] = b"\"service_tier\"";

#[derive(Default)]
pub(super) struct Kept {
    /// The body, or its end.
    bytes: Vec<u8>,
    /// What else there is of a body of which only the end is here.
    thin: Option<Box<Thin>>,
}

impl Kept {
    pub(super) fn push(&mut self, chunk: &[u8]) {
        if self.thin.is_none() && self.bytes.len() + chunk.len() <= WHOLE {
            self.bytes.extend_from_slice(chunk);
            return;
        }
        let thin = self.thin.get_or_insert_with(|| {
            let mut thin = Box::<Thin>::default();
            thin.push(&self.bytes);
            thin
        });
        thin.push(chunk);
        self.push_end(chunk);
    }

    fn push_end(&mut self, chunk: &[u8]) {
        let chunk = last(chunk, TAIL);
        // The front is cut off only now and then, so that small chunks stay cheap.
        if self.bytes.len() + chunk.len() > 2 * TAIL {
            let surplus = self.bytes.len() + chunk.len() - TAIL;
            self.bytes.drain(..surplus);
            self.bytes.shrink_to(2 * TAIL);
        }
        self.bytes.extend_from_slice(chunk);
    }

    /// Whether something of the body was left out.
    pub(super) fn is_cut(&self) -> bool {
        self.thin.is_some()
    }

    /// What the body says, if it is a whole JSON text, or the end of one with usage in it; with all names if they are
    /// `wanted`.
    pub(super) fn read(&self, dialect: Dialect, wanted: bool) -> Option<Note> {
        // Before all of a body is here it hardly ever ends like this; the rest is not worth a try.
        let bytes = self.bytes.trim_ascii_end();
        if !bytes.ends_with(b"}") && !bytes.ends_with(b"]") {
            return None;
        }
        let spec = dialect.spec();
        match &self.thin {
            None => read_answer(dialect, bytes, wanted),
            Some(thin) => read(spec, &thin.bytes).or_else(|| read_tail(spec, last(bytes, TAIL))),
        }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        let thin = self.thin.as_ref();
        self.bytes.capacity() + thin.map_or(0, |thin| thin.bytes.capacity())
    }
}

/// A body without its long parts, which is JSON if the body is: of strings the quotes are left, of what stands deep the
/// outermost brackets.
#[derive(Default)]
struct Thin {
    /// Nothing once it is too much, which is no JSON.
    bytes: Vec<u8>,
    is_too_much: bool,
    /// How many brackets are open.
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    /// Where the text of the string begins.
    start: usize,
    is_long: bool,
}

impl Thin {
    fn push(&mut self, mut chunk: &[u8]) {
        while !chunk.is_empty() && !self.is_too_much {
            let length = if self.in_string {
                self.string(chunk)
            } else {
                self.outside(chunk)
            };
            chunk = &chunk[length..];
        }
        if self.is_too_much {
            self.bytes = Vec::new();
        }
    }

    /// Takes what comes before the next string or bracket, and how that begins. Returns how much it took.
    fn outside(&mut self, chunk: &[u8]) -> usize {
        let is_mark = |byte: &u8| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']');
        let Some(at) = chunk.iter().position(is_mark) else {
            self.keep(chunk);
            return chunk.len();
        };
        let (before, mark) = (&chunk[..at], &chunk[at..=at]);
        self.keep(before);
        match mark {
            b"\"" => {
                self.keep(mark);
                self.in_string = true;
                self.is_long = false;
                self.start = self.bytes.len();
            }
            b"{" | b"[" => {
                self.keep(mark);
                self.depth += 1;
            }
            _ => {
                self.depth = self.depth.saturating_sub(1);
                self.keep(mark);
            }
        }
        at + 1
    }

    /// Takes a part of a string. Returns how much it took.
    fn string(&mut self, chunk: &[u8]) -> usize {
        if std::mem::take(&mut self.is_escaped) {
            self.text(&chunk[..1]);
            return 1;
        }
        let Some(at) = memchr2(b'"', b'\\', chunk) else {
            self.text(chunk);
            return chunk.len();
        };
        self.text(&chunk[..at]);
        if chunk[at] == b'"' {
            self.in_string = false;
            self.keep(b"\"");
        } else {
            self.is_escaped = true;
            self.text(b"\\");
        }
        at + 1
    }

    /// Keeps a part of a string, unless the string is long: nothing is kept of it then.
    fn text(&mut self, part: &[u8]) {
        if self.is_long {
            return;
        }
        self.is_long = self.bytes.len() - self.start + part.len() > LONG;
        if self.is_long {
            self.bytes.truncate(self.start);
        } else {
            self.keep(part);
        }
    }

    fn keep(&mut self, part: &[u8]) {
        if self.depth > DEEP {
            return;
        }
        self.is_too_much |= self.bytes.len() + part.len() > THIN;
        if !self.is_too_much {
            self.bytes.extend_from_slice(part);
        }
    }
}

/// Reads the end of an object from the key of the tier on, or else from that of the usage on. What has no usage is not
/// the end of an answer.
fn read_tail(spec: &dyn Spec, tail: &[u8]) -> Option<Note> {
    let keys = [TIER_KEY, spec.usage_key()];
    keys.into_iter().find_map(|key| read_from(spec, tail, key))
}

/// Reads what follows a key at the end of an object, as an object of its own.
///
/// If the key stood deeper (in the input of a tool, say), brackets would be left over; in a string
/// its quotes would be escaped. So a text that parses began at the outermost level.
fn read_from(spec: &dyn Spec, tail: &[u8], key: &[u8]) -> Option<Note> {
    let starts = tail.windows(key.len()).enumerate().rev();
    let starts = starts.filter(|(_, bytes)| *bytes == key).take(TRIES);
    starts
        .filter_map(|(start, _)| read(spec, &[b"{", &tail[start..]].concat()))
        .find(|note| note.counts.usage().is_some())
}

fn last(bytes: &[u8], count: usize) -> &[u8] {
    &bytes[bytes.len().saturating_sub(count)..]
}

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
