//! How much of a limit a call takes, and when: data, because every provider has rules of its own.

use serde::{Deserialize, Serialize};

use super::{Demand, Quantity};
use crate::money::Money;
use crate::usage::Usage;

/// How a token limit is charged by whoever enforces it.
///
/// ```
/// use tower_quota::limit::{Charge, ChargedAt};
///
/// assert_eq!(Charge::openai().output, ChargedAt::Send);
/// assert_eq!(Charge::anthropic().output, ChargedAt::Completion);
/// assert!(!Charge::anthropic().cache_reads);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Charge {
    /// What a [`Quantity::Tokens`] limit reserves.
    pub tokens: TokenCharge,
    /// When the input is dated.
    pub input: ChargedAt,
    /// When the output is dated.
    pub output: ChargedAt,
    /// Whether what was reserved is corrected downwards to the tokens really used.
    pub corrected: bool,
    /// Whether input that was read from a prompt cache counts.
    pub cache_reads: bool,
    /// How often an output token counts in the end under a limit on [`Quantity::Tokens`].
    pub output_weight: u32,
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
    /// At the send: it expires one period later, even while the call is in flight.
    Send,
    /// At completion: what was reserved stays until then. Output that streams is dated as it comes.
    Completion,
}

/// An amount under one limit, by when its parts are dated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    /// Dated at the send.
    pub(crate) early: u64,
    /// Held until completion, or until it has streamed.
    pub(crate) late: u64,
}

impl Parts {
    fn early(amount: u64) -> Self {
        Parts {
            early: amount,
            late: 0,
        }
    }

    fn dated(amount: u64, at: ChargedAt) -> Self {
        match at {
            ChargedAt::Send => Self::early(amount),
            ChargedAt::Completion => Parts {
                early: 0,
                late: amount,
            },
        }
    }

    fn and(self, other: Self) -> Self {
        Parts {
            early: self.early.saturating_add(other.early),
            late: self.late.saturating_add(other.late),
        }
    }
}

/// The most that a report is believed. More tokens than this in one answer is nonsense, and sums of it must
/// not run over.
const MOST: u64 = 1 << 53;

impl Charge {
    /// Everything counts once, and is held until completion. The safe rule where nothing is known of the
    /// provider's: a charge leaves no earlier than it would under any other.
    const SAFE: Charge = Charge {
        tokens: TokenCharge::Sum,
        input: ChargedAt::Completion,
        output: ChargedAt::Completion,
        corrected: true,
        cache_reads: true,
        output_weight: 1,
    };

    /// OpenAI: the larger of `max_tokens` and an estimate from the characters, at admission, not corrected.
    /// Source: OpenAI's guide "Rate limits".
    #[must_use]
    pub const fn openai() -> Self {
        Charge {
            tokens: TokenCharge::Larger,
            ..Self::azure()
        }
    }

    /// Azure OpenAI: prompt and `max_tokens`, at admission, not corrected.
    /// Source: Microsoft's page "Manage Azure OpenAI quota".
    #[must_use]
    pub const fn azure() -> Self {
        Charge {
            input: ChargedAt::Send,
            output: ChargedAt::Send,
            corrected: false,
            ..Self::SAFE
        }
    }

    /// Anthropic: input at the start, corrected to what it really was, without what was read from a cache;
    /// output as it is generated. The output cap plays no part in the end.
    /// Source: Anthropic's page "Rate limits". For the few models whose cache reads count as well, set
    /// [`cache_reads`](Self::cache_reads).
    #[must_use]
    pub const fn anthropic() -> Self {
        Charge {
            input: ChargedAt::Send,
            cache_reads: false,
            ..Self::SAFE
        }
    }

    /// Amazon Bedrock: input and the output cap at the start; in the end the input without what was read
    /// from a cache, and each output token `output_weight` times: 5 for Claude 3.7 and 4, 1 for others.
    /// Source: AWS's page "How tokens are counted in Amazon Bedrock". More output than the cap covers by
    /// its weight is debt, as it is there.
    #[must_use]
    pub const fn bedrock(output_weight: u32) -> Self {
        Charge {
            input: ChargedAt::Send,
            output: ChargedAt::Send,
            cache_reads: false,
            output_weight,
            ..Self::SAFE
        }
    }

    /// Groq: what was read from a cache does not count. When the rest is dated is not published: as late as
    /// may be. Source: Groq's page "Rate Limits".
    #[must_use]
    pub const fn groq() -> Self {
        Charge {
            cache_reads: false,
            ..Self::SAFE
        }
    }

    /// The rule of a provider by its name, the default for one that is not known. Of `bedrock` that of the
    /// models that count most.
    #[must_use]
    pub fn of(provider: &str) -> Self {
        match provider {
            "openai" => Self::openai(),
            "azure" => Self::azure(),
            "anthropic" => Self::anthropic(),
            "bedrock" => Self::bedrock(5),
            "groq" => Self::groq(),
            _ => Self::default(),
        }
    }

    /// How much a limit on `quantity` reserves for `demand`, and how much of that the caller declared:
    /// an estimate may be cut to what the limit can hold, a declared figure may not.
    #[inline]
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
            // Whatever it is, it is a bound: a budget is not passed.
            Quantity::Cost => (demand.cost, demand.cost),
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

    /// How much of `output` tokens a limit on `quantity` dates while they stream.
    pub(crate) fn streamed(self, quantity: Quantity, output: u64) -> u64 {
        let output = output.min(MOST);
        match (quantity, self.output) {
            (Quantity::OutputTokens, ChargedAt::Completion) => output,
            (Quantity::Tokens, ChargedAt::Completion) if self.tokens == TokenCharge::Sum => {
                self.weigh(output)
            }
            _ => 0,
        }
    }

    fn weigh(self, output: u64) -> u64 {
        output.saturating_mul(self.output_weight.into())
    }

    /// What a limit on `quantity` counts in the end, where `reserved` was claimed and `usage` is known.
    pub(crate) fn settled(self, quantity: Quantity, reserved: Parts, usage: &Usage) -> Parts {
        let read = if self.cache_reads {
            0
        } else {
            usage.cache_read
        };
        let input = usage.input.min(MOST).saturating_sub(read);
        let output = usage.output.min(MOST);
        let used = match quantity {
            Quantity::Requests | Quantity::Concurrency => return reserved,
            Quantity::Cost => {
                return Parts {
                    early: 0,
                    late: usage
                        .cost
                        .map_or(reserved.late, |cost| cost.as_nanos().min(MOST)),
                };
            }
            Quantity::InputTokens => Parts::dated(input, self.input),
            Quantity::OutputTokens => Parts::dated(output, self.output),
            Quantity::Tokens => match (self.tokens, self.output) {
                (TokenCharge::Larger, ChargedAt::Send) => Parts::dated(input, self.input),
                _ => Parts::dated(input, self.input)
                    .and(Parts::dated(self.weigh(output), self.output)),
            },
        };
        if self.corrected {
            used
        } else {
            Parts {
                early: used.early.max(reserved.early),
                late: used.late.max(reserved.late),
            }
        }
    }

    /// What a limit on `quantity` counts for usage that nothing was claimed for: as if exactly that had been
    /// asked for.
    pub(crate) fn recorded(self, quantity: Quantity, usage: &Usage) -> u64 {
        if quantity == Quantity::Cost {
            return usage.cost.map_or(0, Money::as_nanos);
        }
        let demand = Demand {
            input: usage.input,
            output: usage.output,
            ..Demand::default()
        };
        let (reserved, _) = self.reserve(quantity, &demand);
        let used = self.settled(quantity, Parts::early(reserved), usage);
        used.early.saturating_add(used.late)
    }
}

impl Default for Charge {
    /// Input and output together, held until completion and then corrected: no provider's charge leaves
    /// later than this one does.
    fn default() -> Self {
        Self::SAFE
    }
}

#[cfg(test)]
#[path = "charge_tests.rs"]
mod tests;
