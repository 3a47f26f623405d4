//! What callers show to say who they are, in all the places where SDKs put it.

use std::borrow::Cow;

use http::{
    HeaderMap, HeaderName, HeaderValue, Uri,
    header::{AUTHORIZATION, COOKIE},
    uri::PathAndQuery,
};
use percent_encoding::percent_decode_str;

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

/// Takes off what begins so, wherever it is.
pub(in crate::gateway) fn strip_those(headers: &mut HeaderMap, begins: &str) {
    let begins = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        let (_, token) = text.split_once(' ').unwrap_or(("", text));
        token.trim().starts_with(begins)
    };
    for name in KEYS.iter().chain([&AUTHORIZATION]) {
        if headers.get_all(name).iter().any(begins) {
            headers.remove(name);
        }
    }
}

/// Whether the key in a query begins so.
pub(in crate::gateway) fn query_key_begins(path: &PathAndQuery, begins: &str) -> bool {
    let uri = Uri::from(path.clone());
    query_key(&uri).is_some_and(|key| key.starts_with(begins))
}

/// The value of `key` in a query, as Google's API takes it.
fn query_key(uri: &Uri) -> Option<Cow<'_, str>> {
    let mut pairs = uri.query()?.split('&');
    let value = pairs.find_map(|pair| pair.strip_prefix("key="))?;
    percent_decode_str(value).decode_utf8().ok()
}

/// What keys are called in queries. Not all that has `token` in its name is one: a page of a list has such a name.
const QUERY_KEYS: [&str; 5] = ["key", "api_key", "api-key", "apikey", "access_token"];

/// The path without keys in its query.
pub(in crate::gateway) fn without_query_key(path: &PathAndQuery) -> PathAndQuery {
    let Some(query) = path.query() else {
        return path.clone();
    };
    let others = query.split('&').filter(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        let name = percent_decode_str(name).decode_utf8_lossy();
        !QUERY_KEYS.iter().any(|key| key.eq_ignore_ascii_case(&name))
    });
    let others: Vec<&str> = others.collect();
    let kept = match others.is_empty() {
        true => path.path().to_owned(),
        false => format!("{}?{}", path.path(), others.join("&")),
    };
    // It was one before.
    PathAndQuery::try_from(kept).unwrap_or_else(|_| PathAndQuery::from_static("/"))
}
