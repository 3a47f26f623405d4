//! What one exchange with a provider consumed, in the same terms for every provider.

use serde::{Deserialize, Serialize};

use crate::money::Money;

/// The tokens that one attempt consumed.
///
/// Providers count differently: some leave cached tokens out of the input, some leave reasoning out of the output. Here
/// `input` and `output` are always the *whole* amounts, and the other token counts are parts of them. A part that was
/// not reported is 0.
///
/// ```
/// use tower_quota::usage::Usage;
///
/// let mut usage = Usage::new(2_310, 187);
/// usage.cache_read = 1_920;
/// usage.reasoning = 128;
/// assert_eq!(usage.total(), 2_497); // the parts are not added again
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Usage {
    /// Input tokens, including those read from and written to a prompt cache.
    pub input: u64,
    /// The part of `input` that was read from a prompt cache.
    pub cache_read: u64,
    /// The part of `input` that was written to a prompt cache.
    pub cache_write: u64,
    /// The part of `cache_write` that is to be kept longer than usual: an hour with Anthropic, twelve with OpenAI.
    pub cache_write_long: u64,
    /// Billed output tokens, including reasoning.
    pub output: u64,
    /// The part of `output` that was spent on reasoning.
    pub reasoning: u64,
    /// What it cost, if that is known, from the provider itself or from a table of prices.
    pub cost: Option<Money>,
    /// Whether this is an estimate made here, because the provider reported nothing, or not its last word.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

impl Usage {
    /// Creates a usage without cached or reasoning parts.
    #[must_use]
    pub const fn new(input: u64, output: u64) -> Self {
        Self {
            input,
            cache_read: 0,
            cache_write: 0,
            cache_write_long: 0,
            output,
            reasoning: 0,
            cost: None,
            estimated: false,
        }
    }

    /// Returns input and output together; `u64::MAX` instead of wrapping around.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn total_saturates() {
        assert_eq!(Usage::new(u64::MAX, 1).total(), u64::MAX);
    }

    #[test]
    fn a_stored_usage_without_the_parts_still_reads() {
        let usage: Usage = serde_json::from_str(r#"{"input":3,"output":4}"#).unwrap();
        assert_eq!(usage, Usage::new(3, 4));
    }
}
