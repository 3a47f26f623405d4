//! A call for another target, whole: its URL, its model, its credentials.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, Uri,
    header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE, HOST, PROXY_AUTHORIZATION},
    request::Parts,
    uri::PathAndQuery,
};

use smallvec::SmallVec;

use super::{candidate::Candidate, provider::Base};
use crate::wire::{Dialect, endpoint, with_model};

/// What a caller shows one provider, and no other is to see.
const CREDENTIALS: [HeaderName; 13] = [
    AUTHORIZATION,
    PROXY_AUTHORIZATION,
    COOKIE,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("x-goog-user-project"),
    HeaderName::from_static("ocp-apim-subscription-key"),
    HeaderName::from_static("openai-organization"),
    HeaderName::from_static("openai-project"),
    HeaderName::from_static("anthropic-workspace-id"),
    HeaderName::from_static("x-amz-security-token"),
    HeaderName::from_static("x-auth-token"),
];
/// The same in a query.
const IN_QUERY: [&str; 6] = [
    "key",
    "api_key",
    "api-key",
    "access_token",
    "subscription-key",
    "token",
];

/// A call for another target.
pub(super) struct Rewritten {
    pub(super) parts: Parts,
    pub(super) body: Bytes,
    /// Whether it shows the caller's own key.
    pub(super) keeps_key: bool,
}

/// The call for this candidate, of one that asks for `asked_model`. Nothing where its provider has no such API, or the body cannot be changed.
pub(super) fn rewrite(
    parts: &Parts,
    body: &Bytes,
    dialect: Dialect,
    asked_model: Option<&str>,
    candidate: &Candidate,
) -> Option<Rewritten> {
    let (provider, name) = (&candidate.target.provider, &candidate.target.sent_as);
    let end = endpoint(dialect, parts.uri.path(), name)?;
    let body = match asked_model {
        Some(model) if *model == **name => body.clone(),
        _ => with_model(dialect, body, name)?,
    };
    let mut parts = parts.clone();
    let keeps = provider.keys.is_empty() && provider.base.is_origin_of(&parts.uri);
    parts.uri = address(&provider.base, &end, parts.uri.query(), keeps)?;
    // The client writes it.
    parts.headers.remove(HOST);
    if let Some(length) = parts.headers.get_mut(CONTENT_LENGTH) {
        *length = body.len().into();
    }
    if !keeps {
        hide(&mut parts.headers, provider.auth.name());
    }
    if let Some(key) = &candidate.key {
        let value = key.header(provider.auth.scheme())?;
        parts.headers.insert(provider.auth.name().clone(), value);
    }
    Some(Rewritten {
        parts,
        body,
        keeps_key: keeps,
    })
}

fn hide(headers: &mut HeaderMap, own: &HeaderName) {
    let is_one = |name: &&HeaderName| *name == own || CREDENTIALS.contains(name);
    // There are few headers, and most of them are none.
    let found: SmallVec<[HeaderName; 4]> = headers.keys().filter(is_one).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

fn address(base: &Base, end: &str, query: Option<&str>, keeps: bool) -> Option<Uri> {
    let asked = query.unwrap_or_default().split('&');
    let name = |pair: &str| {
        pair.split('=')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let is_kept = |pair: &&str| keeps || !IN_QUERY.contains(&name(pair).as_str());
    let own: Vec<&str> = base
        .query
        .iter()
        .flat_map(|query| query.split('&'))
        .collect();
    let is_own = |pair: &&str| own.iter().any(|other| name(other) == name(pair));
    let rest = asked.filter(|pair| !pair.is_empty() && is_kept(pair) && !is_own(pair));
    let query: Vec<&str> = own.iter().copied().chain(rest).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    let path = format!("{}{end}{mark}{}", base.path, query.join("&"));
    let uri = Uri::builder()
        .scheme(base.scheme.clone())
        .authority(base.authority.clone())
        .path_and_query(PathAndQuery::try_from(path).ok()?);
    uri.build().ok()
}

#[cfg(test)]
#[path = "rewrite_tests.rs"]
mod tests;
