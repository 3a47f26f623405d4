//! How long a provider wants its callers to wait.
//!
//! Waits are rounded up to whole milliseconds, and anything beyond ten years is taken for nonsense.

use std::time::{Duration, SystemTime};

use http::HeaderMap;

pub(super) const MAX_SECONDS: u64 = 10 * 365 * 24 * 3_600;

/// Returns the wait that the headers of a response ask for.
///
/// It is the first of these that makes sense:
///
/// 1. `retry-after-ms`: milliseconds, possibly with a fraction (OpenAI, Azure; their SDKs prefer it to the next).
/// 2. `x-ms-retry-after-ms`: the same (Azure services).
/// 3. `x-amz-retry-after`: the same (Amazon's services; their SDKs read it).
/// 4. `retry-after`: seconds, possibly with a fraction, or an HTTP date (RFC 9110, 10.2.3). A date counts from the
///    response's own `date`, whatever our clock shows, and from `now` if there is none; one before that is a wait of zero.
///
/// Nothing is read from bodies, and the status plays no part: Anthropic has sent `retry-after` with a 200.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use http::{HeaderMap, HeaderValue};
/// use tower_quota::wire::retry_after;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("retry-after", HeaderValue::from_static("2"));
/// headers.insert("retry-after-ms", HeaderValue::from_static("1146"));
/// let wait = retry_after(&headers, SystemTime::now());
/// assert_eq!(wait, Some(Duration::from_millis(1_146)));
/// ```
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let millis = |name: &str| number(text(name)?, 1e-3);
    millis("retry-after-ms")
        .or_else(|| millis("x-ms-retry-after-ms"))
        .or_else(|| millis("x-amz-retry-after"))
        .or_else(|| {
            let value = text("retry-after")?;
            let date = || httpdate::parse_http_date(text("date")?).ok();
            number(value, 1.0).or_else(|| until(value, date().unwrap_or(now)))
        })
}

/// Returns what `x-should-retry` says, the header by which OpenAI and Anthropic overrule their SDKs. `None` if it is
/// neither `true` nor `false`.
#[must_use]
pub fn should_retry(headers: &HeaderMap) -> Option<bool> {
    match headers.get("x-should-retry")?.as_bytes() {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

/// Parses a duration as Go prints it: `1m26.4s`, `6ms`, `850us`.
///
/// OpenAI's and Groq's `x-ratelimit-reset-*` headers have this form (OpenAI guide "Rate limits"). The grammar is that
/// of Go's `time.ParseDuration` without signs; `µ` may be either of its two characters.
///
/// ```
/// use std::time::Duration;
/// use tower_quota::wire::go_duration;
///
/// assert_eq!(go_duration("1m26.4s"), Some(Duration::from_millis(86_400)));
/// assert_eq!(go_duration("soon"), None);
/// ```
#[must_use]
pub fn go_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit());
        let (unit, after) = after.split_at(end.unwrap_or(after.len()));
        let unit: u128 = match unit {
            "ns" => 1,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let whole: u64 = if whole.is_empty() {
            0
        } else {
            whole.parse().ok()?
        };
        nanos = nanos.checked_add(u128::from(whole) * unit + part(fraction, unit)?)?;
        rest = after;
    }
    if text.is_empty() {
        None
    } else {
        checked(nanos)
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

/// `0.fraction` of `unit`, rounded up. Only the first 18 digits are exact.
fn part(fraction: &str, unit: u128) -> Option<u128> {
    let (digits, beyond) = fraction.split_at(fraction.len().min(18));
    if digits.is_empty() {
        return Some(0);
    }
    let scale = 10_u128.pow(u32::try_from(digits.len()).ok()?);
    let more = u128::from(beyond.bytes().any(|digit| digit != b'0'));
    Some((digits.parse::<u128>().ok()? * unit).div_ceil(scale) + more)
}

/// A decimal number of `unit` seconds.
pub(super) fn number(text: &str, unit: f64) -> Option<Duration> {
    let seconds = text.parse::<f64>().ok()? * unit;
    checked(Duration::try_from_secs_f64(seconds).ok()?.as_nanos())
}

fn until(date: &str, now: SystemTime) -> Option<Duration> {
    from_now(httpdate::parse_http_date(date).ok()?, now)
}

/// From `now` to the instant that is so long after the beginning of 1970.
pub(super) fn since_1970(since: Duration, now: SystemTime) -> Option<Duration> {
    from_now(SystemTime::UNIX_EPOCH.checked_add(since)?, now)
}

/// From `now` to `instant`; zero if that is over.
pub(super) fn from_now(instant: SystemTime, now: SystemTime) -> Option<Duration> {
    checked(instant.duration_since(now).unwrap_or_default().as_nanos())
}

/// Whole milliseconds, rounded up, unless they are absurdly many.
fn checked(nanos: u128) -> Option<Duration> {
    let millis = u64::try_from(nanos.div_ceil(1_000_000)).ok()?;
    (millis <= MAX_SECONDS * 1_000).then(|| Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    /// 2026-11-22T09:15:30Z
    const NOW: Duration = Duration::from_secs(1_795_338_930);

    fn wait(headers: &[(&'static str, &str)]) -> Option<u128> {
        let headers = headers.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            )
        });
        let now = SystemTime::UNIX_EPOCH + NOW;
        retry_after(&headers.collect(), now).map(|wait| wait.as_millis())
    }

    #[test]
    fn the_finer_header_wins() {
        let seconds = ("retry-after", "2");
        assert_eq!(wait(&[seconds]), Some(2_000));
        assert_eq!(wait(&[seconds, ("retry-after-ms", "1146")]), Some(1_146));
        assert_eq!(wait(&[seconds, ("x-ms-retry-after-ms", "7")]), Some(7));
        let both = [("x-ms-retry-after-ms", "7"), ("retry-after-ms", "8")];
        assert_eq!(wait(&both), Some(8));
        assert_eq!(wait(&[("x-amz-retry-after", "1146")]), Some(1_146));
        assert_eq!(wait(&[seconds, ("x-amz-retry-after", "250.5")]), Some(251));
        assert_eq!(wait(&[seconds, ("x-amz-retry-after", "soon")]), Some(2_000));
        assert_eq!(
            wait(&[("x-amz-retry-after", "9"), ("retry-after-ms", "8")]),
            Some(8)
        );
    }

    #[test]
    fn a_junk_header_does_not_hide_the_next() {
        for junk in [
            "",
            "-1",
            "NaN",
            "inf",
            "1e300",
            "12s",
            "Sun, 22 Nov 2026 09:16:00 GMT",
        ] {
            let headers = [("retry-after-ms", junk), ("retry-after", "2")];
            assert_eq!(wait(&headers), Some(2_000), "{junk}");
        }
    }

    #[test]
    fn fractions_round_up_to_a_millisecond() {
        assert_eq!(wait(&[("retry-after", "0.5")]), Some(500));
        assert_eq!(wait(&[("retry-after", "0.0001")]), Some(1));
        assert_eq!(wait(&[("retry-after", "8.64")]), Some(8_640));
        assert_eq!(wait(&[("retry-after-ms", "21640.5")]), Some(21_641));
        assert_eq!(wait(&[("retry-after-ms", "21640")]), Some(21_640));
    }

    #[test]
    fn dates_count_from_now() {
        for (date, expected) in [
            ("Sun, 22 Nov 2026 09:16:00 GMT", Some(30_000)),
            ("Sun, 22 Nov 2026 09:15:00 GMT", Some(0)),
            ("Sun Nov 22 09:16:00 2026", Some(30_000)),
            ("Mon, 22 Nov 2066 09:16:00 GMT", None),
            ("22 Nov", None),
        ] {
            assert_eq!(wait(&[("retry-after", date)]), expected, "{date}");
        }
    }

    #[test]
    fn nonsense_is_no_wait() {
        assert_eq!(wait(&[]), None);
        for junk in [
            "-1",
            "NaN",
            "-inf",
            "infinity",
            "315360001",
            "1,5",
            "soon",
            "ÿ",
        ] {
            assert_eq!(wait(&[("retry-after", junk)]), None, "{junk}");
        }
        assert_eq!(wait(&[("retry-after", "315360000")]), Some(315_360_000_000));
    }

    #[test]
    fn should_retry_is_true_or_false_or_nothing() {
        for (value, expected) in [("true", Some(true)), ("false", Some(false)), ("1", None)] {
            let mut headers = HeaderMap::new();
            headers.insert("x-should-retry", HeaderValue::from_static(value));
            assert_eq!(should_retry(&headers), expected);
        }
        assert_eq!(should_retry(&HeaderMap::new()), None);
    }

    #[test]
    fn go_durations() {
        for (text, expected) in [
            ("0", 0),
            ("0s", 0),
            ("24h0m0s", 86_400_000),
            ("17.399999999s", 17_400),
            ("850us", 1),
            ("850\u{b5}s", 1),
            ("850\u{3bc}s", 1),
            ("1ns", 1),
            ("0.0000000001s", 1),
            (".5s", 500),
            ("1.s", 1_000),
            ("1h1h", 7_200_000),
            ("1.0000000000000000000001s", 1_001),
            ("2.000000000000000000000s", 2_000),
        ] {
            let parsed = go_duration(text).map(|wait| wait.as_millis());
            assert_eq!(parsed, Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_go_duration() {
        for text in [
            "",
            "5",
            "s",
            ".s",
            ".",
            "-5s",
            "+5s",
            "1d",
            "5s ",
            " 5s",
            "1m26.4",
            "1..5s",
            "1S",
            "99999999999999999999s",
            "100000h",
            "٣s",
        ] {
            assert_eq!(go_duration(text), None, "{text}");
        }
    }
}
