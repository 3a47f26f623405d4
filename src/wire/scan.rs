//! One pass over a JSON text that is mostly strings, as requests are. Nothing of it is copied, and of a string only its
//! end and its length are looked for: that takes a fraction of the time of a parser, which hands out every string.
//!
//! It goes by the same grammar as [`walk`](super::walk), and shows values in the same order and under the same paths.

use memchr::memchr2;
use smallvec::SmallVec;

use super::{
    quoted::{Quoted, escape},
    walk::{NESTING, PATH, Scalar, Step},
};

/// Receives what stands in a text, in its order; see [`Sink`](super::walk::Sink).
pub(super) trait Look {
    /// A key was read; its value comes next.
    fn enter(&mut self, path: &[&str]) -> Step;

    fn text(&mut self, path: &[&str], text: Quoted<'_>);

    /// Any other value without parts.
    fn scalar(&mut self, path: &[&str], value: Scalar<'_>);

    /// The same key, if it is one that makes a difference. Only keys with escapes in them are asked for.
    fn known(&self, key: &str) -> Option<&'static str>;
}

/// Why a scan ended before the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The text is not exactly one JSON value.
    NotJson,
    /// It was told to.
    Stopped,
}

/// Shows every value of `json` to `look`, which has seen what came before where it ends early.
///
/// Keys that are shown are UTF-8; what other strings are is seen where they are read. A number may be as large as it
/// likes.
pub(super) fn scan<L: Look>(json: &[u8], look: &mut L) -> Result<(), Ended> {
    let mut scan = Scan {
        json,
        at: 0,
        open: SmallVec::new(),
        keys: [""; PATH],
        objects: 0,
        quiet: None,
        look,
    };
    loop {
        // What follows is a value.
        if scan.quiet.is_none() && scan.open.len() >= NESTING {
            scan.quiet = Some(scan.open.len());
        }
        if scan.value()? == Is::Begun {
            continue;
        }
        loop {
            if scan.quiet == Some(scan.open.len()) {
                scan.quiet = None;
            }
            let Some(&open) = scan.open.last() else {
                return scan.end();
            };
            match (open, scan.next()) {
                (b'[', Some(b',')) => break,
                (b'{', Some(b',')) => {
                    scan.key()?;
                    break;
                }
                (b'[', Some(b']')) | (b'{', Some(b'}')) => scan.close(),
                _ => return Err(Ended::NotJson),
            }
        }
    }
}

/// How far a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    /// A part of it comes next.
    Begun,
    Over,
}

struct Scan<'j, 'l, L> {
    json: &'j [u8],
    at: usize,
    /// The brackets that are open.
    open: SmallVec<[u8; 2 * NESTING]>,
    keys: [&'j str; PATH],
    /// How many objects are open whose keys were shown.
    objects: usize,
    /// So many brackets are open around a value that is passed over.
    quiet: Option<usize>,
    look: &'l mut L,
}

impl<'j, L: Look> Scan<'j, '_, L> {
    /// Reads a value without parts, or the beginning of one with parts.
    fn value(&mut self) -> Result<Is, Ended> {
        let is_shown = self.quiet.is_none();
        let scalar = match self.next().ok_or(Ended::NotJson)? {
            b'"' => {
                let text = self.string().ok_or(Ended::NotJson)?;
                if is_shown {
                    self.look.text(&self.keys[..self.objects.min(PATH)], text);
                }
                return Ok(Is::Over);
            }
            b'{' => {
                self.open.push(b'{');
                self.objects += usize::from(is_shown);
                if self.next_is(b'}') {
                    self.close();
                    return Ok(Is::Over);
                }
                self.key()?;
                return Ok(Is::Begun);
            }
            b'[' => {
                if !self.next_is(b']') {
                    self.open.push(b'[');
                    return Ok(Is::Begun);
                }
                Scalar::EmptyList
            }
            b't' => self.word(b"true", Scalar::Bool(true))?,
            b'f' => self.word(b"false", Scalar::Bool(false))?,
            b'n' => self.word(b"null", Scalar::Null)?,
            b'-' | b'0'..=b'9' => self.number()?,
            _ => return Err(Ended::NotJson),
        };
        if is_shown {
            self.look
                .scalar(&self.keys[..self.objects.min(PATH)], scalar);
        }
        Ok(Is::Over)
    }

    /// Reads a key and its colon.
    fn key(&mut self) -> Result<(), Ended> {
        let is_shown = self.quiet.is_none();
        if !self.next_is(b'"') {
            return Err(Ended::NotJson);
        }
        let key = self.string().ok_or(Ended::NotJson)?;
        if !self.next_is(b':') {
            return Err(Ended::NotJson);
        }
        if !is_shown {
            return Ok(());
        }
        if let Some(slot) = self.keys.get_mut(self.objects - 1) {
            // A key that nobody knows may stay as it is written.
            let plain = if key.has_escapes() { key.read() } else { None };
            let known = plain.and_then(|plain| self.look.known(&plain));
            let raw = || str::from_utf8(key.raw()).map_err(|_| Ended::NotJson);
            *slot = known.or_else(|| common(key.raw())).map_or_else(raw, Ok)?;
        }
        match self.look.enter(&self.keys[..self.objects.min(PATH)]) {
            Step::Read => {}
            Step::Skip => self.quiet = Some(self.open.len()),
            Step::Stop => return Err(Ended::Stopped),
        }
        Ok(())
    }

    fn close(&mut self) {
        if self.open.pop() == Some(b'{') && self.quiet.is_none() {
            self.objects -= 1;
        }
    }

    /// Reads a string whose first quote was read.
    fn string(&mut self) -> Option<Quoted<'j>> {
        let json = &self.json[self.at..];
        // Escapes are longer than what they stand for, by so many bytes.
        let (mut at, mut surplus) = (0, 0);
        loop {
            let rest = &json[at..];
            let length = run(rest);
            at += length;
            match (rest.get(length)?, rest.get(length + 1)) {
                (b'"', _) => break,
                (b'\\', Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't')) => {
                    at += 2;
                    surplus += 1;
                }
                (b'\\', _) => {
                    let (length, letter) = escape(&rest[length..])?;
                    at += length;
                    surplus += length - letter.len_utf8();
                }
                // A control character.
                _ => return None,
            }
        }
        self.at += at + 1;
        Some(Quoted::new(&json[..at], surplus))
    }

    /// Reads a number, whose first byte was read.
    fn number(&mut self) -> Result<Scalar<'static>, Ended> {
        let start = self.at - 1;
        let is_negative = self.json[start] == b'-';
        self.at = start + usize::from(is_negative);
        let is_zero = self.json.get(self.at) == Some(&b'0');
        let whole = self.digits();
        let mut is_sound = whole > 0 && !(is_zero && whole > 1);
        let mut is_whole = !is_negative;
        if self.json.get(self.at) == Some(&b'.') {
            self.at += 1;
            is_sound &= self.digits() > 0;
            is_whole = false;
        }
        if let Some(b'e' | b'E') = self.json.get(self.at) {
            self.at += 1;
            self.at += usize::from(matches!(self.json.get(self.at), Some(b'+' | b'-')));
            is_sound &= self.digits() > 0;
            is_whole = false;
        }
        if !is_sound {
            return Err(Ended::NotJson);
        }
        let number = str::from_utf8(&self.json[start..self.at]).unwrap_or_default();
        // `5.0` is five.
        let whole = match number.split_once('.') {
            Some((whole, zeros)) if zeros.bytes().all(|byte| byte == b'0') => Some(whole),
            _ => is_whole.then_some(number),
        };
        let count = whole.and_then(|whole| whole.parse().ok());
        // Nobody here asks for another number than a count.
        Ok(count.map_or(Scalar::OtherNumber(f64::NAN), Scalar::Whole))
    }

    fn digits(&mut self) -> usize {
        let digits = self.json[self.at..].iter();
        let count = digits.take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    fn word(&mut self, word: &[u8], value: Scalar<'static>) -> Result<Scalar<'static>, Ended> {
        if !self.json[self.at - 1..].starts_with(word) {
            return Err(Ended::NotJson);
        }
        self.at += word.len() - 1;
        Ok(value)
    }

    /// Takes the next byte that is no space.
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.json.get(self.at)?;
            self.at += 1;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
        }
    }

    /// Takes the next byte that is no space if it is this one.
    fn next_is(&mut self, byte: u8) -> bool {
        let next = self.next();
        let is_it = next == Some(byte);
        // Another one is there again.
        self.at -= usize::from(next.is_some() && !is_it);
        is_it
    }

    fn end(&mut self) -> Result<(), Ended> {
        match self.next() {
            None => Ok(()),
            Some(_) => Err(Ended::NotJson),
        }
    }
}

/// Keys that are in most requests: nobody has to look whether they are UTF-8.
fn common(key: &[u8]) -> Option<&'static str> {
    Some(match key {
        b"role" => "role",
        b"content" => "content",
        b"type" => "type",
        b"text" => "text",
        b"model" => "model",
        b"messages" => "messages",
        b"max_tokens" => "max_tokens",
        b"stream" => "stream",
        b"temperature" => "temperature",
        b"tools" => "tools",
        b"name" => "name",
        b"input" => "input",
        b"system" => "system",
        _ => return None,
    })
}

/// So many bytes are looked at eight by eight: most strings end there.
const NEAR: usize = 32;
/// So many together from there on,
const BLOCK: usize = 32;
/// as far as this, where a search begins that is faster from then on.
const FAR: usize = 256;
const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * EACH;

/// How long `rest` goes on without a quote, a backslash or a control character.
pub(super) fn run(rest: &[u8]) -> usize {
    let (near_by, blocks) = rest[..rest.len().min(FAR)].split_at(rest.len().min(NEAR));
    if let Some(end) = near(near_by) {
        return end;
    }
    if near_by.len() < NEAR {
        let is_end = |byte: &u8| ends_run(*byte);
        return rest.iter().position(is_end).unwrap_or(rest.len());
    }
    let mut at = NEAR;
    for block in blocks.as_chunks::<BLOCK>().0 {
        if ends_in(block) {
            return at + near(block).unwrap_or(BLOCK);
        }
        at += BLOCK;
    }
    let far = &rest[at..];
    let far = &far[..memchr2(b'"', b'\\', far).unwrap_or(far.len())];
    let controls = far.iter().fold(false, |any, byte| any | (*byte < 0x20));
    if controls {
        at + far.iter().take_while(|byte| **byte >= 0x20).count()
    } else {
        at + far.len()
    }
}

/// How long these bytes go on so, if that ends within the eights that they are made of.
fn near(bytes: &[u8]) -> Option<usize> {
    let eights = bytes.as_chunks::<8>().0.iter();
    let ends = eights.map(|eight| ends(u64::from_le_bytes(*eight)));
    let (number, end) = ends.enumerate().find(|(_, end)| *end != 0)?;
    Some(number * 8 + end.trailing_zeros() as usize / 8)
}

/// Whether a run ends in a block.
fn ends_in(block: &[u8; BLOCK]) -> bool {
    // As numbers and not as truths, of which processors do many at once.
    let ends = block.iter().map(|byte| u8::from(ends_run(*byte)) * 0xff);
    ends.fold(0, u8::max) > 0
}

fn ends_run(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// The highest bit of the first of eight bytes that ends a run is the lowest one that is set here.
fn ends(eight: u64) -> u64 {
    let below = |eight: u64, limit: u64| eight.wrapping_sub(limit * EACH) & !eight;
    // With this bit the other way round the quote stands just behind the control characters, and nothing else does.
    let is_quote_or_control = below(eight ^ (0x02 * EACH), 0x21);
    let is_backslash = below(eight ^ (u64::from(b'\\') * EACH), 1);
    (is_quote_or_control | is_backslash) & HIGH
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
