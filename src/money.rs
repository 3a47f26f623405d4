//! Amounts of money in whole nano-dollars, never floats.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Nano-dollars to the dollar.
const DOLLAR: u64 = 1_000_000_000;

/// An amount of US dollars, in whole nano-dollars; never negative, and at most about 18 billion dollars.
///
/// It is read and printed in decimals, exactly. Sums stay at the largest amount instead of wrapping around.
///
/// ```
/// use tower_quota::Money;
///
/// let budget: Money = "10.00".parse()?;
/// let spent = Money::from_nanos(1_234_500_000);
/// assert_eq!(spent.to_string(), "$1.2345");
/// assert_eq!((budget - spent).to_string(), "$8.7655");
/// assert_eq!(spent - budget, Money::ZERO);
/// # Ok::<(), tower_quota::money::MoneyError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(u64);

impl Money {
    /// No money.
    pub const ZERO: Money = Money(0);
    /// The largest amount: more than anybody has.
    pub const MAX: Money = Money(u64::MAX);

    /// Creates an amount from billionths of a dollar.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Money(nanos)
    }

    /// Creates an amount from whole dollars.
    #[must_use]
    pub const fn from_dollars(dollars: u64) -> Self {
        Money(dollars.saturating_mul(DOLLAR))
    }

    /// Returns the amount in billionths of a dollar.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }
}

impl std::ops::Add for Money {
    type Output = Money;

    /// Stays at the largest amount instead of wrapping around.
    fn add(self, other: Money) -> Money {
        Money(self.0.saturating_add(other.0))
    }
}

impl std::ops::Sub for Money {
    type Output = Money;

    /// Stays at zero instead of wrapping around.
    fn sub(self, other: Money) -> Money {
        Money(self.0.saturating_sub(other.0))
    }
}

impl std::iter::Sum for Money {
    fn sum<I: Iterator<Item = Money>>(amounts: I) -> Money {
        amounts.fold(Money::ZERO, |sum, amount| sum + amount)
    }
}

impl fmt::Display for Money {
    /// Writes at least two decimals, and as many more as it takes: `$10.00`, `$0.000000001`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}", self.decimal())
    }
}

/// An amount in dollars, without a sign.
pub(crate) struct Decimal(Money);

impl Money {
    /// As a decimal number of dollars: `10.00`.
    pub(crate) fn decimal(self) -> Decimal {
        Decimal(self)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decimal(Money(nanos)) = *self;
        let (mut decimals, mut places) = (nanos % DOLLAR, 9);
        while decimals.is_multiple_of(10) && places > 2 {
            (decimals, places) = (decimals / 10, places - 1);
        }
        write!(f, "{}.{decimals:0places$}", nanos / DOLLAR)
    }
}

/// The error for a text that is not an amount of money.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no amount of money; write dollars with at most nine decimals: 10, 2.50, 0.000015"
)]
pub struct MoneyError(String);

impl MoneyError {
    pub(crate) fn of(text: &str) -> Self {
        MoneyError(text.to_owned())
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    /// Reads dollars in decimals, with or without `$`, no finer than a billionth.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let bare = text.strip_prefix('$').unwrap_or(text);
        let nanos = scaled(bare, 9).and_then(|nanos| u64::try_from(nanos).ok());
        nanos.map(Money).ok_or_else(|| MoneyError::of(text))
    }
}

/// A decimal number, with or without an exponent, times ten to the `places`; `None` for anything else, and
/// where digits would be lost.
pub(crate) fn scaled(text: &str, places: i32) -> Option<u128> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = [whole, fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    let trimmed = i32::try_from(digits.len() - significant.len()).ok()?;
    let fraction = i32::try_from(fraction.len()).ok()?;
    let power = places
        .checked_add(exponent)?
        .checked_sub(fraction)?
        .checked_add(trimmed)?;
    let value: u128 = significant.parse().ok()?;
    value.checked_mul(10u128.checked_pow(u32::try_from(power).ok()?)?)
}

impl Serialize for Money {
    /// Writes a string such as `"1.2345"`, because many readers of JSON treat its numbers as floats.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.decimal())
    }
}

impl<'de> Deserialize<'de> for Money {
    /// Reads a string, or a number of dollars.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Money;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount of dollars such as 10, 2.50")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Money, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, dollars: u64) -> Result<Money, E> {
                self.visit_str(&dollars.to_string())
            }

            fn visit_i64<E: de::Error>(self, dollars: i64) -> Result<Money, E> {
                self.visit_str(&dollars.to_string())
            }

            /// The shortest decimal that is this float is the one that was written.
            fn visit_f64<E: de::Error>(self, dollars: f64) -> Result<Money, E> {
                self.visit_str(&dollars.to_string())
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        for (text, nanos) in [
            ("10", 10 * DOLLAR),
            ("10.00", 10 * DOLLAR),
            ("$0.1", DOLLAR / 10),
            (".5", DOLLAR / 2),
            ("0.000000001", 1),
            ("1e-9", 1),
            ("2.5E2", 250 * DOLLAR),
            ("0.0", 0),
            ("18446744073.709551615", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(Money(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_or_would_be_rounded_is_refused() {
        for text in [
            "",
            "$",
            "-1",
            "1,5",
            "1.2.3",
            "ten",
            "0.0000000001",
            "1e-10",
            "NaN",
            "inf",
            "1e99",
            "1e",
            "18446744073.709551616",
            "1e999999999999",
            "0x10",
            "+5",
        ] {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
    }

    #[test]
    fn it_prints_what_it_reads() {
        for text in ["$0.00", "$10.00", "$0.10", "$1.2345", "$0.000000001"] {
            assert_eq!(text.parse::<Money>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn it_goes_through_json_as_text_and_is_read_from_numbers_as_well() {
        let money: Money = "1.2345".parse().unwrap();
        let json = serde_json::to_string(&money).unwrap();
        assert_eq!(json, r#""1.2345""#);
        assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
        for number in ["1.2345", "12", "0.1"] {
            let read: Money = serde_json::from_str(number).unwrap();
            assert_eq!(read, number.parse().unwrap());
        }
        assert!(serde_json::from_str::<Money>("-0.5").is_err());
    }

    #[test]
    fn sums_stay_within_bounds() {
        assert_eq!(Money::MAX + Money(1), Money::MAX);
        assert_eq!(Money(1) - Money(2), Money::ZERO);
        assert_eq!(Money::from_dollars(u64::MAX), Money::MAX);
    }
}
