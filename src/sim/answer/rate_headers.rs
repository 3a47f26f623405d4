//! Rate headers, under the names and in the units of each provider.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::put;
use crate::sim::clock::{ceil, go_duration, rfc3339};
use crate::sim::dialect::Provider;
use crate::sim::enforce::{Gauge, Gauges};

/// Names of limit, remaining and reset.
type Names = [&'static str; 3];

const OPENAI_REQUESTS: Names = [
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
];
const OPENAI_TOKENS: Names = [
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
];
const ANTHROPIC_REQUESTS: Names = [
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-requests-reset",
];
const ANTHROPIC_TOKENS: Names = [
    "anthropic-ratelimit-tokens-limit",
    "anthropic-ratelimit-tokens-remaining",
    "anthropic-ratelimit-tokens-reset",
];
const ANTHROPIC_INPUT: Names = [
    "anthropic-ratelimit-input-tokens-limit",
    "anthropic-ratelimit-input-tokens-remaining",
    "anthropic-ratelimit-input-tokens-reset",
];
const ANTHROPIC_OUTPUT: Names = [
    "anthropic-ratelimit-output-tokens-limit",
    "anthropic-ratelimit-output-tokens-remaining",
    "anthropic-ratelimit-output-tokens-reset",
];

/// Tells the gauges, which are of the instant `wall` since the Unix epoch.
///
/// OpenAI has one name for all limits on tokens: the one with the least room is told. Anthropic
/// rounds the tokens that remain to the nearest thousand; here only where the limit is at least
/// ten thousand, so that small limits stay legible.
pub(super) fn write(headers: &mut HeaderMap, provider: Provider, gauges: &Gauges, wall: Duration) {
    match provider {
        Provider::OpenAi => {
            let of_tokens = [gauges.tokens, gauges.input, gauges.output];
            let tightest = of_tokens
                .into_iter()
                .flatten()
                .min_by_key(|gauge| gauge.remaining);
            let told = [
                (OPENAI_REQUESTS, gauges.requests),
                (OPENAI_TOKENS, tightest),
            ];
            for (names, gauge) in told {
                let Some(gauge) = gauge else { continue };
                tell(headers, names, gauge, go_duration(gauge.full_in));
            }
        }
        // It tells none.
        Provider::Gemini => {}
        Provider::Anthropic => {
            let told = [
                (ANTHROPIC_REQUESTS, gauges.requests),
                (ANTHROPIC_TOKENS, gauges.tokens.map(thousands)),
                (ANTHROPIC_INPUT, gauges.input.map(thousands)),
                (ANTHROPIC_OUTPUT, gauges.output.map(thousands)),
            ];
            for (names, gauge) in told {
                let Some(gauge) = gauge else { continue };
                tell(
                    headers,
                    names,
                    gauge,
                    rfc3339(wall.saturating_add(gauge.full_in)),
                );
            }
        }
    }
}

/// Tells after which time the same request would fit: never too early, and never zero. Gemini says so in the body.
pub(super) fn retry(headers: &mut HeaderMap, provider: Provider, wait: Duration) {
    if provider == Provider::Gemini {
        return;
    }
    let seconds = ceil(wait, Duration::from_secs(1)).max(1);
    headers.insert("retry-after", HeaderValue::from(seconds));
    if provider == Provider::OpenAi {
        let millis = ceil(wait, Duration::from_millis(1)).max(1);
        headers.insert("retry-after-ms", HeaderValue::from(millis));
    }
}

fn tell(headers: &mut HeaderMap, [limit, remaining, reset]: Names, gauge: Gauge, when: String) {
    headers.insert(HeaderName::from_static(limit), gauge.limit.into());
    headers.insert(HeaderName::from_static(remaining), gauge.remaining.into());
    put(headers, HeaderName::from_static(reset), when);
}

fn thousands(gauge: Gauge) -> Gauge {
    if gauge.limit < 10_000 {
        return gauge;
    }
    let rounded = (gauge.remaining + 500) / 1_000 * 1_000;
    Gauge {
        remaining: rounded.min(gauge.limit),
        ..gauge
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gauge(limit: u64, remaining: u64) -> Option<Gauge> {
        let full_in = Duration::from_millis(1_250);
        Some(Gauge {
            limit,
            remaining,
            full_in,
        })
    }

    fn told(provider: Provider, gauges: &Gauges) -> HeaderMap {
        let mut headers = HeaderMap::new();
        write(
            &mut headers,
            provider,
            gauges,
            Duration::from_secs(1_795_338_930),
        );
        headers
    }

    #[test]
    fn tells_openai_the_tightest_of_the_limits_on_tokens() {
        let gauges = Gauges {
            tokens: gauge(500, 400),
            output: gauge(300, 20),
            ..Gauges::default()
        };
        let headers = told(Provider::OpenAi, &gauges);
        assert_eq!(headers["x-ratelimit-limit-tokens"], "300");
        assert_eq!(headers["x-ratelimit-remaining-tokens"], "20");
        assert_eq!(headers["x-ratelimit-reset-tokens"], "1.25s");
        assert!(!headers.contains_key("x-ratelimit-limit-requests"));
    }

    #[test]
    fn rounds_anthropic_tokens_but_no_small_limit_and_no_requests() {
        let gauges = Gauges {
            requests: gauge(20_000, 19_501),
            tokens: gauge(2_000_000, 1_997_640),
            input: gauge(9_999, 1),
            output: gauge(10_400, 10_399),
        };
        let headers = told(Provider::Anthropic, &gauges);
        assert_eq!(headers["anthropic-ratelimit-requests-remaining"], "19501");
        assert_eq!(headers["anthropic-ratelimit-tokens-remaining"], "1998000");
        assert_eq!(headers["anthropic-ratelimit-input-tokens-remaining"], "1");
        assert_eq!(
            headers["anthropic-ratelimit-output-tokens-remaining"],
            "10000"
        );
        assert_eq!(
            headers["anthropic-ratelimit-tokens-reset"],
            "2026-11-22T09:15:32Z"
        );
    }

    #[test]
    fn rounds_the_wait_up_and_never_to_zero() {
        let told = |wait| {
            let mut headers = HeaderMap::new();
            retry(&mut headers, Provider::OpenAi, wait);
            let text = |name: &str| headers[name].to_str().unwrap().to_owned();
            (text("retry-after"), text("retry-after-ms"))
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(told(Duration::ZERO), pair("1", "1"));
        assert_eq!(told(Duration::from_secs(2)), pair("2", "2000"));
        assert_eq!(told(Duration::from_micros(2_000_001)), pair("3", "2001"));
    }
}
