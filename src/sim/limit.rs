//! The limits of a simulated provider, as data: what is counted, how, and for whom.

use std::time::Duration;

use serde::Deserialize;

use super::config::millis;

/// One limit of the provider: an amount of a quantity per period.
///
/// An attempt fits if the limit has room for its charge, and for at least one unit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimLimit {
    /// What is counted.
    pub quantity: SimQuantity,
    /// How much of it a period holds. Under zero nothing fits.
    pub amount: u64,
    /// The period; limits on concurrency have none. `period_ms`; default: one minute.
    #[serde(rename = "period_ms", deserialize_with = "millis", default = "minute")]
    pub period: Duration,
    /// How the period moves. Default: sliding.
    #[serde(default)]
    pub shape: SimShape,
    /// How many tokens an attempt is charged on a limit of `tokens`. Default: larger.
    #[serde(default)]
    pub charge: SimCharge,
    /// The only model that the limit is for; `None`: every model.
    #[serde(default)]
    pub model: Option<String>,
    /// Whether each API key has the amount for itself.
    #[serde(default)]
    pub per_key: bool,
    /// Whether each model has the amount for itself.
    #[serde(default)]
    pub per_model: bool,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SimQuantity {
    /// Attempts, at their arrival.
    Requests,
    /// Input and output tokens together, by the limit's [`SimCharge`].
    Tokens,
    /// The estimated input, at arrival.
    InputTokens,
    /// The output that was generated, when the attempt ends. The output cap plays no part.
    OutputTokens,
    /// Attempts that are open: from arrival until the response body has ended or was dropped.
    Concurrency,
}

/// How a limit's period moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SimShape {
    /// At each instant `t`, the charges in `(t - period, t]`, exactly.
    #[default]
    Sliding,
    /// Windows side by side, the first beginning when the simulator's clock starts.
    Fixed,
    /// A bucket that holds the amount, is full at first and refills evenly, the amount per period.
    Bucket,
    /// Fixed windows of one slice, each with its share of the amount (rounded down, at least 1).
    /// Nothing but the slices is enforced; the rate headers tell a fixed window of the period.
    Sliced {
        /// The length of a slice. `slice_ms`.
        #[serde(rename = "slice_ms", deserialize_with = "millis")]
        slice: Duration,
    },
}

/// How many tokens an attempt is charged on a limit of [`SimQuantity::Tokens`].
///
/// The input is estimated as the bytes of the prompt's text by four, rounded up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SimCharge {
    /// The larger of the output cap and the estimated input, at arrival, never corrected (OpenAI).
    #[default]
    Larger,
    /// The estimated input and the output cap, at arrival, never corrected (Azure).
    Sum,
    /// The estimated input at arrival, the generated output when the attempt ends (Anthropic).
    Actual,
}

impl SimLimit {
    /// A sliding limit, the same for all models and keys, charging the larger part.
    pub fn new(quantity: SimQuantity, amount: u64, period: Duration) -> Self {
        Self {
            quantity,
            amount,
            period,
            shape: SimShape::Sliding,
            charge: SimCharge::Larger,
            model: None,
            per_key: false,
            per_model: false,
        }
    }

    /// A sliding limit on requests.
    pub fn requests(amount: u64, period: Duration) -> Self {
        Self::new(SimQuantity::Requests, amount, period)
    }

    /// A sliding limit on tokens.
    pub fn tokens(amount: u64, period: Duration) -> Self {
        Self::new(SimQuantity::Tokens, amount, period)
    }

    /// A limit on open attempts.
    pub fn concurrency(amount: u64) -> Self {
        Self::new(SimQuantity::Concurrency, amount, minute())
    }

    /// The same limit with another shape.
    #[must_use]
    pub fn shape(self, shape: SimShape) -> Self {
        Self { shape, ..self }
    }

    /// The same limit with another token charge.
    #[must_use]
    pub fn charge(self, charge: SimCharge) -> Self {
        Self { charge, ..self }
    }

    /// The same limit for one model only.
    #[must_use]
    pub fn for_model(self, model: impl Into<String>) -> Self {
        Self {
            model: Some(model.into()),
            ..self
        }
    }

    /// The same limit for each API key separately.
    #[must_use]
    pub fn per_key(self) -> Self {
        Self {
            per_key: true,
            ..self
        }
    }

    /// The same limit for each model separately.
    #[must_use]
    pub fn per_model(self) -> Self {
        Self {
            per_model: true,
            ..self
        }
    }

    /// Whether attempts for this model are held against the limit.
    pub(crate) fn touches(&self, model: &str) -> bool {
        self.model.as_deref().is_none_or(|only| only == model)
    }

    /// What an attempt is charged when it arrives.
    pub(crate) fn on_arrival(&self, prompt: u64, max_tokens: Option<u64>) -> u64 {
        let cap = max_tokens.unwrap_or(0);
        match (self.quantity, self.charge) {
            (SimQuantity::Requests | SimQuantity::Concurrency, _) => 1,
            (SimQuantity::OutputTokens, _) => 0,
            (SimQuantity::InputTokens, _) | (SimQuantity::Tokens, SimCharge::Actual) => prompt,
            (SimQuantity::Tokens, SimCharge::Larger) => prompt.max(cap),
            (SimQuantity::Tokens, SimCharge::Sum) => prompt.saturating_add(cap),
        }
    }

    /// What an attempt is charged on top when it ends, having generated `output` tokens.
    pub(crate) fn on_finish(&self, output: u64) -> u64 {
        match (self.quantity, self.charge) {
            (SimQuantity::OutputTokens, _) | (SimQuantity::Tokens, SimCharge::Actual) => output,
            _ => 0,
        }
    }

    /// The window that is enforced, and what it holds: of the slice for a sliced limit.
    pub(crate) fn window(&self) -> (Duration, u64) {
        let period = self.period.max(Duration::from_nanos(1));
        let SimShape::Sliced { slice } = self.shape else {
            return (period, self.amount);
        };
        let slice = slice.max(Duration::from_nanos(1));
        let share = u128::from(self.amount) * slice.as_nanos() / period.as_nanos();
        let share = u64::try_from(share).unwrap_or(u64::MAX);
        (slice, share.max(self.amount.min(1)))
    }
}

fn minute() -> Duration {
    Duration::from_secs(60)
}
