//! The provider's own counters, as its response headers show them.

mod providers;
mod unified;
mod used_up;
mod window;

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use serde::{Deserialize, Serialize};

use self::providers::{Row, Window, rows};
use super::{retry_after::MAX_SECONDS, walk::MAX_COUNT};

pub(super) use used_up::used_up;

/// What a provider counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ObservedQuantity {
    /// Requests.
    Requests,
    /// Input and output tokens together.
    Tokens,
    /// Input tokens alone.
    InputTokens,
    /// Output tokens alone.
    OutputTokens,
    /// Images.
    Images,
}

/// One limit as the provider sees it, with the caller's calls and everyone else's on the same account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Observed {
    /// What is counted.
    pub quantity: ObservedQuantity,
    /// The time for which `limit` is granted, if it is known or follows from the numbers. A month is 30 days.
    pub window: Option<Duration>,
    /// How much is granted in each window.
    pub limit: Option<u64>,
    /// How much of it is left. Anthropic rounds tokens to thousands.
    pub remaining: Option<u64>,
    /// How long until `remaining` equals `limit` again. The next request fits much earlier.
    pub reset: Option<Duration>,
}

/// Reads the rate-limit headers of a response from `provider`.
///
/// The name is one of `openai`, `azure`, `anthropic`, `groq`, `mistral`, `together`, `openrouter`, `xai` and `cohere`,
/// in any case. With any other name, the headers of OpenAI and of Anthropic are looked for, which many others have
/// adopted.
///
/// A limit is listed if any of its numbers is there. Several may be for one quantity (a minute and a month, an
/// organization and a project); all of them apply. Numbers that make no sense are left out.
///
/// | provider | windows | source |
/// |---|---|---|
/// | OpenAI | a minute or a day: the header does not tell, but the time in which used amounts come back does | guide "Rate limits", "Rate limits in headers" |
/// | Azure | what `x-ratelimit-renewalperiod-*` says, or a minute | "Manage Azure OpenAI quota"; that bare numbers are milliseconds is inferred from recorded answers |
/// | Anthropic | a minute | "Rate limits", "Response headers" |
/// | Groq | requests a day, tokens a minute | "Rate Limits", "Rate Limit Headers" |
/// | Mistral | in the name: 10 seconds, a minute, a month | recorded answers |
/// | Together | a second | "Rate limits" |
/// | OpenRouter, xAI | as OpenAI; OpenRouter also without a quantity in the name, with a reset in milliseconds since 1970 | "Limits"; not verified for xAI |
/// | Cohere | unknown | its SDK reads the one header there is |
///
/// Anthropic's `anthropic-priority-*` and `anthropic-fast-*` headers are ignored: they count only requests of that
/// tier, and which tier served a request is not in them. So are `anthropic-ratelimit-unified-*` of its subscriptions,
/// which show no amounts.
///
/// Instants (Anthropic, Cohere, OpenRouter) are compared with `now`, so a clock that is off shifts them.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use http::{HeaderMap, HeaderValue};
/// use tower_quota::wire::{ObservedQuantity, rate_limits};
///
/// let mut headers = HeaderMap::new();
/// for (name, value) in [
///     ("x-ratelimit-limit-requests", "10000"),
///     ("x-ratelimit-remaining-requests", "9999"),
///     ("x-ratelimit-reset-requests", "8.64s"),
/// ] {
///     headers.insert(name, HeaderValue::from_static(value));
/// }
/// let limits = rate_limits("openai", &headers, SystemTime::now());
/// assert_eq!(limits[0].quantity, ObservedQuantity::Requests);
/// assert_eq!(limits[0].limit, Some(10_000));
/// assert_eq!(limits[0].window, Some(Duration::from_secs(86_400)));
/// ```
#[must_use]
pub fn rate_limits(provider: &str, headers: &HeaderMap, now: SystemTime) -> Vec<Observed> {
    if !may_show_limits(headers) {
        return Vec::new();
    }
    let observed = rows(provider).filter_map(|row| read(row, headers, now));
    observed.collect()
}

/// Whether there is anything for [`rate_limits`] to read: most answers of most providers have none.
pub(crate) fn may_show_limits(headers: &HeaderMap) -> bool {
    let any = |name: &[u8]| name.windows(5).any(|part| part == b"limit");
    headers.keys().any(|name| any(name.as_ref()))
}

fn read(row: &Row, headers: &HeaderMap, now: SystemTime) -> Option<Observed> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let count = |name: &str| text(name)?.parse().ok().filter(|n| *n <= MAX_COUNT);
    let limit = row.limit.and_then(count);
    let remaining = row.remaining.and_then(count);
    let reset = row
        .reset
        .and_then(|(name, format)| format.read(text(name)?, now));
    // Without any number there is nothing to list.
    limit.or(remaining).or(reset.map(|_| 0))?;
    let window = match row.window {
        Window::Unknown => None,
        Window::Seconds(seconds) => Some(Duration::from_secs(seconds)),
        Window::In(name, otherwise) => {
            let seconds = count(name).filter(|seconds| (1..=MAX_SECONDS).contains(seconds));
            Some(Duration::from_secs(seconds.unwrap_or(otherwise)))
        }
        Window::MinuteOrDay => window::minute_or_day(limit, remaining, reset),
    };
    Some(Observed {
        quantity: row.quantity,
        window,
        limit,
        remaining,
        reset,
    })
}

#[cfg(test)]
mod tests;
