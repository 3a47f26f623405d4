//! Strings as they stand in a JSON text: what is in them is made out only where somebody asks.

use std::borrow::Cow;

use memchr::memchr;

/// A string between its quotes, whose escapes are sound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted<'j> {
    raw: &'j [u8],
    /// How long it is without its escapes.
    pub(super) bytes: u64,
}

impl<'j> Quoted<'j> {
    /// `surplus`: by how much its escapes are longer than what they stand for.
    pub(super) fn new(raw: &'j [u8], surplus: usize) -> Self {
        Quoted {
            raw,
            bytes: (raw.len() - surplus) as u64,
        }
    }

    /// With its escapes.
    pub(super) fn raw(&self) -> &'j [u8] {
        self.raw
    }

    /// No escape is as short as what it stands for.
    pub(super) fn has_escapes(&self) -> bool {
        self.bytes < self.raw.len() as u64
    }

    /// Whether it begins with this letter, or an escape that may stand for it.
    pub(super) fn may_start_with(&self, letter: u8) -> bool {
        matches!(self.raw.first(), Some(first) if *first == letter || *first == b'\\')
    }

    pub(super) fn starts_with(&self, start: &[u8]) -> bool {
        let raw = &self.raw[..start.len().min(self.raw.len())];
        match raw.contains(&b'\\') {
            true => self.head(start.len()).starts_with(start),
            false => raw == start,
        }
    }

    /// At least the first `count` bytes without escapes, if there are so many, and no more than a character beyond. Halves of
    /// surrogate pairs are replaced.
    pub(super) fn head(&self, count: usize) -> Cow<'j, [u8]> {
        unescaped(self.raw, count)
    }

    /// Nothing if it is not UTF-8.
    pub(super) fn read(&self) -> Option<Cow<'j, str>> {
        read(self.raw)
    }

    /// As it stands, in parts of no more bytes than `most`, which are at least as many as the longest escape and the longest
    /// character have: none ends within one.
    #[cfg(feature = "tiktoken")]
    pub(super) fn parts(&self, most: usize) -> impl Iterator<Item = &'j [u8]> {
        let mut rest = self.raw;
        std::iter::from_fn(move || {
            let (part, after) = rest.split_at(end_of_part(rest, most));
            rest = after;
            (!part.is_empty()).then_some(part)
        })
    }
}

/// What such a string, or a part of one, says; nothing if it is not UTF-8.
pub(super) fn read(raw: &[u8]) -> Option<Cow<'_, str>> {
    match unescaped(raw, usize::MAX) {
        Cow::Borrowed(text) => str::from_utf8(text).ok().map(Cow::Borrowed),
        Cow::Owned(text) => String::from_utf8(text).ok().map(Cow::Owned),
    }
}

/// See [`Quoted::head`].
fn unescaped(mut rest: &[u8], count: usize) -> Cow<'_, [u8]> {
    let plain = |rest: &[u8], most: usize| {
        let near_by = &rest[..rest.len().min(most)];
        memchr(b'\\', near_by).unwrap_or(near_by.len())
    };
    let first = plain(rest, count);
    if first == rest.len().min(count) {
        return Cow::Borrowed(&rest[..first]);
    }
    let mut text = Vec::with_capacity(rest.len().min(count));
    while text.len() < count && !rest.is_empty() {
        if let Some((length, letter)) = escape(rest) {
            text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &rest[length..];
            continue;
        }
        let length = 1 + plain(&rest[1..], count - text.len() - 1);
        text.extend_from_slice(&rest[..length]);
        rest = &rest[length..];
    }
    Cow::Owned(text)
}

#[cfg(feature = "tiktoken")]
fn end_of_part(rest: &[u8], most: usize) -> usize {
    if rest.len() <= most {
        return rest.len();
    }
    let mut sound = 0;
    while let Some(at) = memchr(b'\\', &rest[sound..most]) {
        let begin = sound + at;
        let length = escape(&rest[begin..]).map_or(1, |(length, _)| length);
        if begin + length > most {
            return begin;
        }
        sound = begin + length;
    }
    // What goes on in a character has its two highest bits so.
    let goes_on = |end: usize| rest[end] & 0xc0 == 0x80;
    let mut end = most;
    while end > sound && goes_on(end) {
        end -= 1;
    }
    // What is no UTF-8 has no such place.
    if end > 0 { end } else { most }
}

/// The escape that `rest` begins with: how long it is, and what it stands for.
pub(super) fn escape(rest: &[u8]) -> Option<(usize, char)> {
    let [b'\\', after, ..] = rest else {
        return None;
    };
    let letter = match after {
        b'"' | b'\\' | b'/' => char::from(*after),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(rest),
        _ => return None,
    };
    Some((2, letter))
}

/// The same of `\uXXXX`, of which two may make one letter. Half of a pair stands for nothing.
fn unicode(rest: &[u8]) -> Option<(usize, char)> {
    const LENGTH: usize = 6;
    let first = unit(rest)?;
    if let Some(letter) = char::from_u32(first) {
        return Some((LENGTH, letter));
    }
    let second = rest.get(LENGTH..).and_then(unit);
    let pair = second.filter(|second| first < 0xdc00 && (0xdc00..0xe000).contains(second));
    let letter = pair
        .and_then(|second| char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)));
    Some(match letter {
        Some(letter) => (2 * LENGTH, letter),
        None => (LENGTH, char::REPLACEMENT_CHARACTER),
    })
}

fn unit(rest: &[u8]) -> Option<u32> {
    let digits = rest.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, digit| {
        Some(unit * 16 + char::from(*digit).to_digit(16)?)
    })
}

#[cfg(test)]
#[path = "quoted_tests.rs"]
mod tests;
