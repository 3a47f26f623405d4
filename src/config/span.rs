//! Durations as people write them: `100ms`, `6s`, `1m`, `24h`, `7d`.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, de};

/// A duration in a configuration: a number and one of `ms`, `s`, `m`, `h`, `d`, `w`; a bare number is
/// seconds.
///
/// ```
/// use std::time::Duration;
/// use tower_quota::config::Span;
///
/// let span: Span = "1.5m".parse().unwrap();
/// assert_eq!(Duration::from(span), Duration::from_secs(90));
/// assert!("1 fortnight".parse::<Span>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

impl Span {
    /// So many seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Span(Duration::from_secs(secs))
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        span.0
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Span(duration)
    }
}

impl std::str::FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let unit_at = text
            .find(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(unit_at);
        let secs = match unit {
            "ms" => 0.001,
            "" | "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            _ => return Err(SpanError(text.to_owned())),
        };
        let number: f64 = number
            .trim()
            .parse()
            .map_err(|_| SpanError(text.to_owned()))?;
        Duration::try_from_secs_f64(number * secs)
            .map(Span)
            .map_err(|_| SpanError(text.to_owned()))
    }
}

/// A duration that does not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no duration; write a number and a unit: 100ms, 6s, 1m, 24h, 7d")]
pub struct SpanError(String);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as 100ms, 6s, 1m, 24h, 7d")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, secs: u64) -> Result<Span, E> {
                Ok(Span::from_secs(secs))
            }

            fn visit_f64<E: de::Error>(self, secs: f64) -> Result<Span, E> {
                secs.to_string().parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit_and_nothing_else() {
        let millis = |text: &str| text.parse::<Span>().map(|span| span.0.as_millis()).ok();
        let good = [
            ("100ms", 100),
            ("6s", 6_000),
            ("6", 6_000),
            ("1m", 60_000),
            ("1h", 3_600_000),
        ];
        for (text, expected) in good {
            assert_eq!(millis(text), Some(expected), "{text}");
        }
        assert_eq!(millis("7d"), Some(604_800_000));
        assert_eq!(millis("1w"), millis("7d"));
        for bad in ["", "s", "-1s", "1x", "1 2s", "NaN", "1e99d", "infs"] {
            assert_eq!(millis(bad), None, "{bad}");
        }
    }
}
