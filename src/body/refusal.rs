//! A local no as a response.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response,
    header::{CONTENT_TYPE, LINK, RETRY_AFTER},
};
use http_body::Body;

use super::{ResponseBody, rate_limit};
use crate::{
    clock::time_of_day,
    error::{Rejection, help},
    wire::{Dialect, error_body, retry_after},
};

const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// Azure's and Amazon's, which are read beside the two that are written.
const AZURES_RETRY_AFTER_MS: HeaderName = HeaderName::from_static("x-ms-retry-after-ms");
const AMAZONS_RETRY_AFTER: HeaderName = HeaderName::from_static("x-amz-retry-after");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// By which providers overrule what the official SDKs do by themselves.
pub(crate) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// The response that says `rejection` in the caller's dialect, with the rejection in its extensions.
///
/// The limit is also said in the fields `RateLimit-Policy` and `RateLimit` (IETF,
/// draft-ietf-httpapi-ratelimit-headers-10). `Retry-After` is rounded up and never 0. `x-should-retry: false`,
/// which the official SDKs obey, goes with a refusal that stays one. `Link` leads to what the guide says of its kind.
pub(crate) fn refuse<R: Body>(dialect: Dialect, rejection: Rejection) -> Response<ResponseBody<R>> {
    response(dialect, rejection, ResponseBody::local)
}

impl Rejection {
    /// Returns the refusal as a response, for a handler that asks a [`Limiter`](crate::Limiter) itself: with a problem
    /// document (RFC 9457) as its body, as the layers answer calls in no API that is known.
    ///
    /// The response has the [status](Self::status), `Retry-After` and `retry-after-ms` if it can be said when another try
    /// is worthwhile, `RateLimit-Policy` and `RateLimit` if a limit of numbers is short, `x-should-retry: false` if an
    /// [automatic retry](Self::is_retryable) makes no sense, and a `Link` to the guide's entry. The refusal itself is in
    /// its extensions.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use bytes::Bytes;
    /// use http::Response;
    /// use http_body_util::Full;
    /// use tower_quota::{Limiter, limit::{Limit, Limits}, limiter::Call};
    ///
    /// async fn handler(limiter: &Limiter) -> Response<Full<Bytes>> {
    ///     match limiter.try_acquire(Call::new()).await {
    ///         Ok(_permit) => Response::new(Full::from("hello")),
    ///         Err(refused) => refused.to_response(),
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limiter = Limiter::new(Limits::new([Limit::requests(1).every(Duration::from_secs(60))])?);
    /// assert_eq!(handler(&limiter).await.status(), 200);
    ///
    /// let refused = handler(&limiter).await;
    /// assert_eq!(refused.status(), 429);
    /// assert_eq!(refused.headers()["content-type"], "application/problem+json");
    /// assert_eq!(refused.headers()["retry-after"], "61");
    /// assert_eq!(refused.headers()["ratelimit"], "\"requests 1/min\";r=0;t=61");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn to_response<B: From<Bytes>>(&self) -> Response<B> {
        self.to_response_in(Dialect::Generic)
    }

    /// Returns the same response with a body in the form in which this API tells errors, so that its SDKs raise one of
    /// their own. [`Dialect::detect`] tells the API of a request.
    #[must_use]
    pub fn to_response_in<B: From<Bytes>>(&self, dialect: Dialect) -> Response<B> {
        response(dialect, self.clone(), B::from)
    }
}

fn response<B>(
    dialect: Dialect,
    rejection: Rejection,
    make: impl FnOnce(Bytes) -> B,
) -> Response<B> {
    let status = rejection.status();
    let (content_type, body) =
        error_body(dialect, rejection.kind(), status, &rejection.to_string());
    let mut response = Response::new(make(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    tell_help(headers, rejection.kind());
    if let Some(wait) = rejection.retry_after() {
        tell_wait(headers, wait);
    }
    if let Some((policy, state)) = rejection.shortage().and_then(rate_limit::fields) {
        headers.insert(RATE_LIMIT_POLICY, policy);
        headers.insert(RATE_LIMIT, state);
    }
    if !rejection.is_retryable() {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    response.extensions_mut().insert(rejection);
    response
}

/// Has the headers say where the guide is about refusals of this kind.
pub(crate) fn tell_help(headers: &mut HeaderMap, kind: &str) {
    if let Some(link) = help::link_of(kind) {
        headers.insert(LINK, link);
    }
}

/// Has the headers say how long to wait, each of the two that does not: what they say already, or `wait` where that is
/// longer, or where they say nothing that makes sense.
pub(crate) fn tell_wait(headers: &mut HeaderMap, wait: Duration) {
    let said = retry_after(headers, time_of_day());
    // Who says zero rounds down.
    let said = said.filter(|said| !said.is_zero() && *said >= wait);
    if said.is_none() {
        untell_wait(headers);
    }
    let millis = millis(said.unwrap_or(wait));
    for (name, value) in [
        (RETRY_AFTER_MS, millis),
        (RETRY_AFTER, millis.div_ceil(1_000)),
    ] {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from(value));
        }
    }
}

/// Has the headers say nothing of how long to wait: neither in those that are written here nor in any other that is read.
pub(crate) fn untell_wait(headers: &mut HeaderMap) {
    for name in [
        RETRY_AFTER_MS,
        AZURES_RETRY_AFTER_MS,
        AMAZONS_RETRY_AFTER,
        RETRY_AFTER,
    ] {
        headers.remove(name);
    }
}

/// Milliseconds, rounded up, at least 1.
fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000))
        .unwrap_or(u64::MAX)
        .max(1)
}
