//! The members of one JSON object, with their places in the text.

use std::{borrow::Cow, fmt, ops::Range};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::walk::Key;

pub(super) struct Members<'t> {
    text: &'t [u8],
    members: Vec<(Cow<'t, str>, &'t RawValue)>,
}

impl<'t> Members<'t> {
    /// Nothing if `text` is not exactly one object.
    pub(super) fn read(text: &'t [u8]) -> Option<Members<'t>> {
        let List(members) = serde_json::from_slice(text).ok()?;
        Some(Members { text, members })
    }

    /// The value of a key, if it is there; nothing at all if it is there twice.
    pub(super) fn only(&self, key: &str) -> Option<Option<&'t RawValue>> {
        let mut found = self.members.iter().filter(|(name, _)| name == key);
        let value = found.next().map(|(_, value)| *value);
        found.next().is_none().then_some(value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'t RawValue)> {
        self.members.iter().map(|(name, value)| (&**name, *value))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Where a value stands that was read from this text.
    pub(super) fn span(&self, value: &RawValue) -> Option<Range<usize>> {
        let value = value.get().as_bytes();
        let start = (value.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize)?;
        let span = start..start + value.len();
        (self.text.get(span.clone()) == Some(value)).then_some(span)
    }
}

struct List<'t>(Vec<(Cow<'t, str>, &'t RawValue)>);

impl<'de> Deserialize<'de> for List<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor;

        impl<'de> Visitor<'de> for ListVisitor {
            type Value = List<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<List<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(key) = map.next_key::<Key<'de>>()? {
                    members.push((key.0, map.next_value()?));
                }
                Ok(List(members))
            }
        }

        deserializer.deserialize_map(ListVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_their_places() {
        let text = br#" {"a" : [1, 2], "\u0062":null} "#;
        let members = Members::read(text).unwrap();
        let value = members.only("a").unwrap().unwrap();
        assert_eq!(&text[members.span(value).unwrap()], b"[1, 2]");
        assert_eq!(members.only("b").unwrap().unwrap().get(), "null");
        assert!(members.only("c").unwrap().is_none());
    }

    #[test]
    fn what_is_no_object_has_no_members() {
        for text in ["", "[]", "{}{}", r#"{"a":}"#, "null"] {
            assert!(Members::read(text.as_bytes()).is_none(), "{text}");
        }
        assert!(Members::read(b"{}").unwrap().is_empty());
        let twice = Members::read(br#"{"a":1,"\u0061":2}"#).unwrap();
        assert!(twice.only("a").is_none());
    }

    #[test]
    fn a_value_from_elsewhere_has_no_place() {
        let members = Members::read(br#"{"a":1}"#).unwrap();
        let elsewhere: Box<RawValue> = serde_json::from_str("1").unwrap();
        assert!(members.span(&elsewhere).is_none());
    }
}
