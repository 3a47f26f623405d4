//! One JSON list that comes element by element, as Google's APIs stream without `alt=sse`.

use super::piece::Piece;

/// Finds the objects and lists in the outermost list, by brackets alone: whether they are JSON is
/// for others to say. Scalars in it are passed over.
pub(in super::super) struct List {
    element: Piece,
    depth: u64,
    in_string: bool,
    is_escaped: bool,
    is_closed: bool,
    /// Whether a comma has to come before another element.
    needs_comma: bool,
}

impl List {
    pub(super) fn new(cap: usize) -> List {
        List {
            element: Piece::new(cap),
            depth: 0,
            in_string: false,
            is_escaped: false,
            is_closed: false,
            needs_comma: false,
        }
    }

    /// Takes the next piece of the stream and hands on the elements that it completes.
    pub(super) fn push(&mut self, chunk: &[u8], on_element: &mut impl FnMut(&[u8])) {
        let mut start = (self.depth > 1).then_some(0);
        for (at, &byte) in chunk.iter().enumerate() {
            if self.is_closed {
                return;
            }
            if self.in_string {
                self.in_string = self.is_escaped || byte != b'"';
                self.is_escaped = !self.is_escaped && byte == b'\\';
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    self.depth = self.depth.saturating_add(1);
                    if self.depth == 2 {
                        start = Some(at);
                    }
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.is_closed = self.depth == 0;
                    if self.depth == 1
                        && let Some(start) = start.take()
                    {
                        self.needs_comma = true;
                        self.element.finish(&chunk[start..=at], on_element);
                    }
                }
                b',' if self.depth == 1 => self.needs_comma = false,
                _ => {}
            }
        }
        if let Some(start) = start {
            self.element.keep(&chunk[start..]);
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Whether another element may follow here, and whether a comma has to come first.
    pub(super) fn may_go_on(&self) -> Option<bool> {
        let is_between = self.depth <= 1 && !self.in_string && !self.is_closed;
        is_between.then_some(self.needs_comma)
    }

    /// Whether the list has begun.
    pub(super) fn is_open(&self) -> bool {
        self.depth > 0
    }

    pub(super) fn dropped_bytes(&self) -> u64 {
        self.element.dropped_bytes()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.element.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(text: &str, size: usize) -> (Vec<String>, List) {
        let mut list = List::new(100);
        let mut seen = Vec::new();
        for chunk in text.as_bytes().chunks(size) {
            list.push(chunk, &mut |element: &[u8]| {
                seen.push(String::from_utf8(element.to_vec()).unwrap());
            });
        }
        (seen, list)
    }

    #[test]
    fn finds_elements_however_it_is_cut() {
        let text = r#" [{"a":"]}\"\\"},
            {"b":[{"c":1}]} , 5,"}{",[2]] {"after":1}"#;
        for size in 1..=text.len() {
            let (seen, list) = elements(text, size);
            assert_eq!(
                seen,
                [r#"{"a":"]}\"\\"}"#, r#"{"b":[{"c":1}]}"#, "[2]"],
                "{size}"
            );
            assert!(list.is_closed());
            assert_eq!(list.may_go_on(), None);
        }
    }

    #[test]
    fn where_it_may_go_on() {
        for (text, expected) in [
            ("", Some(false)),
            ("[", Some(false)),
            (r#"[{"a":1"#, None),
            (r#"[{"a":1}"#, Some(true)),
            (r#"[{"a":1},{"#, None),
        ] {
            assert_eq!(elements(text, 3).1.may_go_on(), expected, "{text}");
        }
    }

    #[test]
    fn brackets_that_do_not_match_do_no_harm() {
        for text in ["]]]]{{", "}", r#"["#, r#"[{]}"#, "[{\"a"] {
            let _ = elements(text, 1);
        }
    }

    #[test]
    fn an_element_over_the_cap_is_dropped() {
        let (seen, list) = elements(&format!("[{{\"a\":\"{}\"}},{{}}]", "x".repeat(100)), 7);
        assert_eq!(seen, ["{}"]);
        assert_eq!(list.dropped_bytes(), 108);
    }

    #[test]
    fn another_element_needs_one_comma_and_no_two() {
        for (text, expected) in [
            ("[", Some(false)),
            ("[{}", Some(true)),
            ("[{} ,", Some(false)),
            ("[{},{}", Some(true)),
            ("[{},\r\n", Some(false)),
            ("[{\"a\":[1,", None),
            ("[{}]", None),
        ] {
            assert_eq!(elements(text, 1).1.may_go_on(), expected, "{text}");
        }
    }
}
