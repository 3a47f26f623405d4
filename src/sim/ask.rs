//! What the simulator wants to know of a request: a dialect, a key, and a few fields of the body.

use std::borrow::Cow;
use std::fmt;

use http::{HeaderMap, header};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The language of a request and of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI chat completions.
    OpenAi,
    /// Anthropic messages.
    Anthropic,
}

/// Greater output caps are read as this one, so that sums of charges cannot overflow.
const MOST_CAP: u64 = 1 << 40;

/// The facts of one request.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) key: &'a str,
    pub(crate) model: Cow<'a, str>,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    /// The estimated input tokens.
    pub(crate) prompt: u64,
    /// The output cap, if the request names one.
    pub(crate) max_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
    messages: TextBytes,
    #[serde(default)]
    system: TextBytes,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

impl<'a> Ask<'a> {
    /// Reads a request; the error is the message for a 400.
    pub(crate) fn read(dialect: Dialect, key: &'a str, body: &'a [u8]) -> Result<Self, String> {
        let wire: Wire<'a> = serde_json::from_slice(body).map_err(|error| {
            format!("We could not parse the JSON body of your request: {error}")
        })?;
        let mut bytes = wire.messages.0;
        let mut max_tokens = wire.max_tokens;
        match dialect {
            Dialect::OpenAi => max_tokens = wire.max_completion_tokens.or(max_tokens),
            Dialect::Anthropic => {
                bytes = bytes.saturating_add(wire.system.0);
                if max_tokens.is_none() {
                    return Err("max_tokens: Field required".to_owned());
                }
            }
        }
        Ok(Self {
            dialect,
            key,
            model: wire.model,
            stream: wire.stream.unwrap_or(false),
            include_usage: wire
                .stream_options
                .and_then(|options| options.include_usage)
                .unwrap_or(false),
            prompt: bytes.div_ceil(4),
            max_tokens: max_tokens.map(|cap| cap.min(MOST_CAP)),
        })
    }
}

/// The API key as sent, or nothing.
pub(crate) fn api_key(headers: &HeaderMap) -> &str {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    text(header::HeaderName::from_static("x-api-key"))
        .or_else(|| text(header::AUTHORIZATION)?.strip_prefix("Bearer "))
        .unwrap_or("")
}

/// The bytes of all text in a message list, a content or a content part; none of it is kept.
#[derive(Default)]
struct TextBytes(u64);

impl<'de> Deserialize<'de> for TextBytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextVisitor).map(Self)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Field {
    Content,
    Text,
    #[serde(other)]
    Other,
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = u64;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a text, a part with a text, or a list of them")
    }

    fn visit_str<E>(self, text: &str) -> Result<u64, E> {
        Ok(text.len() as u64)
    }

    fn visit_unit<E>(self) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<u64, A::Error> {
        let mut sum = 0u64;
        while let Some(TextBytes(bytes)) = list.next_element()? {
            sum = sum.saturating_add(bytes);
        }
        Ok(sum)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut part: A) -> Result<u64, A::Error> {
        let mut sum = 0u64;
        while let Some(name) = part.next_key()? {
            if matches!(name, Field::Content | Field::Text) {
                let TextBytes(bytes) = part.next_value()?;
                sum = sum.saturating_add(bytes);
            } else {
                part.next_value::<IgnoredAny>()?;
            }
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openai(body: &str) -> Result<Ask<'_>, String> {
        Ask::read(Dialect::OpenAi, "", body.as_bytes())
    }

    #[test]
    fn counts_the_text_of_plain_and_of_parted_messages() {
        let plain = openai(r#"{"model":"m","messages":[{"role":"user","content":"12345"}]}"#);
        assert_eq!(plain.unwrap().prompt, 2);
        let parted = openai(
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"1234"},
                {"type":"image_url","image_url":{"url":"data:..."}}]},{"content":null}]}"#,
        );
        assert_eq!(parted.unwrap().prompt, 1);
    }

    #[test]
    fn counts_the_system_text_of_anthropic_only() {
        let body = br#"{"model":"m","system":[{"type":"text","text":"12345678"}],"max_tokens":1,
            "messages":[]}"#;
        let prompt = |dialect| Ask::read(dialect, "", body).unwrap().prompt;
        assert_eq!(prompt(Dialect::Anthropic), 2);
        assert_eq!(prompt(Dialect::OpenAi), 0);
    }

    #[test]
    fn prefers_the_newer_name_of_the_output_cap() {
        let old = openai(r#"{"model":"m","messages":[],"max_tokens":5}"#);
        assert_eq!(old.unwrap().max_tokens, Some(5));
        let both =
            openai(r#"{"model":"m","messages":[],"max_tokens":5,"max_completion_tokens":7}"#);
        assert_eq!(both.unwrap().max_tokens, Some(7));
    }

    #[test]
    fn refuses_a_body_without_model_and_a_message_without_cap() {
        assert!(openai(r#"{"messages":[]}"#).is_err());
        assert!(openai("not json").is_err());
        let body = br#"{"model":"m","messages":[]}"#;
        assert!(Ask::read(Dialect::Anthropic, "", body).is_err());
        assert!(Ask::read(Dialect::OpenAi, "", body).is_ok());
    }
}
