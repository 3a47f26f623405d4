//! What a limit counts.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::money::Money;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Quantity {
    /// Requests.
    Requests,
    /// Input and output tokens together.
    Tokens,
    /// Input tokens alone.
    InputTokens,
    /// Output tokens alone.
    OutputTokens,
    /// Calls in flight, from the send to the end of the response body.
    Concurrency,
    /// Money, in billionths of a US dollar.
    Cost,
}

impl Quantity {
    /// All there are, in their order.
    pub(crate) const EACH: [Quantity; 6] = [
        Quantity::Requests,
        Quantity::Tokens,
        Quantity::InputTokens,
        Quantity::OutputTokens,
        Quantity::Concurrency,
        Quantity::Cost,
    ];

    /// Returns the name, as written in configuration and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Quantity::Requests => "requests",
            Quantity::Tokens => "tokens",
            Quantity::InputTokens => "input_tokens",
            Quantity::OutputTokens => "output_tokens",
            Quantity::Concurrency => "concurrency",
            Quantity::Cost => "cost",
        }
    }

    /// An amount of it as people write it: money in dollars, anything else as a number.
    pub(crate) fn amount(self, amount: u64) -> String {
        match self {
            Quantity::Cost => Money::from_nanos(amount).to_string(),
            _ => amount.to_string(),
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of quantities: those that one gate looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quantities(u8);

impl Quantities {
    /// Everything that admission looks at: requests, tokens and concurrency.
    pub const ADMISSION: Quantities = Quantities(
        Quantity::Requests.bit()
            | Quantity::Tokens.bit()
            | Quantity::InputTokens.bit()
            | Quantity::OutputTokens.bit()
            | Quantity::Concurrency.bit(),
    );

    /// All quantities.
    pub const ALL: Quantities = Quantities(Self::ADMISSION.0 | Self::BUDGET.0);

    /// Everything that budgets look at: cost.
    pub const BUDGET: Quantities = Quantities(Quantity::Cost.bit());

    /// Returns whether `quantity` is in this set.
    #[must_use]
    pub const fn contain(self, quantity: Quantity) -> bool {
        self.0 & quantity.bit() != 0
    }

    /// A bit for each, by its number.
    pub(super) const fn bits(self) -> u8 {
        self.0
    }
}

impl FromIterator<Quantity> for Quantities {
    fn from_iter<I: IntoIterator<Item = Quantity>>(quantities: I) -> Self {
        Quantities(quantities.into_iter().fold(0, |set, q| set | q.bit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_at_its_number_and_none_is_left_out() {
        let bits = Quantity::EACH.into_iter().enumerate();
        for (number, quantity) in bits {
            assert_eq!(quantity as usize, number);
        }
        assert_eq!(
            Quantity::EACH.into_iter().collect::<Quantities>(),
            Quantities::ALL
        );
        // One that is new is to be said here, and there.
        match Quantity::Requests {
            Quantity::Requests
            | Quantity::Tokens
            | Quantity::InputTokens
            | Quantity::OutputTokens
            | Quantity::Concurrency
            | Quantity::Cost => {}
        }
    }

    #[test]
    fn a_set_contains_what_it_was_made_of_and_nothing_else() {
        let set: Quantities = [Quantity::Tokens, Quantity::Concurrency]
            .into_iter()
            .collect();
        assert!(set.contain(Quantity::Tokens) && set.contain(Quantity::Concurrency));
        assert!(!set.contain(Quantity::Requests) && !set.contain(Quantity::OutputTokens));
    }
}
