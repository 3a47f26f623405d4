//! How much of a limit a call takes, and when: data, because every provider has rules of its own.

use serde::{Deserialize, Serialize};

use super::Quantity;
use crate::usage::Usage;

/// How a token limit is charged by whoever enforces it.
///
/// ```
/// use tower_quota::limit::{Charge, ChargedAt};
///
/// assert_eq!(Charge::openai().at, ChargedAt::Send);
/// assert_eq!(Charge::default().at, ChargedAt::Completion);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// What a [`Quantity::Tokens`] limit reserves.
    pub tokens: TokenCharge,
    /// When the charge is dated, and whether it is corrected to the tokens really used.
    pub at: ChargedAt,
}

/// What a limit on [`Quantity::Tokens`] reserves for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokenCharge {
    /// The larger of the input estimate and the output cap.
    Larger,
    /// The input estimate and the output cap together.
    Sum,
}

/// When a charge is dated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChargedAt {
    /// At the send: it expires one period later, even while the call is in flight, and is never
    /// corrected downwards.
    Send,
    /// At completion: the reservation stays until then and is replaced by what was used.
    Completion,
}

/// The most that a report is believed. More tokens than this in one answer is nonsense, and sums of it must
/// not run over.
const MOST: u64 = 1 << 53;

impl Charge {
    /// OpenAI: the larger of `max_tokens` and an estimate from the characters, at admission.
    /// Source: OpenAI's guide "Rate limits".
    #[must_use]
    pub const fn openai() -> Self {
        Charge {
            tokens: TokenCharge::Larger,
            at: ChargedAt::Send,
        }
    }

    /// Azure OpenAI: prompt and `max_tokens`, at admission, not corrected.
    /// Source: Microsoft's page "Manage Azure OpenAI quota".
    #[must_use]
    pub const fn azure() -> Self {
        Charge {
            tokens: TokenCharge::Sum,
            at: ChargedAt::Send,
        }
    }

    /// Anthropic: the tokens really used; the output cap plays no part in the end.
    /// Source: Anthropic's page "Rate limits".
    #[must_use]
    pub const fn anthropic() -> Self {
        Charge {
            tokens: TokenCharge::Sum,
            at: ChargedAt::Completion,
        }
    }

    /// The rule of a provider by its name, the default for one that is not known.
    #[must_use]
    pub fn of(provider: &str) -> Self {
        match provider {
            "openai" => Self::openai(),
            "azure" => Self::azure(),
            "anthropic" => Self::anthropic(),
            _ => Self::default(),
        }
    }

    /// How much a limit on `quantity` reserves for `demand`, and how much of that the caller declared:
    /// an estimate may be cut to what the limit can hold, a declared figure may not.
    #[inline(never)]
    pub(crate) fn reserve(self, quantity: Quantity, demand: &Demand) -> (u64, u64) {
        let input = (
            demand.input,
            if demand.input_declared {
                demand.input
            } else {
                0
            },
        );
        let output = (
            demand.output,
            if demand.output_declared {
                demand.output
            } else {
                0
            },
        );
        match quantity {
            Quantity::Requests => (demand.requests, demand.requests),
            Quantity::Concurrency => (1, 1),
            Quantity::InputTokens => input,
            Quantity::OutputTokens => output,
            Quantity::Tokens => match self.tokens {
                TokenCharge::Larger => (input.0.max(output.0), input.1.max(output.1)),
                TokenCharge::Sum => (
                    input.0.saturating_add(output.0),
                    input.1.saturating_add(output.1),
                ),
            },
        }
    }

    /// What a limit on `quantity` counts in the end, where `reserved` was claimed and `usage` is known.
    pub(crate) fn settled(self, quantity: Quantity, reserved: u64, usage: &Usage) -> u64 {
        let used = match quantity {
            Quantity::Requests | Quantity::Concurrency => return reserved,
            Quantity::InputTokens => usage.input,
            Quantity::OutputTokens => usage.output,
            Quantity::Tokens => match (self.tokens, self.at) {
                (TokenCharge::Larger, ChargedAt::Send) => usage.input,
                _ => usage.total(),
            },
        };
        let used = used.min(MOST);
        match self.at {
            ChargedAt::Send => used.max(reserved),
            ChargedAt::Completion => used,
        }
    }

    /// What a limit on `quantity` counts for usage that nothing was claimed for: as if exactly that had been
    /// asked for.
    pub(crate) fn recorded(self, quantity: Quantity, usage: &Usage) -> u64 {
        let demand = Demand {
            input: usage.input,
            output: usage.output,
            ..Demand::default()
        };
        let (reserved, _) = self.reserve(quantity, &demand);
        self.settled(quantity, reserved, usage)
    }
}

impl Default for Charge {
    /// Input and output together, corrected at completion.
    fn default() -> Self {
        Self::anthropic()
    }
}

/// What one attempt asks for, before anything is known of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// Requests: 1, as a rule.
    pub requests: u64,
    /// Input tokens.
    pub input: u64,
    /// Output tokens at most.
    pub output: u64,
    /// Whether `input` is the caller's own figure (true) or an estimate (false). An estimate larger than
    /// a limit is cut to it, a declared figure is refused as never fitting.
    pub input_declared: bool,
    /// The same for `output`.
    pub output_declared: bool,
}

impl Default for Demand {
    fn default() -> Self {
        Demand {
            requests: 1,
            input: 0,
            output: 0,
            input_declared: true,
            output_declared: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEMAND: Demand = Demand {
        requests: 1,
        input: 300,
        output: 1_000,
        input_declared: false,
        output_declared: true,
    };

    #[test]
    fn openai_reserves_the_larger_and_azure_the_sum() {
        assert_eq!(
            Charge::openai().reserve(Quantity::Tokens, &DEMAND),
            (1_000, 1_000)
        );
        assert_eq!(
            Charge::azure().reserve(Quantity::Tokens, &DEMAND),
            (1_300, 1_000)
        );
        assert_eq!(
            Charge::azure().reserve(Quantity::InputTokens, &DEMAND),
            (300, 0)
        );
    }

    #[test]
    fn a_charge_at_the_send_is_never_corrected_downwards() {
        let usage = Usage::new(250, 100);
        assert_eq!(
            Charge::azure().settled(Quantity::Tokens, 1_300, &usage),
            1_300
        );
        assert_eq!(
            Charge::anthropic().settled(Quantity::Tokens, 1_300, &usage),
            350
        );
    }

    #[test]
    fn usage_above_the_reservation_counts_whole() {
        let usage = Usage::new(2_000, 900);
        assert_eq!(
            Charge::openai().settled(Quantity::Tokens, 1_000, &usage),
            2_000
        );
        assert_eq!(
            Charge::azure().settled(Quantity::Tokens, 1_300, &usage),
            2_900
        );
    }

    #[test]
    fn usage_never_changes_the_count_of_requests() {
        assert_eq!(
            Charge::default().settled(Quantity::Requests, 1, &Usage::new(9, 9)),
            1
        );
    }
}
