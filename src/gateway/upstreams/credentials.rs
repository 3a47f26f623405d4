//! What callers show to say who they are, in all the places where SDKs put it.

use std::borrow::Cow;

use http::{
    HeaderMap, HeaderName, HeaderValue, Uri,
    header::{AUTHORIZATION, COOKIE},
    uri::PathAndQuery,
};
use percent_encoding::percent_decode_str;
use smallvec::SmallVec;

/// Where a key of this gateway may be beside the caller's own credentials, which then go to an upstream without a key.
const OURS: HeaderName = HeaderName::from_static("x-quota-key");

/// Where SDKs put the provider's key.
static KEYS: [HeaderName; 3] = [
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

/// A token that was shown.
pub(in crate::gateway) struct Shown {
    pub(in crate::gateway) token: String,
    /// Whether it stands apart, so that the other credentials are the caller's own.
    pub(in crate::gateway) is_apart: bool,
}

/// The token that a caller shows as a key of this gateway. `begins`: how those begin, which tells them from others where
/// there are several.
pub(in crate::gateway) fn show(headers: &mut HeaderMap, uri: &Uri, begins: &str) -> Option<Shown> {
    if let Some(apart) = headers.remove(OURS) {
        let token = apart.to_str().unwrap_or_default().to_owned();
        return Some(Shown {
            token,
            is_apart: true,
        });
    }
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let bearer = headers.get(AUTHORIZATION).and_then(bearer);
    let keys = KEYS
        .iter()
        .filter_map(|name| headers.get(name))
        .filter_map(text);
    let in_query = query_key(uri).map(Cow::into_owned);
    let shown: Vec<String> = bearer.into_iter().chain(keys).chain(in_query).collect();
    let ours = shown.iter().position(|token| token.starts_with(begins));
    let token = shown.into_iter().nth(ours.unwrap_or(0))?;
    Some(Shown {
        token,
        is_apart: false,
    })
}

fn bearer(value: &HeaderValue) -> Option<String> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().to_owned())
}

/// Takes off all that says who somebody is.
pub(in crate::gateway) fn strip(headers: &mut HeaderMap) {
    headers.remove(AUTHORIZATION);
    headers.remove(COOKIE);
    for name in &KEYS {
        headers.remove(name);
    }
}

/// What shows to any API who calls, or who pays, in words of a header's name. Not `session`, `project` and the like: an API that
/// nobody knows here may need its `mcp-session-id`.
const WORDS: [&str; 24] = [
    "accesskey",
    "accesstoken",
    "apikey",
    "apitoken",
    "assertion",
    "auth",
    "authenticated",
    "authentication",
    "authorization",
    "authtoken",
    "cookie",
    "credential",
    "credentials",
    "idtoken",
    "jwt",
    "key",
    "oidc",
    "passwd",
    "password",
    "secret",
    "secretkey",
    "sessiontoken",
    "token",
    "userinfo",
];

/// The keys and tokens that are none of somebody's: what precedes the word says so.
const PLAIN: [(&str, &str); 17] = [
    ("cache", "key"),
    ("continuation", "token"),
    ("csrf", "token"),
    ("cursor", "token"),
    ("dedup", "key"),
    ("idempotency", "key"),
    ("lock", "token"),
    ("next", "token"),
    ("object", "key"),
    ("page", "token"),
    ("pagination", "token"),
    ("partition", "key"),
    ("progress", "token"),
    ("resume", "token"),
    ("routing", "key"),
    ("sort", "key"),
    ("sync", "token"),
];

/// Providers' names for who pays.
const ACCOUNTS: [&str; 4] = [
    "openai-organization",
    "openai-project",
    "anthropic-workspace-id",
    "x-goog-user-project",
];

/// Takes off what callers show of their own, on the way to an API that nobody knows here.
pub(super) fn strip_callers(headers: &mut HeaderMap) {
    let found = headers.keys().filter(|name| shows_caller(name.as_str()));
    let found: SmallVec<[HeaderName; 4]> = found.cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// Whether a header's name says that it shows who calls, or who pays.
fn shows_caller(name: &str) -> bool {
    let mut before = "";
    let mut words = name.split(['-', '_', '.']);
    let has_word = words.any(|word| {
        let is_plain = PLAIN.contains(&(before, word));
        before = word;
        !is_plain && WORDS.contains(&word)
    });
    has_word || ACCOUNTS.contains(&name)
}

impl Shown {
    /// Takes it off, wherever it is; and what begins as it does where keys are.
    pub(in crate::gateway) fn strip(&self, headers: &mut HeaderMap, begins: &str) {
        let shows = |(name, value): &(&HeaderName, &HeaderValue)| {
            let text = String::from_utf8_lossy(value.as_bytes());
            let text = text.trim();
            let (_, last) = text.split_once(' ').unwrap_or(("", text));
            let last = last.trim();
            let is_key = *name == AUTHORIZATION || KEYS.contains(name);
            self.is_in(text, begins)
                || self.is_in(last, begins)
                || is_key && last.starts_with(begins)
        };
        let found: SmallVec<[HeaderName; 2]> = headers
            .iter()
            .filter(shows)
            .map(|(name, _)| name.clone())
            .collect();
        for name in found {
            headers.remove(name);
        }
    }

    /// Whether it is in this text, or the text is another token: all are as long. A mere word may begin as they do.
    pub(in crate::gateway) fn is_in(&self, text: &str, begins: &str) -> bool {
        let is_other = text.starts_with(begins) && text.len() == self.token.len();
        is_other || text.contains(&self.token)
    }
}

/// The value of `key` in a query, as Google's API takes it.
fn query_key(uri: &Uri) -> Option<Cow<'_, str>> {
    let mut pairs = uri.query()?.split('&');
    let value = pairs.find_map(|pair| pair.strip_prefix("key="))?;
    percent_decode_str(value).decode_utf8().ok()
}

/// What keys are called in queries, and nothing else is. Not all that has `token` in its name is one: a page of a list has such
/// a name.
const CREDENTIALS: [&str; 4] = ["api_key", "api-key", "apikey", "access_token"];

/// Whether what has this name in a query shows who calls, of whatever API.
pub(super) fn is_credential(name: &str) -> bool {
    CREDENTIALS.iter().any(|key| key.eq_ignore_ascii_case(name))
}

/// The same of the APIs of providers, one of which takes its key as `key`.
pub(in crate::gateway) fn is_query_key(name: &str) -> bool {
    name.eq_ignore_ascii_case("key") || is_credential(name)
}

/// The address without those parts of its query that go, by their names and values. The others stay as they are written.
pub(in crate::gateway) fn without(uri: Uri, goes: impl Fn(&str, &str) -> bool) -> Option<Uri> {
    let Some(query) = uri.query() else {
        return Some(uri);
    };
    let stays = |pair: &&str| {
        let (name, value) = pair.split_once('=').unwrap_or((*pair, ""));
        let read = |text| percent_decode_str(text).decode_utf8_lossy();
        !goes(&read(name), &read(value))
    };
    let kept: Vec<&str> = query.split('&').filter(stays).collect();
    let kept = kept.join("&");
    if kept.len() == query.len() {
        return Some(uri);
    }
    let path = match kept.is_empty() {
        true => uri.path().to_owned(),
        false => format!("{}?{kept}", uri.path()),
    };
    let mut parts = uri.into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "tq-0123";

    fn shown() -> Shown {
        Shown {
            token: TOKEN.to_owned(),
            is_apart: true,
        }
    }

    #[test]
    fn what_shows_who_calls_is_told_by_the_words_of_its_name() {
        for name in [
            "authorization",
            "proxy-authorization",
            "cookie",
            "apikey",
            "x-api-key",
            "xi-api-key",
            "x-goog-api-key",
            "ocp-apim-subscription-key",
            "private-token",
            "x-vault-token",
            "x-amz-security-token",
            "x-forwarded-access-token",
            "x-auth-request-user",
            "x-amzn-oidc-accesstoken",
            "x-amzn-oidc-data",
            "cf-access-client-secret",
            "cf-access-jwt-assertion",
            "helicone-auth",
            "openai-project",
            "x_session_token",
        ] {
            assert!(shows_caller(name), "{name}");
        }
        for name in [
            "mcp-session-id",
            "idempotency-key",
            "x-idempotency-key",
            "x-page-token",
            "x-project-id",
            "x-author",
            "x-monkey",
            "x-tokenizer",
            "user-agent",
            "x-organization",
        ] {
            assert!(!shows_caller(name), "{name}");
        }
    }

    #[test]
    fn no_provider_is_shown_what_an_api_that_nobody_knows_is_not() {
        let names = WORDS.iter().chain(&ACCOUNTS).copied();
        let shown = names.map(|name| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static("x"))
        });
        let mut headers: HeaderMap = shown.collect();
        crate::failover::hide(&mut headers, &[]);
        assert!(headers.is_empty(), "{headers:?}");
    }

    #[test]
    fn a_query_keeps_all_but_what_goes_as_it_is_written() {
        let left = |query: &str| {
            let uri: Uri = format!("http://up/a%2Fb{query}").parse().unwrap();
            let left = without(uri, |name, value| {
                is_credential(name) || shown().is_in(value, "tq-")
            });
            left.unwrap().to_string()
        };
        for (query, expected) in [
            ("", ""),
            ("?", "?"),
            ("?a", "?a"),
            ("?a=%26&&b=c=d", "?a=%26&&b=c=d"),
            ("?api_key=x&a=1&API%2DKEY=x", "?a=1"),
            ("?apikey", ""),
            ("?a=tq-0123&b=1", "?b=1"),
            ("?b=1&a=%74q-0123", "?b=1"),
            ("?a=x;key=tq-0123", ""),
            // Another token, and what is none.
            ("?a=tq-4567", ""),
            ("?a=tq-45678&key=tq-1", "?a=tq-45678&key=tq-1"),
        ] {
            assert_eq!(left(query), format!("http://up/a%2Fb{expected}"), "{query}");
        }
    }

    #[test]
    fn a_token_is_taken_off_wherever_it_is() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer tq-x"),
            ("x-api-key", "sk-mine"),
            ("api-key", "tq-x"),
            ("x-note", "tq-0123"),
            ("x-other", "Token  tq-4567"),
            ("referer", "https://here/?key=tq-0123&x"),
            ("user-agent", "tq-agent/1.0 of mine"),
            ("x-two", "plain"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        // Not all that may be in a header is a text.
        headers.append("x-two", HeaderValue::from_bytes(b"\xe9 tq-0123").unwrap());
        shown().strip(&mut headers, "tq-");
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["user-agent", "x-api-key"]);
    }
}
