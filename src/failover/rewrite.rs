//! A call for another target, whole: its URL, its model, its credentials.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT},
    request::Parts,
    uri::PathAndQuery,
};
use percent_encoding::percent_decode_str;
use smallvec::SmallVec;

use super::{candidate::Candidate, provider::Base};
use crate::wire::{Dialect, path_end, with_model};

/// What names of headers and of parameters have in them that show who calls, or who pays.
const SECRETS: [&str; 17] = [
    "auth",
    "key",
    "token",
    "secret",
    "credential",
    "password",
    "passwd",
    "cookie",
    "signature",
    "session",
    // What proxies in front of us say of who calls, signed: as good as a key to whoever believes it.
    "jwt",
    "assertion",
    "oidc",
    "userinfo",
    "organization",
    "project",
    "workspace",
];
/// The one that has, and is the call's own: it is the same on each attempt.
const IDEMPOTENCY: &str = "idempotency-key";
/// Those that most calls have, and that show nothing.
const PLAIN: [HeaderName; 6] = [
    CONTENT_TYPE,
    CONTENT_LENGTH,
    ACCEPT,
    ACCEPT_ENCODING,
    USER_AGENT,
    CONNECTION,
];

/// A call for another target.
pub(super) struct Rewritten {
    pub(super) parts: Parts,
    pub(super) body: Bytes,
    /// Whether it shows the caller's own key.
    pub(super) keeps_key: bool,
}

/// The call for this candidate, of one whose body is known to ask for `asked`. Nothing where its provider has no such API,
/// or the body cannot be changed.
pub(super) fn rewrite(
    parts: &Parts,
    (body, asked): (&Bytes, Option<&str>),
    dialect: Dialect,
    candidate: &Candidate,
    key_headers: &[HeaderName],
) -> Option<Rewritten> {
    let (provider, name) = (&candidate.target.provider, &candidate.target.sent_as);
    let end = path_end(dialect, parts.uri.path(), name)?;
    let body = match asked {
        Some(asked) if *asked == **name => body.clone(),
        _ => with_model(dialect, body, name)?,
    };
    let mut parts = parts.clone();
    let keeps = provider.keys.is_empty() && provider.base.is_origin_of(&parts.uri);
    if !provider.base.is_address_of(&parts.uri, &end) {
        parts.uri = address(&provider.base, &end, parts.uri.query(), keeps)?;
    }
    // The client writes it.
    parts.headers.remove(HOST);
    if let Some(length) = parts.headers.get_mut(CONTENT_LENGTH) {
        *length = body.len().into();
    }
    if !keeps {
        hide(&mut parts.headers, key_headers);
    }
    if candidate.key.is_some() {
        let value = candidate.credentials.clone()?;
        parts.headers.insert(provider.auth.name().clone(), value);
    }
    Some(Rewritten {
        parts,
        body,
        keeps_key: keeps,
    })
}

/// Takes off what shows who calls, or who pays.
pub(crate) fn hide(headers: &mut HeaderMap, key_headers: &[HeaderName]) {
    let shows = |name: &&HeaderName| {
        key_headers.contains(name)
            || !PLAIN.contains(name) && name.as_str() != IDEMPOTENCY && is_secret(name.as_str())
    };
    // There are few headers, and most of them are none.
    let found: SmallVec<[HeaderName; 4]> = headers.keys().filter(shows).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// Whether what goes by this name, in small letters, may show who calls. Rather one too many.
fn is_secret(name: &str) -> bool {
    name == "sig"
        || SECRETS
            .iter()
            .any(|part| contains(name.as_bytes(), part.as_bytes()))
}

fn contains(name: &[u8], part: &[u8]) -> bool {
    name.windows(part.len()).any(|window| window == part)
}

fn address(base: &Base, end: &str, query: Option<&str>, keeps: bool) -> Option<Uri> {
    let asked = query.unwrap_or_default().split('&');
    let name = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default();
        let name = percent_decode_str(name).decode_utf8_lossy();
        name.to_ascii_lowercase()
    };
    let is_kept = |pair: &&str| keeps || !is_secret(&name(pair));
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
