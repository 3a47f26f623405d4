//! The APIs that are understood. Each is one file; this one only tells them apart.

mod anthropic_messages;
mod generic;
mod openai_chat;

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::{note::Note, walk::Scalar};

/// An API as callers see it: its paths, its JSON, its streams, its errors.
///
/// Several providers speak [`OpenAiChat`](Dialect::OpenAiChat); the dialect says how to read a
/// call, not who answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// OpenAI "Chat Completions", and what is compatible with it.
    OpenAiChat,
    /// Anthropic "Messages".
    AnthropicMessages,
    /// Any other HTTP API: nothing is read from its bodies.
    Generic,
}

/// The dialects that can be detected, the most particular first.
const DETECTABLE: [Dialect; 2] = [Dialect::AnthropicMessages, Dialect::OpenAiChat];

impl Dialect {
    /// Tells the dialect from the path of a request (without its query) and its headers.
    ///
    /// - `…/chat/completions` is OpenAI chat.
    /// - `…/v1/messages` with an `anthropic-version` header is Anthropic messages. The header is
    ///   required by that API, and other APIs have such a path too.
    /// - Everything else is generic, including the neighbours of these paths that generate
    ///   nothing, such as `/v1/messages/count_tokens`.
    ///
    /// ```
    /// use http::HeaderMap;
    /// use tower_quota::wire::Dialect;
    ///
    /// let headers = HeaderMap::new();
    /// assert_eq!(Dialect::detect("/v1/chat/completions", &headers), Dialect::OpenAiChat);
    /// assert_eq!(Dialect::detect("/v1/models", &headers), Dialect::Generic);
    /// ```
    #[must_use]
    pub fn detect(path: &str, headers: &HeaderMap) -> Dialect {
        let serves = |dialect: &Dialect| dialect.spec().serves(path, headers);
        let found = DETECTABLE.into_iter().find(serves);
        found.unwrap_or(Dialect::Generic)
    }

    /// The provider that defined the dialect, as OpenTelemetry's `gen_ai.provider.name` spells it;
    /// none for [`Generic`](Dialect::Generic).
    #[must_use]
    pub fn provider(self) -> Option<&'static str> {
        self.spec().provider()
    }

    pub(super) fn spec(self) -> &'static dyn Spec {
        match self {
            Dialect::OpenAiChat => &openai_chat::OpenAiChat,
            Dialect::AnthropicMessages => &anthropic_messages::AnthropicMessages,
            Dialect::Generic => &generic::Generic,
        }
    }
}

/// What a dialect knows. All of it is data or a `match`; nothing here keeps state.
pub(super) trait Spec: Sync {
    /// See [`Dialect::provider`].
    fn provider(&self) -> Option<&'static str>;

    /// Whether a request with this path and these headers is written in this dialect.
    fn serves(&self, path: &str, headers: &HeaderMap) -> bool;

    /// Where the facts of a request stand. A dialect without fields is never parsed, neither its
    /// requests nor its responses.
    fn request(&self) -> &'static [(&'static [&'static str], Field)];

    /// Takes from a response what one value says. Called for each value of a JSON body, and of
    /// each event of a stream. Paths are those of [`Sink`](super::walk::Sink).
    fn response(&self, path: &[&str], value: &Scalar<'_>, note: &mut Note);

    /// The data of the event that ends a stream, where that is not JSON.
    fn end_mark(&self) -> Option<&'static [u8]> {
        None
    }

    /// The content type and the content of an error answer.
    fn error(&self, kind: &str, status: StatusCode, message: &str) -> (&'static str, Value);
}

/// What a field of a request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Model,
    /// The cap on output tokens.
    MaxOutput,
    /// An older name of the cap; counts where [`Field::MaxOutput`] is absent.
    OldMaxOutput,
    Stream,
    /// How many answers are asked for.
    Choices,
    /// All text below is input.
    Text,
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn detect(path: &str, header: Option<&'static str>) -> Dialect {
        let mut headers = HeaderMap::new();
        if let Some(name) = header {
            headers.insert(name, HeaderValue::from_static("2023-06-01"));
        }
        Dialect::detect(path, &headers)
    }

    #[test]
    fn tells_dialects_by_path_and_header() {
        let anthropic = Some("anthropic-version");
        for (path, header, expected) in [
            ("/v1/chat/completions", None, Dialect::OpenAiChat),
            (
                "/proxy/openai/v1/chat/completions",
                None,
                Dialect::OpenAiChat,
            ),
            ("/v1/messages", anthropic, Dialect::AnthropicMessages),
            ("/api/v1/messages", anthropic, Dialect::AnthropicMessages),
        ] {
            assert_eq!(detect(path, header), expected, "{path}");
        }
    }

    #[test]
    fn takes_no_other_path_for_a_dialect() {
        let anthropic = Some("anthropic-version");
        for (path, header) in [
            ("", None),
            ("/v1/completions", None),
            ("/v1/chat/completions/chatcmpl-1", None),
            ("/v1/messages", None),
            ("/v1/messages/count_tokens", anthropic),
            ("/v1/messages/batches", anthropic),
            ("/v1/models", anthropic),
        ] {
            assert_eq!(detect(path, header), Dialect::Generic, "{path}");
        }
    }

    #[test]
    fn fields_fit_the_set_that_finds_duplicates() {
        for dialect in [
            Dialect::OpenAiChat,
            Dialect::AnthropicMessages,
            Dialect::Generic,
        ] {
            assert!(dialect.spec().request().len() <= 64);
        }
    }

    #[test]
    fn names_the_provider() {
        assert_eq!(Dialect::OpenAiChat.provider(), Some("openai"));
        assert_eq!(Dialect::AnthropicMessages.provider(), Some("anthropic"));
        assert_eq!(Dialect::Generic.provider(), None);
    }
}
