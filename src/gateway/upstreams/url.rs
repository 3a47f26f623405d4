use std::{fmt, str::FromStr};

use http::{
    Uri,
    uri::{Authority, PathAndQuery, Scheme},
};
use serde::Deserialize;

/// Where calls go: `https://api.openai.com`, with a path if all of the upstream's paths begin with it.
///
/// The caller's path is appended: for `OPENAI_BASE_URL=http://127.0.0.1:8080/v1` the upstream is
/// `https://api.openai.com`. The base URL of a provider's own documents, `https://api.openai.com/v1`, means the same: a version
/// that the upstream ends with and the caller's path begins with is sent once.
///
/// ```
/// use tower_quota::gateway::Upstream;
///
/// let upstream: Upstream = "https://example.com/openai/".parse()?;
/// assert_eq!(upstream.to_string(), "https://example.com/openai");
/// assert!("example.com".parse::<Upstream>().is_err());
/// # Ok::<(), tower_quota::gateway::UpstreamError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Upstream {
    scheme: Scheme,
    authority: Authority,
    /// Empty, or with a slash before and none behind.
    base: String,
}

/// A text that is not an upstream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; write it as https://api.openai.com")]
pub struct UpstreamError {
    reason: String,
}

impl Upstream {
    /// The upstream's address for this path.
    pub(in crate::gateway) fn uri(&self, path: &PathAndQuery) -> Option<Uri> {
        let path = if self.base.is_empty() {
            path.clone()
        } else {
            let rest = path.as_str();
            let rest = self.without_version(rest).unwrap_or(rest);
            PathAndQuery::try_from(format!("{}{rest}", self.base)).ok()?
        };
        let uri = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path);
        uri.build().ok()
    }

    /// The path behind a version that the base ends with already.
    fn without_version<'p>(&self, path: &'p str) -> Option<&'p str> {
        let (_, version) = self.base.rsplit_once('/')?;
        let number = version.strip_prefix('v')?;
        let rest = path.strip_prefix('/')?.strip_prefix(version)?;
        (number.starts_with(|digit: char| digit.is_ascii_digit()) && rest.starts_with('/'))
            .then_some(rest)
    }

    /// The path that all of its paths begin with.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) fn host(&self) -> &str {
        self.authority.host()
    }

    /// Nobody's address.
    pub(super) fn nowhere() -> Self {
        Upstream {
            scheme: Scheme::HTTP,
            authority: Authority::from_static("upstream.invalid"),
            base: String::new(),
        }
    }
}

impl FromStr for Upstream {
    type Err = UpstreamError;

    fn from_str(text: &str) -> Result<Self, UpstreamError> {
        // Without its query, which some put a key into.
        let shown = text.split(['?', '#']).next().unwrap_or_default();
        let wrong = |reason: &str| UpstreamError {
            reason: format!("{shown:?} {reason}"),
        };
        // Not repeated to whoever reads the message: there may be a password in it.
        let secret = || UpstreamError {
            reason: "the upstream names a user; keys belong into the callers' headers".to_owned(),
        };
        if text.contains('@') {
            return Err(secret());
        }
        let uri: Uri = text
            .parse()
            .map_err(|error| wrong(&format!("is no URL: {error}")))?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(wrong("lacks http:// or https:// at its beginning"));
        };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(wrong("is neither http:// nor https://"));
        }
        if text.contains(['?', '#']) {
            return Err(wrong("has a query or a fragment"));
        }
        let path = parts.path_and_query.as_ref().map_or("", PathAndQuery::path);
        Ok(Upstream {
            scheme,
            authority,
            base: path.trim_end_matches('/').to_owned(),
        })
    }
}

impl TryFrom<String> for Upstream {
    type Error = UpstreamError;

    fn try_from(text: String) -> Result<Self, UpstreamError> {
        text.parse()
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(upstream: &str, asked: &str) -> Option<String> {
        let upstream: Upstream = upstream.parse().unwrap();
        let asked: Uri = asked.parse().unwrap();
        Some(upstream.uri(asked.path_and_query()?)?.to_string())
    }

    #[test]
    fn keeps_path_and_query_as_they_are_written() {
        for (upstream, asked, expected) in [
            ("http://up", "/", "http://up/"),
            ("http://up/", "/v1/a%2Fb?x=1&y", "http://up/v1/a%2Fb?x=1&y"),
            ("https://up:8443/base", "/v1?x", "https://up:8443/base/v1?x"),
            ("https://up/a/b/", "//c", "https://up/a/b//c"),
        ] {
            assert_eq!(sent(upstream, asked).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_version_that_both_name_is_sent_once() {
        for (upstream, asked, expected) in [
            (
                "http://up/v1",
                "/v1/chat/completions",
                "http://up/v1/chat/completions",
            ),
            (
                "http://up/openai/v1/",
                "/v1/models?x",
                "http://up/openai/v1/models?x",
            ),
            (
                "http://up/v1beta",
                "/v1beta/models",
                "http://up/v1beta/models",
            ),
            // It is another one, or none.
            (
                "http://up/v1",
                "/v1beta/models",
                "http://up/v1/v1beta/models",
            ),
            ("http://up/v1", "/v1", "http://up/v1/v1"),
            ("http://up/v1", "/chat/v1/x", "http://up/v1/chat/v1/x"),
            ("http://up/voice", "/voice/x", "http://up/voice/voice/x"),
            ("http://up/v", "/v/x", "http://up/v/v/x"),
        ] {
            assert_eq!(sent(upstream, asked).as_deref(), Some(expected));
        }
    }

    #[test]
    fn is_no_way_to_another_host() {
        let sent = |asked| sent("http://up", asked);
        assert_eq!(sent("http://other:1/x").as_deref(), Some("http://up/x"));
        assert_eq!(sent("other:443"), None);
    }

    #[test]
    fn says_what_is_wrong_with_it() {
        for (text, word) in [
            ("", "is no URL"),
            ("api.openai.com", "lacks http://"),
            ("/v1", "lacks http://"),
            ("ftp://x", "neither"),
            ("http://x?y=1", "query"),
            ("http://x/#y", "fragment"),
            ("http://", "is no URL"),
        ] {
            let error = text.parse::<Upstream>().unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn does_not_repeat_a_password() {
        let error = "http://me:hunter2@x".parse::<Upstream>().unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }
}
