//! What matters of a call to whoever would repeat it.

use http::{HeaderMap, HeaderName, Method, request::Parts};

use crate::wire::Dialect;

/// What the official SDKs of OpenAI and Anthropic, and those made alike, say of themselves: which try it is, from 0.
const CALLERS_TRY: HeaderName = HeaderName::from_static("x-stainless-retry-count");

/// What matters of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// To do it twice does no more than to do it once, or nothing worse than to cost twice.
    pub(crate) repeatable: bool,
    /// Whether the caller repeats its calls itself where nothing keeps it from that.
    pub(crate) by_itself: bool,
    /// Whether it does so just now.
    pub(crate) again: bool,
}

impl Asked {
    pub(crate) fn of(parts: &Parts, dialect: Dialect) -> Self {
        let idempotent = matches!(
            parts.method,
            Method::GET | Method::HEAD | Method::PUT | Method::DELETE | Method::OPTIONS
        );
        let tries = parts.headers.get(&CALLERS_TRY);
        let again = tries.is_some_and(|tries| tries.as_bytes() != b"0");
        Asked {
            repeatable: idempotent || dialect != Dialect::Generic || has_key(&parts.headers),
            by_itself: tries.is_some(),
            again,
        }
    }
}

/// Whether a caller repeats its calls itself where nothing keeps it from that.
#[cfg(feature = "gateway")]
pub(crate) fn repeats_by_itself(headers: &HeaderMap) -> bool {
    headers.contains_key(&CALLERS_TRY)
}

fn has_key(headers: &HeaderMap) -> bool {
    headers.contains_key("idempotency-key")
}
