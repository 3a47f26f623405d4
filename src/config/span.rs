//! Durations as people write them: `100ms`, `6s`, `1m`, `24h`, `7d`.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A duration in a configuration: a number and one of the units `ms`, `s`, `m`, `h`, `d` and `w`; a bare number is
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

/// In the largest unit that it is a whole number of; below a millisecond in seconds.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u128, &str); 6] = [
            (604_800_000, "w"),
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "m"),
            (1_000, "s"),
            (1, "ms"),
        ];
        let millis = self.0.as_millis();
        if Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)) != self.0 {
            return write!(f, "{}s", self.0.as_secs_f64());
        }
        if millis == 0 {
            return f.write_str("0s");
        }
        let whole = UNITS.iter().find(|(unit, _)| millis.is_multiple_of(*unit));
        let (unit, name) = whole.unwrap_or(&(1, "ms"));
        write!(f, "{}{name}", millis / unit)
    }
}

/// As it is written, so that a schema shows what is taken where nothing is said.
impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
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

/// A duration that cannot be read.
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
        for said in [
            "0s", "15s", "10m", "90s", "1h", "2d", "1w", "150ms", "0.0005s",
        ] {
            assert_eq!(said.parse::<Span>().unwrap().to_string(), said);
        }
        assert_eq!(Span::from_secs(120).to_string(), "2m");
        for bad in ["", "s", "-1s", "1x", "1 2s", "NaN", "1e99d", "infs"] {
            assert_eq!(millis(bad), None, "{bad}");
        }
    }
}
