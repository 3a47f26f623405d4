//! The tag values that counts stand under, kept so that a count is found with few looks into memory.

use std::sync::Arc;

/// As many bytes as stand in place: with its length and its kind that is three words.
const SHORT: usize = 22;

/// The values of the tags that a level is split by: one, as a rule, and short, as names are.
#[derive(Clone, Debug)]
pub(super) enum Values {
    /// One, in place.
    Short(u8, [u8; SHORT]),
    /// One.
    Long(Arc<str>),
    /// None or several.
    Several(Box<[Arc<str>]>),
}

impl Values {
    pub(super) fn of(values: &[Arc<str>]) -> Self {
        let [value] = values else {
            return Values::Several(values.into());
        };
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..value.len()), u8::try_from(value.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(value.as_bytes());
                Values::Short(length, bytes)
            }
            _ => Values::Long(value.clone()),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Values::Several(values) if values.is_empty())
    }

    /// Whether it is this one and no other.
    #[inline]
    pub(super) fn is(&self, value: &str) -> bool {
        match self {
            Values::Short(length, bytes) => bytes[..usize::from(*length)] == *value.as_bytes(),
            Values::Long(known) => **known == *value,
            Values::Several(_) => false,
        }
    }

    /// The first, where there is one.
    pub(super) fn first(&self) -> Option<&str> {
        match self {
            Values::Short(..) => Some(self.in_place()),
            Values::Long(value) => Some(value),
            Values::Several(values) => values.first().map(AsRef::as_ref),
        }
    }

    /// Whether it is these, none or several.
    pub(super) fn are<'a>(&self, values: impl Iterator<Item = &'a str>) -> bool {
        matches!(self, Values::Several(known) if known.iter().map(AsRef::as_ref).eq(values))
    }

    /// Shows each, as the bytes of its text.
    pub(super) fn each(&self, mut show: impl FnMut(&[u8])) {
        match self {
            Values::Short(length, bytes) => show(&bytes[..usize::from(*length)]),
            Values::Long(value) => show(value.as_bytes()),
            Values::Several(values) => values.iter().for_each(|value| show(value.as_bytes())),
        }
    }

    /// Each, to hand on.
    pub(super) fn shared(&self) -> Vec<Arc<str>> {
        match self {
            Values::Short(..) => vec![self.in_place().into()],
            Values::Long(value) => vec![value.clone()],
            Values::Several(values) => values.to_vec(),
        }
    }

    fn in_place(&self) -> &str {
        let Values::Short(length, bytes) = self else {
            return "";
        };
        std::str::from_utf8(&bytes[..usize::from(*length)]).expect("it was made of text")
    }

    /// About how much memory they take apart.
    pub(super) fn bytes_apart(&self) -> usize {
        // Each stands behind two counters, and fills whole words.
        let word = size_of::<usize>();
        let value = |value: &Arc<str>| 2 * word + value.len().next_multiple_of(word);
        match self {
            Values::Short(..) => 0,
            Values::Long(one) => value(one),
            Values::Several(values) => {
                size_of_val::<[Arc<str>]>(values) + values.iter().map(value).sum::<usize>()
            }
        }
    }
}

impl Default for Values {
    fn default() -> Self {
        Values::Several(Box::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(texts: &[&str]) -> Values {
        let values: Vec<Arc<str>> = texts.iter().map(|text| (*text).into()).collect();
        Values::of(&values)
    }

    #[test]
    fn a_value_is_itself_whether_it_stands_in_place_or_not() {
        for length in (0..=SHORT + 1).chain([256]) {
            let text = "é".repeat(length / 2) + &"x".repeat(length % 2);
            let one = values(&[&text]);
            assert!(one.is(&text) && !one.is(&format!("{text}x")) && !one.is_empty());
            for place in 0..length {
                let mut other = vec![b'a'; length];
                assert!(values(&[&"a".repeat(length)]).is(str::from_utf8(&other).unwrap()));
                other[place] = b'b';
                assert!(!values(&[&"a".repeat(length)]).is(str::from_utf8(&other).unwrap()));
            }
            assert_eq!(one.shared(), [Arc::from(&*text)]);
            assert_eq!(one.first(), Some(&*text));
            assert_eq!(one.bytes_apart() > 0, length > SHORT);
        }
    }

    #[test]
    fn several_values_are_no_single_one() {
        let two = values(&["a", "b"]);
        assert!(two.are(["a", "b"].into_iter()) && !two.are(["a", "c"].into_iter()));
        assert!(!two.is("a") && !two.is("ab") && !two.is_empty());
        assert_eq!(two.shared(), [Arc::from("a"), Arc::from("b")]);
        let mut shown = Vec::new();
        two.each(|value| shown.push(value.to_vec()));
        assert_eq!(shown, [b"a", b"b"]);
        assert!(values(&[]).is_empty() && !values(&[]).is(""));
    }

    #[test]
    fn values_are_three_words() {
        assert_eq!(size_of::<Values>(), 3 * size_of::<usize>());
    }
}
