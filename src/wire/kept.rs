//! A JSON body, kept until it can be read.

use super::{Dialect, dialect::Spec, note::Note, read::read, shapes::read_answer};

/// Up to this size a body is kept whole.
const WHOLE: usize = 1024 * 1024;

/// Of a larger body the end is kept: usage comes last in the dialects we know.
const TAIL: usize = 64 * 1024;

/// How many places that look like the usage key are tried. Only the last ones can be it.
const TRIES: usize = 8;

#[derive(Default)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    is_tail: bool,
}

impl Kept {
    pub(super) fn push(&mut self, chunk: &[u8]) {
        if !self.is_tail && self.bytes.len() + chunk.len() <= WHOLE {
            self.bytes.extend_from_slice(chunk);
            return;
        }
        self.is_tail = true;
        let chunk = last(chunk, TAIL);
        // The front is cut off only now and then, so that small chunks stay cheap.
        if self.bytes.len() + chunk.len() > 2 * TAIL {
            let surplus = self.bytes.len() + chunk.len() - TAIL;
            self.bytes.drain(..surplus);
            self.bytes.shrink_to(2 * TAIL);
        }
        self.bytes.extend_from_slice(chunk);
    }

    /// Whether only the end of the body is here.
    pub(super) fn is_tail(&self) -> bool {
        self.is_tail
    }

    /// What the body says, if it is a whole JSON text, or the end of one with usage in it; with all names if they are
    /// `wanted`.
    pub(super) fn read(&self, dialect: Dialect, wanted: bool) -> Option<Note> {
        // Before all of a body is here it hardly ever ends like this; the rest is not worth a try.
        let bytes = self.bytes.trim_ascii_end();
        if !bytes.ends_with(b"}") && !bytes.ends_with(b"]") {
            None
        } else if self.is_tail {
            read_tail(dialect.spec(), last(&self.bytes, TAIL))
        } else {
            read_answer(dialect, bytes, wanted)
        }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Reads what follows the usage key at the end of an object, as an object of its own.
///
/// If the key stood deeper (in the input of a tool, say), brackets would be left over; in a string
/// its quotes would be escaped. So a text that parses began at the outermost level.
fn read_tail(spec: &dyn Spec, tail: &[u8]) -> Option<Note> {
    let key = spec.usage_key();
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
mod tests {
    use super::*;

    fn output(body: &str, chunk: usize) -> Option<Option<u64>> {
        let mut kept = Kept::default();
        for chunk in body.as_bytes().chunks(chunk) {
            kept.push(chunk);
            assert!(kept.capacity() <= 2 * WHOLE);
        }
        assert_eq!(kept.is_tail(), body.len() > WHOLE);
        if kept.is_tail() {
            assert!(kept.capacity() <= 2 * TAIL);
        }
        kept.read(Dialect::AnthropicMessages, true)
            .map(|note| note.counts.output)
    }

    fn large(rest: &str) -> String {
        format!(r#"{{"content":[{{"text":"{}"}}],{rest}"#, "x".repeat(WHOLE))
    }

    #[test]
    fn usage_is_found_at_the_end_of_a_large_body() {
        for rest in [
            r#""usage":{"output_tokens":7},"z":[1]}"#,
            "\"usage\" : {\"output_tokens\":7}}\n",
            r#""a":{"usage":{"output_tokens":9}},"usage":{"output_tokens":7},"usage_tier":"x"}"#,
        ] {
            for chunk in [100, 1_000_000, usize::MAX] {
                assert_eq!(output(&large(rest), chunk), Some(Some(7)), "{rest}");
            }
        }
    }

    #[test]
    fn no_number_of_nested_usages_hides_the_real_one() {
        let decoys = r#""a":{"usage":{"output_tokens":9}},"#.repeat(TRIES * 2);
        let body = large(&format!(r#"{decoys}"usage":{{"output_tokens":7}}}}"#));
        assert_eq!(output(&body, 1_000), Some(Some(7)));
    }

    #[test]
    fn the_end_of_a_large_body_is_always_at_hand() {
        let body: Vec<u8> = (0_u32..400_000).flat_map(u32::to_le_bytes).collect();
        for chunk in [7_777, TAIL, TAIL + 1, WHOLE] {
            let mut kept = Kept::default();
            let mut passed = 0;
            for chunk in body.chunks(chunk) {
                kept.push(chunk);
                passed += chunk.len();
                assert_eq!(
                    last(&kept.bytes, TAIL),
                    last(&body[..passed], TAIL),
                    "{passed}"
                );
            }
        }
    }

    #[test]
    fn usage_elsewhere_in_a_large_body_is_not_taken() {
        let nested = r#""a":{"usage":{"output_tokens":9}}}"#;
        let quoted = r#""a":"{\"usage\":{\"output_tokens\":9}}"}"#;
        let value = r#""a":"usage","output_tokens":9}"#;
        let cut = r#""usage":{"output_tokens":9},"a":{}"#;
        let absent = r#""z":1}"#;
        for rest in [nested, quoted, value, cut, absent] {
            assert_eq!(output(&large(rest), 1_000), None, "{rest}");
        }
        let early = large(r#""usage":{"output_tokens":9},"a":["#) + &"1,".repeat(TAIL) + "1]}";
        assert_eq!(output(&early, 1_000), None);
    }

    #[test]
    fn a_body_of_exactly_the_cap_is_kept_whole() {
        let frame = r#"{"a":"","usage":{"output_tokens":7}}"#.len();
        let text = "x".repeat(WHOLE - frame);
        let body = format!(r#"{{"a":"{text}","usage":{{"output_tokens":7}}}}"#);
        assert_eq!(body.len(), WHOLE);
        assert_eq!(output(&body, 1_000), Some(Some(7)));
    }

    #[test]
    fn half_a_body_says_nothing() {
        assert_eq!(output(r#"{"usage":{"output_tokens":7}"#, 10), None);
        assert_eq!(output("", 10), None);
    }
}
