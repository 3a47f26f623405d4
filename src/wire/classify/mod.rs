//! What kind of error a response is, and whether it is worth repeating.

mod gemini;
mod openrouter;
mod rules;
mod said;
mod text;

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};

use self::{said::Said, text::Stated};
use crate::clock::time_of_day;

use super::{
    ObservedQuantity, StreamError, dialect::error_type, limits::used_up, retry_after, should_retry,
};

pub(super) use gemini::Details;

/// How much of a body is read. Error bodies take a few hundred bytes.
const BODY_CAP: usize = 64 * 1024;

/// What kind of error it is, whoever reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// A limit is used up for the moment.
    RateLimit,
    /// Usage grew too fast, below the limit.
    Ramp,
    /// The request is too large for the whole of a limit, or for the server: it never fits.
    RequestTooLarge,
    /// Money, or a quota for a day or a month, is used up.
    Quota,
    /// The service is busy, whoever asks.
    Overloaded,
    /// The request has more tokens than the model takes.
    ContextLength,
    /// The content was refused.
    ContentFilter,
    /// The key was refused, or it may not do this.
    KeyRefused,
    /// Something failed on the provider's side.
    Server,
    /// Anything else is wrong with the request.
    Invalid,
}

impl ErrorClass {
    /// Returns its name for programs, such as `rate_limit`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ErrorClass::RateLimit => "rate_limit",
            ErrorClass::Ramp => "ramp",
            ErrorClass::RequestTooLarge => "request_too_large",
            ErrorClass::Quota => "quota",
            ErrorClass::Overloaded => "overloaded",
            ErrorClass::ContextLength => "context_length",
            ErrorClass::ContentFilter => "content_filter",
            ErrorClass::KeyRefused => "key_refused",
            ErrorClass::Server => "server",
            ErrorClass::Invalid => "invalid",
        }
    }

    fn may_pass(self) -> bool {
        matches!(
            self,
            ErrorClass::RateLimit | ErrorClass::Ramp | ErrorClass::Overloaded | ErrorClass::Server
        )
    }

    fn is_about_time(self) -> bool {
        matches!(self, ErrorClass::RateLimit | ErrorClass::Ramp)
    }

    fn is_about_a_limit(self) -> bool {
        matches!(self, ErrorClass::RateLimit | ErrorClass::RequestTooLarge)
    }
}

/// What a provider said about a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ProviderError {
    /// What kind of error it is.
    pub class: ErrorClass,
    /// Whether the same request may succeed later.
    ///
    /// `x-should-retry` decides if it is sent. Otherwise rate limits, ramps, overload and failures of the server may
    /// pass (501 and 505 do not), and so may a 409.
    pub retryable: bool,
    /// How long the provider wants its caller to wait. The first of these that is there:
    ///
    /// - What [`retry_after`](super::retry_after) reads from the headers.
    /// - For errors that may pass, what the body says: Google's `RetryInfo`, or a text such as "try again in 1.146s".
    /// - For a 429, the time until those limits are whole again of which the headers say that 0 remain; the longest, if
    ///   there are several. OpenRouter has such headers in its body too. For a subscription of Anthropic, the reset of
    ///   the window that is rejected.
    ///
    /// For a quota, the time until the day that Anthropic's text names, or the reset that Codex or, with its zone, Z.ai
    /// tells; for OpenRouter's of models that are free, until its reset.
    pub wait: Option<Duration>,
    /// What the limit counts, if that is stated.
    pub quantity: Option<ObservedQuantity>,
    /// The window of the limit, if that is stated. A month is 30 days.
    pub window: Option<Duration>,
    /// The limit, if that is stated.
    pub limit: Option<u64>,
    /// How much of it was used, if that is stated.
    pub used: Option<u64>,
    /// How much the request asked for, if that is stated.
    pub requested: Option<u64>,
    /// Whether nobody said it, because a stream broke before anything was generated. It may have been billed.
    pub broke_off: bool,
}

/// Tells what kind of error a response is. Returns `None` if its status is below 400.
///
/// `provider` selects the wording that is looked for: `openai`, `azure`, `groq` and `anthropic` have wordings of their
/// own; with any other name all are tried. What cannot be told by its wording is told by the status alone: 401 is a
/// refused key, and so is a 403 that says nothing; 402 is a quota, 413 too large, 429 a rate limit, 503 and 529
/// overload, 408 and other 5xx a failure of the server, and the rest is invalid.
///
/// `body` may be cut off, or be anything else; 64 KiB of it are read. It must not be compressed.
///
/// Sources: OpenAI, guides "Error codes" and "Rate limits"; Azure, "Manage Azure OpenAI quota"; Groq, "Rate Limits",
/// "Flex Processing" and "Spend Limits"; Anthropic, "Errors" and "Rate limits"; Google, "Gemini API: Rate limits" and
/// `google.rpc.RetryInfo`; Amazon Bedrock, "Common errors", whose names are in the header `x-amzn-errortype`;
/// OpenRouter, "Errors"; Moonshot, Z.ai and DashScope, "Error codes". Texts are not documented as such; those are known from reports.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use http::{HeaderMap, StatusCode};
/// use tower_quota::wire::{ErrorClass, classify};
///
/// let body = br#"{"error":{"type":"tokens","code":"rate_limit_exceeded",
///     "message":"Limit 30000, Used 29214, Requested 1359. Please try again in 1.146s."}}"#;
/// let status = StatusCode::TOO_MANY_REQUESTS;
/// let error = classify("openai", status, &HeaderMap::new(), body, SystemTime::now()).unwrap();
/// assert_eq!(error.class, ErrorClass::RateLimit);
/// assert!(error.retryable);
/// assert_eq!(error.limit, Some(30_000));
/// assert_eq!(error.wait, Some(Duration::from_millis(1_146)));
/// ```
#[must_use]
pub fn classify(
    provider: &str,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> Option<ProviderError> {
    if status.as_u16() < 400 {
        return None;
    }
    let mut said = Said::read(&body[..body.len().min(BODY_CAP)]);
    said.words.extend(error_type(headers).map(str::to_owned));
    let told = retry_after(headers, now);
    // Who rounds down, or whose clock is behind ours, says nothing by it that another hint does not say better.
    let wait = told.filter(|wait| !wait.is_zero());
    let mut error = judge(provider, Some(status.as_u16()), &said, wait);
    if status == StatusCode::TOO_MANY_REQUESTS
        && (error.class.is_about_time() || openrouter::is_about(&said))
        && error.wait.is_none()
    {
        let used_up = used_up(provider, headers, now);
        error.wait = used_up.reset.or_else(|| said.reset(now));
        if used_up.for_a_month {
            (error.class, error.retryable) = (ErrorClass::Quota, false);
        }
    }
    error = error.or_quota_of_a_day();
    if let Some(told) = should_retry(headers) {
        error.retryable = told;
    }
    if error.class == ErrorClass::Quota && error.wait.is_none() {
        error.wait = said.regained(now);
    }
    error.wait = error.wait.or(told);
    Some(error)
}

impl ProviderError {
    /// Does the same for an error that came after a 200, in a body or in an event of a stream.
    ///
    /// A code that is a number, as vLLM and OpenRouter send it, stands for the status. If neither that nor the wording
    /// tells, it is a failure of the server. Instants are compared with the time of day.
    #[must_use]
    pub fn in_stream(provider: &str, error: &StreamError) -> ProviderError {
        ProviderError::in_stream_at(provider, error, time_of_day)
    }

    fn in_stream_at(
        provider: &str,
        error: &StreamError,
        now: impl FnOnce() -> SystemTime,
    ) -> ProviderError {
        let said = Said::of(error);
        let status = error.code.as_ref().and_then(|code| code.parse().ok());
        let status = status.filter(|status| (400..600).contains(status));
        let mut error = judge(provider, status, &said, None).or_quota_of_a_day();
        if error.class == ErrorClass::Quota && error.wait.is_none() {
            error.wait = said.regained(now());
        }
        error
    }

    /// A limit of a day is as good as a quota where nothing tells when it is there again.
    fn or_quota_of_a_day(self) -> ProviderError {
        let is_of_a_day = self.window.is_some_and(|window| window >= gemini::DAY);
        if self.class != ErrorClass::RateLimit || !is_of_a_day || self.wait.is_some() {
            return self;
        }
        ProviderError {
            class: ErrorClass::Quota,
            retryable: false,
            ..self
        }
    }

    /// What it means that the body of an answer broke before anything was generated. `may_repeat`: what its headers say of that.
    pub(crate) fn broke_off(may_repeat: Option<bool>) -> ProviderError {
        ProviderError {
            class: ErrorClass::Server,
            retryable: may_repeat.unwrap_or(true),
            wait: None,
            quantity: None,
            window: None,
            limit: None,
            used: None,
            requested: None,
            broke_off: true,
        }
    }
}

fn judge(
    provider: &str,
    status: Option<u16>,
    said: &Said,
    wait: Option<Duration>,
) -> ProviderError {
    let by_status = || rules::by_status(status, said.is_blank);
    let mut class = rules::class(provider, status, said, wait).unwrap_or_else(by_status);
    let of_free_models = || {
        let is_of_them = class == ErrorClass::RateLimit && openrouter::is_about(said);
        is_of_them.then(openrouter::stated)
    };
    let quotas = gemini::stated(&said.details.violations).or_else(of_free_models);
    let mut stated = Stated::default();
    if quotas.is_some() || class.is_about_a_limit() {
        stated = quotas.unwrap_or_else(|| Stated::read(&said.message, &said.words));
    }
    // Elsewhere a text may quote anything, and Google sends a delay with quotas of a day too.
    let hint = || {
        let delay = said.details.retry_delay;
        delay.or_else(|| text::wait(&said.message))
    };
    let hint = wait.or_else(|| class.may_pass().then(hint).flatten());
    if class == ErrorClass::RateLimit {
        if quotas.is_some_and(|quota| gemini::is_used_up(&quota))
            || (said.has(gemini::USED_UP) && gemini::is_used_up(&stated))
            || (stated.is_of_a_month() && hint.is_none())
        {
            class = ErrorClass::Quota;
        } else if stated.requested > stated.limit && stated.limit.is_some() {
            class = ErrorClass::RequestTooLarge;
        }
    }
    ProviderError {
        class,
        retryable: match status {
            Some(501 | 505) => false,
            Some(409) => true,
            _ => class.may_pass(),
        },
        wait: wait.or(hint.filter(|_| class.may_pass())),
        quantity: stated.quantity,
        window: stated.window,
        limit: stated.limit,
        used: stated.used,
        requested: stated.requested,
        broke_off: false,
    }
}

#[cfg(test)]
mod tests;
