//! What an attempt asks for.

use serde::{Deserialize, Serialize};

/// What one attempt asks for, before anything is known of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Demand {
    /// Requests; usually 1.
    pub requests: u64,
    /// Input tokens.
    pub input: u64,
    /// The most output tokens there may be.
    pub output: u64,
    /// The most that the attempt may cost, in billionths of a US dollar.
    pub cost: u64,
    /// Whether `input` is the caller's own figure (true) or an estimate (false). An estimate larger than a limit is cut
    /// down to the limit; a declared figure is refused as never fitting.
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
            cost: 0,
            input_declared: true,
            output_declared: true,
        }
    }
}
