//! The text of messages, of which only the length is kept.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// What is said in a text, a part with a text, or a list of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Text {
    /// The bytes of all of it.
    pub(super) bytes: u64,
    /// Whether something of it is what a tool has returned.
    has_result: bool,
    /// Whether the last of a list is.
    ends_with_result: bool,
}

impl Text {
    /// The tokens of it, as they are estimated here.
    pub(super) fn tokens(self) -> u64 {
        self.bytes.div_ceil(4)
    }

    /// Both.
    pub(super) fn and(self, other: Text) -> Text {
        Text {
            bytes: self.bytes.saturating_add(other.bytes),
            ..self
        }
    }

    /// Whether the last message is what a tool has returned: then it is not called again.
    pub(super) fn answers_tool(self) -> bool {
        self.ends_with_result
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextVisitor)
    }
}

/// The keys of the three providers.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Field {
    #[serde(alias = "text", alias = "parts", alias = "output")]
    Content,
    Role,
    Type,
    #[serde(rename = "functionResponse", alias = "function_response")]
    Result,
    #[serde(other)]
    Other,
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a text, a part with a text, or a list of them")
    }

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text {
            bytes: text.len() as u64,
            ..Text::default()
        })
    }

    fn visit_unit<E>(self) -> Result<Text, E> {
        Ok(Text::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Text, A::Error> {
        let mut sum = Text::default();
        while let Some(one) = list.next_element::<Text>()? {
            sum = sum.and(one);
            sum.has_result |= one.has_result;
            sum.ends_with_result = one.has_result;
        }
        Ok(sum)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut part: A) -> Result<Text, A::Error> {
        let mut sum = Text::default();
        while let Some(name) = part.next_key()? {
            match name {
                Field::Content => {
                    let inside: Text = part.next_value()?;
                    sum = sum.and(inside);
                    sum.has_result |= inside.has_result;
                }
                Field::Role | Field::Type => {
                    let word: Value = part.next_value()?;
                    sum.has_result |= matches!(
                        word.as_str(),
                        Some("tool" | "function" | "tool_result" | "function_call_output")
                    );
                }
                Field::Result => {
                    part.next_value::<IgnoredAny>()?;
                    sum.has_result = true;
                }
                Field::Other => {
                    part.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> Text {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn counts_plain_and_parted_messages_of_all_providers() {
        for (json, bytes) in [
            (r#""12345""#, 5),
            ("null", 0),
            (r#"[{"role":"user","content":"12345"}]"#, 5),
            (
                r#"[{"content":[{"type":"text","text":"1234"},{"type":"image_url",
                "image_url":{"url":"data:..."}}]},{"content":null}]"#,
                4,
            ),
            (
                r#"{"parts":[{"text":"12"},{"inlineData":{"data":"QUJD"}}]}"#,
                2,
            ),
            (
                r#"[{"type":"function_call_output","output":"123","call_id":"c"}]"#,
                3,
            ),
        ] {
            assert_eq!(text(json).bytes, bytes, "{json}");
        }
    }

    #[test]
    fn knows_a_result_of_a_tool_where_it_comes_last() {
        for last in [
            r#"{"role":"tool","content":"1"}"#,
            r#"{"content":[{"type":"tool_result","content":"1"},{"type":"text","text":"2"}]}"#,
            r#"{"type":"function_call_output","output":"1"}"#,
            r#"{"parts":[{"functionResponse":{"name":"f","response":{"text":"3"}}}]}"#,
        ] {
            let user = r#"{"role":"user","content":"4"}"#;
            assert!(text(&format!("[{user},{last}]")).answers_tool(), "{last}");
            assert!(!text(&format!("[{last},{user}]")).answers_tool(), "{last}");
        }
        assert!(!text("[]").answers_tool());
    }
}
