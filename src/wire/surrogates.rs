//! Halves of surrogate pairs that stand alone as escapes.
//!
//! JSON's grammar has them, and Python's `json.dumps` and JavaScript's `JSON.stringify` write them where a text was cut within a
//! pair; `serde_json` refuses a string that has one, and with it all that stands beside. RFC 8259, section 8.2.

/// The same text with U+FFFD in the place of each half; `None` where there is none.
pub(super) fn without_halves(json: &str) -> Option<String> {
    let mut mended = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = memchr::memchr(b'\\', &json.as_bytes()[at..]) {
        let escape = at + found;
        at = match unit(json, escape) {
            Some(0xd800..=0xdbff) if matches!(unit(json, escape + 6), Some(0xdc00..=0xdfff)) => {
                escape + 12
            }
            Some(0xd800..=0xdfff) => {
                mended.push_str(&json[copied..escape]);
                mended.push_str("\\ufffd");
                copied = escape + 6;
                copied
            }
            // The character behind it is escaped, and may be another backslash.
            _ => (escape + 2).min(json.len()),
        };
    }
    (copied > 0).then(|| mended + &json[copied..])
}

/// The number in an escape `\uXXXX` that begins here.
fn unit(json: &str, at: usize) -> Option<u16> {
    let escape = json.as_bytes().get(at..at + 6)?;
    let digits = escape.strip_prefix(b"\\u")?;
    let all_hex = digits.iter().all(u8::is_ascii_hexdigit);
    u16::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| all_hex)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn halves_are_replaced_and_pairs_and_all_else_stay() {
        for (json, expected) in [
            (r#""a""#, None),
            (r#""\ud83d\ude00""#, None),
            (r#""\\ud83d""#, None),
            (r#""\u00e9\n\"""#, None),
            (r#""\ud83d""#, Some(r#""\ufffd""#)),
            (r#""\uDE00x""#, Some(r#""\ufffdx""#)),
            (r#""\ud83d\ud83d\ude00""#, Some(r#""\ufffd\ud83d\ude00""#)),
            (r#""\\\ud83dü""#, Some(r#""\\\ufffdü""#)),
            (r#""\ud83d\n""#, Some(r#""\ufffd\n""#)),
        ] {
            assert_eq!(without_halves(json).as_deref(), expected, "{json}");
        }
        // What is cut off is no escape.
        for json in ["\"\\", "\"\\u", "\"\\ud83", "\"\\ü"] {
            assert_eq!(without_halves(json), None, "{json}");
        }
    }

    proptest! {
        #[test]
        fn what_is_left_is_read_and_what_was_read_before_is_as_it_was(
            parts in prop::collection::vec(
                prop_oneof![
                    Just(r"\ud83d"), Just(r"\ude00"), Just(r"\\"), Just(r"\n"), Just("ü"), Just("u"), Just("d83d"), Just(r"\u0041"),
                ],
                0..12,
            ),
        ) {
            let json = format!("\"{}\"", parts.concat());
            let mended = without_halves(&json);
            let before = serde_json::from_str::<String>(&json);
            prop_assert_eq!(before.is_ok(), mended.is_none());
            if let Some(mended) = mended {
                prop_assert!(serde_json::from_str::<String>(&mended).is_ok());
            }
        }
    }
}
