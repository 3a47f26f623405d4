//! How often something comes.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, de};

use super::bounds::LONGEST;

/// A number of times a second, minute or hour: `12/min`. A bare number is per second.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// How long until the next one, where each comes without looking at the others.
    pub(super) fn next(self, random: &mut fastrand::Rng) -> Duration {
        let until = -(1.0 - random.f64()).ln() / self.0;
        let until = Duration::try_from_secs_f64(until).unwrap_or(LONGEST);
        until.min(LONGEST)
    }

    /// Whether something comes within a hundred years.
    pub(super) fn is_bounded(self) -> bool {
        self.0 * LONGEST.as_secs_f64() >= 1.0
    }

    fn of(number: f64, text: &str) -> Result<Self, String> {
        match number.is_finite() && number > 0.0 {
            true => Ok(Rate(number)),
            false => Err(format!(
                "`{text}` is no rate; write it as 12/min, 2/s or 100/h"
            )),
        }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
        let seconds = match unit.trim() {
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3_600.0,
            _ => f64::NAN,
        };
        let number: f64 = number.trim().parse().unwrap_or(f64::NAN);
        Rate::of(number / seconds, text)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Rate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rate such as 12/min, 2/s, 100/h")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Rate, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Rate, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Rate, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rates_and_nothing_else() {
        let read = |text: &str| text.parse().map(|Rate(each)| each).ok();
        for (text, each) in [("12/min", 0.2), ("2/s", 2.0), ("2", 2.0), ("36 / h", 0.01)] {
            assert_eq!(read(text), Some(each), "{text}");
        }
        for bad in ["", "0", "-1/s", "1/day", "often", "inf/s", "NaN"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn they_come_as_often_as_said() {
        let (mut random, rate) = (fastrand::Rng::with_seed(3), Rate(0.2));
        let sum: Duration = (0..10_000).map(|_| rate.next(&mut random)).sum();
        let mean = sum.as_secs_f64() / 10_000.0;
        assert!((4.8..5.2).contains(&mean), "{mean}");
    }
}
