//! Which upstream a call is for.

use http::{HeaderMap, HeaderName, Uri, uri::PathAndQuery};

use super::{Place, Upstream, Upstreams};
use crate::wire::Dialect;

const GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
/// What is asked of Gemini's models.
const GEMINI: [&str; 5] = [
    ":generateContent",
    ":streamGenerateContent",
    ":embedContent",
    ":batchEmbedContents",
    ":countTokens",
];
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// An upstream, and the call's path there.
#[derive(Clone, Debug)]
pub(in crate::gateway) struct Chosen<'u> {
    pub(in crate::gateway) place: &'u Place,
    /// Without the upstream's name in front.
    pub(in crate::gateway) path: PathAndQuery,
}

/// Whether a caller shows Google's kind of key: this is asked before that is taken off, as it may be one of ours.
pub(in crate::gateway) fn shows_google_key(headers: &HeaderMap) -> bool {
    headers.contains_key(GOOG_API_KEY)
}

impl Upstreams {
    /// By the first part of the path, where that is the name of one; else by the API that is spoken; else the one that is
    /// for everything. `google`: whether the caller [shows Google's kind of key](shows_google_key).
    pub(in crate::gateway) fn choose(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        google: bool,
    ) -> Option<Chosen<'_>> {
        let path = uri.path_and_query()?;
        if let Some((place, path)) = self.by_path(path) {
            return Some(Chosen { place, path });
        }
        let spoken = speaks(path.path(), headers, google).and_then(|name| self.called(name));
        let place = spoken.or(self.default.as_ref())?;
        let path = path.clone();
        Some(Chosen { place, path })
    }

    /// The API whose errors a caller of this path understands.
    pub(in crate::gateway) fn dialect_of(
        &self,
        path: &str,
        headers: &HeaderMap,
        google: bool,
    ) -> Dialect {
        match speaks(path, headers, google) {
            Some("gemini") => Dialect::Gemini,
            Some("anthropic") => Dialect::AnthropicMessages,
            Some("openai") => Dialect::OpenAiChat,
            Some("cohere") => Dialect::CohereChat,
            _ => Dialect::Generic,
        }
    }

    fn by_path(&self, path: &PathAndQuery) -> Option<(&Place, PathAndQuery)> {
        let rest = path.as_str().strip_prefix('/')?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let place = self.called(&rest[..end])?;
        let rest = &rest[end..];
        let rest = match rest.starts_with('/') {
            true => PathAndQuery::try_from(rest),
            false => PathAndQuery::try_from(format!("/{rest}")),
        };
        Some((place, rest.ok()?))
    }

    fn called(&self, name: &str) -> Option<&Place> {
        let mut named = self.named.iter();
        named.find(|place| place.name.as_deref() == Some(name))
    }
}

/// Whose API it is, of those that SDKs reach without a name in the path.
fn speaks(path: &str, headers: &HeaderMap, google: bool) -> Option<&'static str> {
    let gemini = google
        || path.starts_with("/v1beta/")
        || path.starts_with("/upload/v1beta/")
        || path.contains(':') && GEMINI.iter().any(|method| path.contains(method));
    let anthropic = path == "/v1/messages"
        || path.starts_with("/v1/messages/")
        || path == "/v1/complete"
        || headers.contains_key(ANTHROPIC_VERSION);
    match () {
        () if gemini => Some("gemini"),
        () if anthropic => Some("anthropic"),
        () if path.starts_with("/v1/") => Some("openai"),
        () if path.starts_with("/v2/") => Some("cohere"),
        () => None,
    }
}

/// The address of calls that go to targets of routes alone: nobody's.
pub(in crate::gateway) fn nowhere(path: &PathAndQuery) -> Option<Uri> {
    Upstream::nowhere().uri(path)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use http::HeaderValue;

    use super::*;
    use crate::gateway::UpstreamConfig;

    fn upstreams(names: &[&str], default: &str) -> Upstreams {
        let config = |name: &&str| {
            let config = UpstreamConfig {
                url: Some(format!("http://{name}/base").parse().unwrap()),
                default: *name == default,
                ..UpstreamConfig::default()
            };
            ((*name).to_owned(), config)
        };
        let named: BTreeMap<_, _> = names.iter().map(config).collect();
        Upstreams::of(&named, None).unwrap()
    }

    fn chosen(upstreams: &Upstreams, path: &str, header: Option<&'static str>) -> Option<String> {
        let mut headers = HeaderMap::new();
        if let Some(name) = header {
            headers.insert(name, HeaderValue::from_static("x"));
        }
        let google = shows_google_key(&headers);
        let chosen = upstreams.choose(&path.parse().unwrap(), &headers, google)?;
        Some(chosen.place.url.uri(&chosen.path)?.to_string())
    }

    #[test]
    fn a_name_in_front_then_the_api_then_the_default() {
        let all = upstreams(&["openai", "anthropic", "gemini", "search"], "search");
        for (path, header, expected) in [
            (
                "/v1/chat/completions",
                None,
                "http://openai/base/v1/chat/completions",
            ),
            ("/v1/models?x=1", None, "http://openai/base/v1/models?x=1"),
            (
                "/v1/models",
                Some("anthropic-version"),
                "http://anthropic/base/v1/models",
            ),
            ("/v1/messages", None, "http://anthropic/base/v1/messages"),
            (
                "/v1/messages/batches",
                None,
                "http://anthropic/base/v1/messages/batches",
            ),
            ("/v1/messagesx", None, "http://openai/base/v1/messagesx"),
            ("/v1beta/models", None, "http://gemini/base/v1beta/models"),
            (
                "/v1/models",
                Some("x-goog-api-key"),
                "http://gemini/base/v1/models",
            ),
            (
                "/v1/models/m:batchEmbedContents",
                None,
                "http://gemini/base/v1/models/m:batchEmbedContents",
            ),
            (
                "/search/v1/messages?q",
                None,
                "http://search/base/v1/messages?q",
            ),
            ("/search?q", None, "http://search/base/?q"),
            ("/search", None, "http://search/base/"),
            ("/searchx", None, "http://search/base/searchx"),
            (
                "/openai/v1/x",
                Some("anthropic-version"),
                "http://openai/base/v1/x",
            ),
        ] {
            assert_eq!(
                chosen(&all, path, header).as_deref(),
                Some(expected),
                "{path}"
            );
        }
    }

    #[test]
    fn a_single_one_is_for_everything_and_several_are_not() {
        let one = upstreams(&["mistral"], "");
        let sent = chosen(&one, "/v1/chat/completions", None);
        assert_eq!(
            sent.as_deref(),
            Some("http://mistral/base/v1/chat/completions")
        );
        let two = upstreams(&["mistral", "anthropic"], "");
        assert_eq!(chosen(&two, "/v1/chat/completions", None), None);
        assert!(chosen(&two, "/v1/messages", None).is_some());
    }
}
