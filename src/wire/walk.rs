//! One pass over a JSON text, without building a tree.

use std::{borrow::Cow, fmt};

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// How many keys of a path are told apart. Deeper values are reported under the first ones.
pub(super) const PATH: usize = 8;

/// Objects and lists nested deeper than this are passed over unread. It stays below the parser's
/// own limit (128), past which a text would be refused.
pub(super) const NESTING: usize = 64;

/// Counts above this are taken for nonsense.
pub(super) const MAX_COUNT: u64 = 1_000_000_000_000;

/// A value without parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    Text(&'a str),
    Bool(bool),
    /// A non-negative integer.
    Whole(u64),
    /// Any other number.
    OtherNumber(f64),
    Null,
    /// `[]`, which no element would report.
    EmptyList,
}

impl Scalar<'_> {
    /// The value as a count of tokens; nothing if it is negative, fractional or absurdly large.
    pub(super) fn count(self) -> Option<u64> {
        match self {
            Scalar::Whole(n) if n <= MAX_COUNT => Some(n),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Scalar::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// What to do with the value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Read,
    Skip,
    /// Give up: the walk returns an error.
    Stop,
}

/// Receives the values of a text in the order in which they stand there.
///
/// A path is the keys from the outermost object inwards. Lists add nothing to it: the elements of
/// `{"a":[{"b":1},{"b":2}]}` are both at `["a", "b"]`.
pub(super) trait Sink {
    /// A key was read; its value comes next.
    fn enter(&mut self, _path: &[&str]) -> Step {
        Step::Read
    }

    fn scalar(&mut self, path: &[&str], value: Scalar<'_>);

    /// The object at this path was read to its end. Elements of a list are told apart by this alone.
    fn leave(&mut self, _path: &[&str]) {}
}

/// Shows every value of `json` to `sink`.
///
/// # Errors
///
/// If `json` is not exactly one JSON value, or the sink said [`Step::Stop`]. The sink has then
/// seen what came before.
pub(super) fn walk(json: &[u8], sink: &mut dyn Sink) -> Result<(), serde_json::Error> {
    walk_with(serde_json::Deserializer::from_slice(json), sink)
}

/// The same of what is known to be UTF-8, so that not every string is looked at for that.
pub(super) fn walk_text(json: &str, sink: &mut dyn Sink) -> Result<(), serde_json::Error> {
    walk_with(serde_json::Deserializer::from_str(json), sink)
}

fn walk_with<'de, R: serde_json::de::Read<'de>>(
    mut deserializer: serde_json::Deserializer<R>,
    sink: &mut dyn Sink,
) -> Result<(), serde_json::Error> {
    let root = Walk {
        path: &[""; PATH],
        depth: 0,
        nesting: 0,
        sink,
    };
    root.deserialize(&mut deserializer)?;
    deserializer.end()
}

struct Walk<'s, 'p> {
    path: &'p [&'p str; PATH],
    depth: usize,
    nesting: usize,
    sink: &'s mut dyn Sink,
}

impl Walk<'_, '_> {
    fn scalar(self, value: Scalar<'_>) {
        self.sink.scalar(&self.path[..self.depth.min(PATH)], value);
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.nesting >= NESTING {
            deserializer.deserialize_ignored_any(IgnoredAny).map(drop)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            let mut path: [&str; PATH] = *self.path;
            if let Some(slot) = path.get_mut(self.depth) {
                *slot = &key;
            }
            let depth = self.depth + 1;
            match self.sink.enter(&path[..depth.min(PATH)]) {
                Step::Read => map.next_value_seed(Walk {
                    path: &path,
                    depth,
                    nesting: self.nesting + 1,
                    sink: &mut *self.sink,
                })?,
                Step::Skip => drop(map.next_value::<IgnoredAny>()?),
                Step::Stop => return Err(de::Error::custom("stopped")),
            }
        }
        self.sink.leave(&self.path[..self.depth.min(PATH)]);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut empty = true;
        loop {
            let element = Walk {
                path: self.path,
                depth: self.depth,
                nesting: self.nesting + 1,
                sink: &mut *self.sink,
            };
            match list.next_element_seed(element)? {
                Some(()) => empty = false,
                None => break,
            }
        }
        if empty {
            self.scalar(Scalar::EmptyList);
        }
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.scalar(Scalar::Text(text));
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.scalar(Scalar::Bool(value));
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.scalar(Scalar::Whole(number));
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.scalar(Scalar::OtherNumber(number as f64));
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.scalar(Scalar::OtherNumber(number));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.scalar(Scalar::Null);
        Ok(())
    }
}

/// A key with its escapes resolved, borrowed where it has none: `"mod\u0065l"` is `model`.
pub(super) struct Key<'de>(pub(super) Cow<'de, str>);

impl<'de> de::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }

        deserializer.deserialize_str(KeyVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes down what it is shown; passes over `skip`, stops at `stop`.
    #[derive(Default)]
    struct Log(Vec<String>);

    impl Sink for Log {
        fn enter(&mut self, path: &[&str]) -> Step {
            match path.last() {
                Some(&"skip") => Step::Skip,
                Some(&"stop") => Step::Stop,
                _ => Step::Read,
            }
        }

        fn scalar(&mut self, path: &[&str], value: Scalar<'_>) {
            self.0.push(format!("{}={value:?}", path.join(".")));
        }
    }

    fn log(json: &str) -> (Vec<String>, bool) {
        let mut log = Log::default();
        let whole = walk(json.as_bytes(), &mut log).is_ok();
        (log.0, whole)
    }

    #[test]
    fn lists_add_nothing_to_the_path() {
        let (seen, whole) = log(r#"{"a":[{"b":1},{"b":"x"}],"c":[],"d":null}"#);
        assert!(whole);
        let expected = [r"a.b=Whole(1)", r#"a.b=Text("x")"#, "c=EmptyList", "d=Null"];
        assert_eq!(seen, expected);
    }

    #[test]
    fn escapes_in_keys_are_resolved() {
        assert_eq!(log(r#"{"mod\u0065l":true}"#).0, ["model=Bool(true)"]);
    }

    #[test]
    fn a_skipped_value_may_be_anything_that_is_json() {
        let (seen, whole) = log(r#"{"skip":{"x":[1e999,{}]},"y":-1}"#);
        assert!(whole);
        assert_eq!(seen, ["y=OtherNumber(-1.0)"]);
    }

    #[test]
    fn stops_where_it_is_told() {
        let (seen, whole) = log(r#"{"a":1,"stop":2,"b":3}"#);
        assert!(!whole);
        assert_eq!(seen, ["a=Whole(1)"]);
    }

    #[test]
    fn depth_is_neither_an_error_nor_a_stack_overflow() {
        for (open, close) in [("[", "]"), (r#"{"k":"#, "}")] {
            let json = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
            let (seen, whole) = log(&json);
            assert!(whole);
            assert!(seen.is_empty());
        }
    }

    #[test]
    fn a_long_path_keeps_its_beginning() {
        let json = format!("{}1{}", r#"{"k":"#.repeat(20), "}".repeat(20));
        assert_eq!(
            log(&json).0,
            [format!("{}=Whole(1)", ["k"; PATH].join("."))]
        );
    }

    #[test]
    fn only_one_whole_value_will_do() {
        for json in [
            "",
            "{",
            r#"{"a":1}}"#,
            r#"{"a":1} 2"#,
            "\u{feff}{}",
            "{'a':1}",
        ] {
            assert!(!log(json).1, "{json:?}");
        }
        assert!(log(" {} \n").1);
    }

    #[test]
    fn counts_are_whole_and_sane() {
        assert_eq!(Scalar::Whole(MAX_COUNT).count(), Some(MAX_COUNT));
        assert_eq!(Scalar::Whole(MAX_COUNT + 1).count(), None);
        assert_eq!(Scalar::OtherNumber(1.0).count(), None);
        assert_eq!(Scalar::Text("5").count(), None);
    }
}
