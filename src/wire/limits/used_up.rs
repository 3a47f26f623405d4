//! Which limits are used up, by the headers of a refusal.

use std::time::{Duration, SystemTime};

use http::HeaderMap;

use super::{providers::rows, read, unified};

const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// The limits that are used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::wire) struct UsedUp {
    /// In how long all of them are whole again, as far as the headers tell.
    pub(in crate::wire) reset: Option<Duration>,
    /// One of them is of a month.
    pub(in crate::wire) for_a_month: bool,
}

/// The limits of `provider` that are used up, by the headers of its refusal: those of which 0 remain, and those of which
/// only the reset is ever shown (Cohere). A reset that is over tells nothing.
pub(in crate::wire) fn used_up(provider: &str, headers: &HeaderMap, now: SystemTime) -> UsedUp {
    let mut all = UsedUp::default();
    for row in rows(provider) {
        let Some(shown) = read(row, headers, now) else {
            continue;
        };
        if row.remaining.is_some() && shown.remaining != Some(0) {
            continue;
        }
        let reset = shown.reset.filter(|reset| !reset.is_zero());
        all.reset = all.reset.max(reset);
        all.for_a_month |= shown.window.is_some_and(|window| window >= MONTH);
    }
    all.reset = all.reset.max(unified::reset(headers, now));
    all
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    /// 2026-11-22T09:15:30Z
    const NOW: Duration = Duration::from_secs(1_795_338_930);

    fn of(provider: &str, headers: &[(&'static str, &'static str)]) -> UsedUp {
        let headers = headers.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        let now = SystemTime::UNIX_EPOCH + NOW;
        used_up(provider, &headers.collect(), now)
    }

    fn reset(provider: &str, headers: &[(&'static str, &'static str)]) -> Option<u128> {
        of(provider, headers).reset.map(|reset| reset.as_millis())
    }

    #[test]
    fn the_reset_of_what_is_used_up_and_of_nothing_else() {
        let requests = [
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "8.64s"),
        ];
        assert_eq!(reset("openai", &requests), Some(8_640));
        let tokens = [
            ("x-ratelimit-remaining-tokens", "1"),
            ("x-ratelimit-reset-tokens", "50s"),
        ];
        assert_eq!(reset("openai", &tokens), None);
        let both = [requests[0], requests[1], tokens[0], tokens[1]];
        assert_eq!(reset("openai", &both), Some(8_640));
        // Nobody says that it is used up.
        assert_eq!(reset("openai", &tokens[1..]), None);
        assert_eq!(reset("openai", &requests[..1]), None);
        assert_eq!(reset("openai", &[]), None);
    }

    #[test]
    fn of_several_the_last() {
        let headers = [
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "8.64s"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "6ms"),
        ];
        assert_eq!(reset("openai", &headers), Some(8_640));
    }

    #[test]
    fn as_each_writes_it() {
        let anthropic = [
            ("anthropic-ratelimit-input-tokens-remaining", "0"),
            (
                "anthropic-ratelimit-input-tokens-reset",
                "2026-11-22T09:15:31.250Z",
            ),
            ("anthropic-ratelimit-requests-remaining", "49"),
            ("anthropic-ratelimit-requests-reset", "2026-11-22T09:16:30Z"),
        ];
        assert_eq!(reset("anthropic", &anthropic), Some(1_250));
        let azure = [
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "500"),
        ];
        assert_eq!(reset("azure", &azure), Some(500));
        let cohere = [("x-ratelimit-reset", "1795338990")];
        assert_eq!(reset("cohere", &cohere), Some(60_000));
        assert_eq!(reset("openai", &cohere), None);
        let openrouter = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1795338990500"),
        ];
        assert_eq!(reset("openrouter", &openrouter), Some(60_500));
    }

    #[test]
    fn what_is_over_tells_nothing() {
        let headers = [
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2026-11-22T09:15:29Z"),
        ];
        assert_eq!(reset("anthropic", &headers), None);
    }

    #[test]
    fn a_month_is_told_apart_from_a_minute() {
        let month = [("x-ratelimit-remaining-tokens-month", "0")];
        assert!(of("mistral", &month).for_a_month);
        let minute = [
            ("x-ratelimit-remaining-tokens-minute", "0"),
            ("x-ratelimit-remaining-tokens-month", "5"),
        ];
        assert!(!of("mistral", &minute).for_a_month);
    }
}
