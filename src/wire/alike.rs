//! Events that are as the one before, save for what stands in them.
//!
//! A stream repeats itself: chunk after chunk differs in the text that it brings, and nothing else. Such an event is
//! compared with the last one that was read, which takes a fraction of the time and says the same.

use smallvec::SmallVec;

use super::{scan::run, walk::MAX_COUNT};

/// Larger events are read each time. Those that come by the hundred take a few hundred bytes.
const MOST_BYTES: usize = 4 * 1024;

/// As many values may differ.
const MOST_GAPS: usize = 16;

/// After so many events in a row that were not alike this stream is taken for one that does not repeat itself.
const TRIES: u8 = 8;

/// What may differ at a place where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing.
    Fixed,
    /// A string that is generated text, of which only the length counts.
    Text,
    /// A number that is a count of tokens, and which: see [`Counts::told`](super::counts::Counts::told).
    Count(usize),
    /// A string or a whole number that says nothing.
    Idle,
}

/// A value of the event that was read.
#[derive(Clone, Copy, Debug)]
struct Gap {
    /// It stood behind so much of what is fixed.
    at: usize,
    value: Value,
    is_string: bool,
}

/// What an event says that is like the last one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct More {
    /// Bytes of text.
    pub(super) text: u64,
    pub(super) counts: SmallVec<[(usize, u64); 8]>,
}

/// The event that was read last, and where others may differ from it.
#[derive(Default)]
pub(super) struct Alike {
    /// The event without what may differ.
    fixed: Vec<u8>,
    gaps: Vec<Gap>,
    misses: u8,
}

impl Alike {
    /// What `event` says, if it differs from the last one only where that says nothing else.
    ///
    /// Whatever it is, it is then JSON: a string stands for a string, a whole number for a whole number.
    pub(super) fn compare(&self, event: &[u8]) -> Option<More> {
        if self.gaps.is_empty() {
            return None;
        }
        let (mut rest, mut from, mut more) = (event, 0, More::default());
        for gap in &self.gaps {
            rest = rest.strip_prefix(&self.fixed[from..gap.at])?;
            let length = if gap.is_string {
                let (length, unescaped) = string(rest)?;
                more.text += if gap.value == Value::Text {
                    unescaped
                } else {
                    0
                };
                length
            } else {
                let (length, number) = whole_number(rest)?;
                if let Value::Count(which) = gap.value {
                    more.counts.push((which, number));
                }
                length
            };
            rest = &rest[length..];
            from = gap.at;
        }
        (rest == &self.fixed[from..]).then_some(more)
    }

    /// One that finds nothing alike.
    #[cfg(test)]
    pub(super) fn off() -> Self {
        Alike {
            misses: TRIES,
            ..Alike::default()
        }
    }

    /// An event was like the last one.
    pub(super) fn hit(&mut self) {
        self.misses = 0;
    }

    /// Whether this event, which is to be read, may be learnt from.
    pub(super) fn is_wanted(&self, event: &[u8]) -> bool {
        self.misses < TRIES && event.len() <= MOST_BYTES
    }

    /// An event was read that later ones may be like. `values` are its strings and numbers, in their order.
    pub(super) fn learn(&mut self, event: &[u8], values: &[Value]) {
        self.forget();
        self.misses += 1;
        let (mut values, mut from) = (values.iter(), 0);
        for (start, end) in places(event) {
            let Some(&value) = values.next() else {
                return self.forget();
            };
            let is_string = event[start..end].starts_with(b"\"");
            // A number with a sign, a fraction or an exponent stays as it is.
            let number = whole_number(&event[start..end]);
            let may_differ = is_string || number.is_some_and(|(length, _)| length == end - start);
            if value != Value::Fixed && may_differ {
                self.fixed.extend_from_slice(&event[from..start]);
                self.gaps.push(Gap {
                    at: self.fixed.len(),
                    value,
                    is_string,
                });
                from = end;
            }
        }
        self.fixed.extend_from_slice(&event[from..]);
        let is_too_much = self.gaps.len() > MOST_GAPS || self.fixed.len() > MOST_BYTES;
        if values.next().is_some() || is_too_much {
            self.forget();
        }
    }

    /// Whether nothing is like it.
    pub(super) fn is_empty(&self) -> bool {
        self.gaps.is_empty()
    }

    /// Something else came: the last event is not the last any more.
    pub(super) fn forget(&mut self) {
        self.fixed.clear();
        self.gaps.clear();
    }
}

/// Where the strings that are no keys stand in a JSON text, and the numbers.
fn places(json: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(&byte) = json.get(at) {
            let start = at;
            match byte {
                b'"' => {
                    at += end_of_string(&json[at..]);
                    let next = json[at..].iter().find(|byte| !byte.is_ascii_whitespace());
                    if next != Some(&b':') {
                        return Some((start, at));
                    }
                }
                b'-' | b'0'..=b'9' => {
                    let in_number =
                        |byte: &&u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                    at += json[at..].iter().take_while(in_number).count();
                    return Some((start, at));
                }
                _ => at += 1,
            }
        }
        None
    })
}

/// The length of the string that `json` begins with, quotes included.
fn end_of_string(json: &[u8]) -> usize {
    let mut at = 1;
    while let Some(&byte) = json.get(at) {
        at += match byte {
            b'"' => return at + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    json.len()
}

/// How long the string is that `json` begins with, quotes included, and how long without its escapes; nothing if it
/// is none, or has escapes of more than one letter.
fn string(json: &[u8]) -> Option<(usize, u64)> {
    let rest = json.strip_prefix(b"\"")?;
    let (mut at, mut escapes) = (0, 0);
    loop {
        at += run(&rest[at..]);
        match (rest.get(at)?, rest.get(at + 1)) {
            (b'"', _) => break,
            (b'\\', Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't')) => {
                at += 2;
                escapes += 1;
            }
            _ => return None,
        }
    }
    if !rest[..at].is_ascii() && std::str::from_utf8(&rest[..at]).is_err() {
        return None;
    }
    Some((at + 2, at as u64 - escapes))
}

/// How long the whole number is that `json` begins with, and how much it is; nothing if no count is as large.
fn whole_number(json: &[u8]) -> Option<(usize, u64)> {
    let (mut length, mut number) = (0, 0);
    while let Some(digit) = json.get(length).filter(|byte| byte.is_ascii_digit()) {
        number = number * 10 + u64::from(digit - b'0');
        length += 1;
        if number > MAX_COUNT {
            return None;
        }
    }
    let leads_with_zero = length > 1 && json[0] == b'0';
    (length > 0 && !leads_with_zero).then_some((length, number))
}

#[cfg(test)]
mod tests {
    use super::{Value::*, *};

    const EVENT: &str = r#"{"id":7,"a":{"text":"Hi"},"b":[true,-1,null],"p":"x"}"#;
    const VALUES: [Value; 4] = [Count(3), Text, Fixed, Idle];

    fn alike(event: &str) -> Option<More> {
        let mut alike = Alike::default();
        alike.learn(EVENT.as_bytes(), &VALUES);
        alike.compare(event.as_bytes())
    }

    fn more(text: u64, count: u64) -> More {
        More {
            text,
            counts: [(3, count)].into_iter().collect(),
        }
    }

    #[test]
    fn what_differs_in_its_gaps_is_alike() {
        assert_eq!(alike(EVENT), Some(more(2, 7)));
        for (id, text, pad, length) in [
            ("0", "", "", 0),
            ("1000000000000", "a longer one", "y", 12),
            ("8", r#"\"a\"\n\\\/"#, r"\t", 6),
            ("8", "Ünïcode — 日本", "", 20),
        ] {
            let event =
                format!(r#"{{"id":{id},"a":{{"text":"{text}"}},"b":[true,-1,null],"p":"{pad}"}}"#);
            let expected = more(length, id.parse().unwrap());
            assert_eq!(alike(&event), Some(expected), "{event}");
            let read: serde_json::Value = serde_json::from_str(&event).unwrap();
            assert_eq!(read["a"]["text"].as_str().unwrap().len() as u64, length);
        }
    }

    #[test]
    fn whatever_else_differs_is_not() {
        for (from, to) in [
            ("7", "01"),
            ("7", "-7"),
            ("7", "7.5"),
            ("7", "1000000000001"),
            ("7", "99999999999999999999999"),
            ("7", "\"7\""),
            ("7", ""),
            ("Hi\"", "Hi"),
            ("Hi", "H\u{1}"),
            ("Hi", r"H\u0069"),
            ("Hi", r"H\x"),
            ("Hi", "Hi\",\"c\":\"d"),
            ("\"Hi\"", "5"),
            ("true", "false"),
            ("-1", "-2"),
            ("\"b\"", "\"c\""),
            ("\"x\"}", "\"x\""),
            ("\"x\"}", "\"x\"}}"),
            ("\"x\"}", "\"x\"} "),
            ("{\"id", " {\"id"),
        ] {
            let event = EVENT.replace(from, to);
            assert_ne!(event, EVENT);
            assert_eq!(alike(&event), None, "{event}");
        }
        let mut broken = EVENT.replace("Hi", "H_").into_bytes();
        let at = broken.iter().position(|byte| *byte == b'_').unwrap();
        broken[at] = 0xff;
        let mut alike = Alike::default();
        alike.learn(EVENT.as_bytes(), &VALUES);
        assert_eq!(alike.compare(&broken), None, "not UTF-8");
    }

    #[test]
    fn nothing_is_like_what_was_not_seen_whole() {
        for values in [&VALUES[..3], &[Idle; 5], &[Fixed; 4]] {
            let mut alike = Alike::default();
            alike.learn(EVENT.as_bytes(), values);
            assert_eq!(alike.compare(EVENT.as_bytes()), None, "{values:?}");
        }
        let mut alike = Alike::default();
        assert_eq!(alike.compare(b""), None);
        alike.learn(EVENT.as_bytes(), &VALUES);
        alike.forget();
        assert_eq!(alike.compare(EVENT.as_bytes()), None);
    }

    #[test]
    fn what_is_too_large_is_not_learnt() {
        let mut alike = Alike::default();
        assert!(alike.is_wanted(&[b' '; MOST_BYTES]));
        assert!(!alike.is_wanted(&[b' '; MOST_BYTES + 1]));
        let many = format!("[{}]", ["\"\""; MOST_GAPS + 1].join(","));
        alike.learn(many.as_bytes(), &[Text; MOST_GAPS + 1]);
        assert_eq!(alike.compare(many.as_bytes()), None);
    }

    #[test]
    fn a_stream_that_does_not_repeat_itself_is_left_alone() {
        let mut alike = Alike::default();
        for _ in 0..TRIES {
            assert!(alike.is_wanted(EVENT.as_bytes()));
            alike.learn(EVENT.as_bytes(), &VALUES);
        }
        assert!(!alike.is_wanted(EVENT.as_bytes()));
        let mut alike = Alike::default();
        for _ in 0..3 * TRIES {
            alike.learn(EVENT.as_bytes(), &VALUES);
            alike.hit();
        }
        assert!(alike.is_wanted(EVENT.as_bytes()));
    }
}

#[cfg(test)]
#[path = "alike_tests.rs"]
mod with_parsing;
