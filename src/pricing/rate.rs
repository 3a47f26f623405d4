//! What tokens of one kind cost.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::money::{MoneyError, scaled};

/// Tokens that a rate is for.
pub(super) const MILLION: u64 = 1_000_000;

/// What a million tokens of one kind cost, in whole nano-dollars; this is exact to a millionth of a nano-dollar per
/// token.
///
/// ```
/// use tower_quota::pricing::Rate;
///
/// let rate: Rate = "0.0375".parse()?;
/// assert_eq!(rate.as_nanos(), 37_500_000);
/// assert_eq!(rate, Rate::per_token("3.75e-08")?);
/// # Ok::<(), tower_quota::money::MoneyError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u64);

impl Rate {
    /// Creates a rate from nano-dollars for a million tokens.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Rate(nanos)
    }

    /// Returns the rate in nano-dollars for a million tokens.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Creates a rate from the dollars that one token costs, as some price lists have it. An exponent is fine.
    ///
    /// # Errors
    /// If the text is not such a number, or is finer than a rate can be.
    pub fn per_token(dollars: &str) -> Result<Self, MoneyError> {
        read(dollars, 15)
    }

    /// As much more or less than this as `to` is beside `from`, rounded up; `to` where `from` is nothing.
    pub(super) fn changed(self, from: Rate, to: Rate) -> Self {
        if from.0 == 0 {
            return self.max(to);
        }
        self.times(to.0, from.0)
    }

    /// As much more than this as `to` is more than `from`, rounded up; this where `from` is nothing.
    pub(super) fn like(self, from: Rate, to: Rate) -> Self {
        if from.0 == 0 {
            return self;
        }
        self.times(to.0, from.0)
    }

    /// This rate times `numerator / denominator`, rounded up.
    pub(super) fn times(self, numerator: u64, denominator: u64) -> Self {
        let product = u128::from(self.0) * u128::from(numerator);
        let rate = product.div_ceil(u128::from(denominator));
        Rate(u64::try_from(rate).unwrap_or(u64::MAX))
    }
}

/// A decimal of dollars, of which 10^`places` make a nano-dollar for a million tokens.
fn read(text: &str, places: i32) -> Result<Rate, MoneyError> {
    let nanos = scaled(text, places).and_then(|nanos| u64::try_from(nanos).ok());
    nanos.map(Rate).ok_or_else(|| MoneyError::of(text))
}

impl FromStr for Rate {
    type Err = MoneyError;

    /// Reads the dollars that a million tokens cost, as price lists have it.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        read(text, 9)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dollars = crate::money::Money::from_nanos(self.0);
        write!(f, "{dollars} per million tokens")
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        crate::money::Money::from_nanos(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Rate {
    /// Reads a string or a number: the dollars that a million tokens cost.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let dollars = crate::money::Money::deserialize(deserializer)?;
        Ok(Rate(dollars.as_nanos()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_a_price_are_exact() {
        for (million, token) in [
            ("3", "3e-06"),
            ("0.035", "3.5e-08"),
            ("0", "0.0"),
            ("30", "0.00003"),
        ] {
            assert_eq!(million.parse::<Rate>(), Rate::per_token(token), "{million}");
        }
        assert!(Rate::per_token("-3e-06").is_err());
        assert!(Rate::per_token("1e-16").is_err());
    }

    #[test]
    fn a_factor_rounds_up() {
        assert_eq!(Rate(10).times(11, 10), Rate(11));
        assert_eq!(Rate(1).times(11, 10), Rate(2));
        assert_eq!(Rate(5).like(Rate(2), Rate(3)), Rate(8));
        assert_eq!(Rate(5).like(Rate(0), Rate(3)), Rate(5));
    }
}
