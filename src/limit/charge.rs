//! How much of a limit a call takes, and when: data, because every provider has rules of its own.

use serde::{Deserialize, Serialize};

use super::Quantity;
use crate::usage::Usage;

/// How whoever enforces a token limit charges it.
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
    /// What a limit on [`Quantity::Tokens`] reserves.
    pub tokens: TokenCharge,
    /// When the input is dated.
    pub input: ChargedAt,
    /// When the output is dated.
    pub output: ChargedAt,
    /// Whether what was reserved is corrected downwards to the tokens really used.
    pub corrected: bool,
    /// Whether input that was read from a prompt cache counts.
    pub cache_reads: bool,
    /// How many times an output token counts in the end under a limit on [`Quantity::Tokens`].
    pub output_weight: u32,
}

/// What a limit on [`Quantity::Tokens`] reserves for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokenCharge {
    /// The larger of the input estimate and the output cap.
    Larger,
    /// The sum of the input estimate and the output cap.
    Sum,
}

/// When a charge is dated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChargedAt {
    /// At the send: it expires one period later, even while the call is in flight.
    Send,
    /// At completion: what was reserved stays until then. Output that streams is dated as it arrives.
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

/// So much of a report, as far as they are believed.
#[inline]
pub(super) fn believed(reported: u64) -> u64 {
    reported.min(MOST)
}

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

    /// Returns OpenAI's rule: the larger of `max_tokens` and an estimate from the characters, at admission, not
    /// corrected.
    ///
    /// Source: OpenAI's guide "Rate limits".
    #[must_use]
    pub const fn openai() -> Self {
        Charge {
            tokens: TokenCharge::Larger,
            ..Self::azure()
        }
    }

    /// Returns Azure OpenAI's rule: the prompt and `max_tokens`, at admission, not corrected.
    ///
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

    /// Returns Anthropic's rule: input at the start, corrected to what it really was, without what was read from a
    /// cache; output as it is generated. The output cap plays no part in the end.
    ///
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

    /// Returns Amazon Bedrock's rule: input and the output cap at the start; in the end, the input without what was
    /// read from a cache, and each output token `output_weight` times (5 for Claude 3.7 and 4, 1 for others).
    ///
    /// Source: AWS's page "How tokens are counted in Amazon Bedrock". As at Bedrock, weighted output beyond what the
    /// cap covers is debt.
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

    /// Returns Groq's rule: what was read from a cache does not count.
    ///
    /// Groq does not publish when the rest is dated, so it is dated as late as possible. Source: Groq's page "Rate
    /// Limits".
    #[must_use]
    pub const fn groq() -> Self {
        Charge {
            cache_reads: false,
            ..Self::SAFE
        }
    }

    /// Returns the rule of a provider, by its name, or the default if the name is not known. For `bedrock`, the rule of
    /// the models whose output counts most.
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

    /// How much of `output` tokens a limit on `quantity` dates while they stream.
    pub(crate) fn streamed(self, quantity: Quantity, output: u64) -> u64 {
        let output = believed(output);
        match (quantity, self.output) {
            (Quantity::OutputTokens, ChargedAt::Completion) => output,
            (Quantity::Tokens, ChargedAt::Completion) if self.tokens == TokenCharge::Sum => {
                self.weigh(output)
            }
            _ => 0,
        }
    }

    /// Whether each token counts once, whatever was reserved and wherever it was read from.
    pub(super) fn counts_all_once(self) -> bool {
        self.corrected && self.cache_reads && self.output_weight == 1
    }

    fn weigh(self, output: u64) -> u64 {
        output.saturating_mul(self.output_weight.into())
    }

    /// What a limit on `quantity` counts in the end, where `reserved` was claimed and `usage` is known.
    pub(crate) fn settled(self, quantity: Quantity, reserved: Parts, usage: &Usage) -> Parts {
        let used = match quantity {
            Quantity::Requests | Quantity::Concurrency => return reserved,
            Quantity::Cost => {
                return Parts {
                    early: 0,
                    late: cost(reserved.late, usage),
                };
            }
            _ => {
                let (input, output) = self.tokens_used(quantity, usage);
                Parts::dated(input, self.input).and(Parts::dated(output, self.output))
            }
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

    /// The same where all that was claimed is held until the end.
    #[inline]
    pub(crate) fn settled_at_the_end(
        self,
        quantity: Quantity,
        reserved: u64,
        usage: &Usage,
    ) -> u64 {
        let used = match quantity {
            Quantity::Requests | Quantity::Concurrency => return reserved,
            Quantity::Cost => return cost(reserved, usage),
            _ => {
                let (input, output) = self.tokens_used(quantity, usage);
                input.saturating_add(output)
            }
        };
        if self.corrected {
            used
        } else {
            used.max(reserved)
        }
    }

    /// How many tokens of the input and of the output a limit on such tokens counts.
    #[inline]
    fn tokens_used(self, quantity: Quantity, usage: &Usage) -> (u64, u64) {
        let read = if self.cache_reads {
            0
        } else {
            usage.cache_read
        };
        let input = believed(usage.input).saturating_sub(read);
        let output = believed(usage.output);
        match quantity {
            Quantity::InputTokens => (input, 0),
            Quantity::OutputTokens => (0, output),
            _ if (self.tokens, self.output) == (TokenCharge::Larger, ChargedAt::Send) => (input, 0),
            _ => (input, self.weigh(output)),
        }
    }
}

/// What it cost, as far as it is known.
fn cost(reserved: u64, usage: &Usage) -> u64 {
    usage
        .cost
        .map_or(reserved, |cost| believed(cost.as_nanos()))
}

impl Default for Charge {
    /// Input and output together, held until completion and then corrected: no provider's charge leaves later than this
    /// one.
    fn default() -> Self {
        Self::SAFE
    }
}

#[cfg(test)]
#[path = "charge_tests.rs"]
mod tests;
