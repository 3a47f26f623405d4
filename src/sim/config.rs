//! What a simulator is told at its start.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::faults::FaultRule;
use super::limit::SimLimit;

/// Most tokens of one answer, whatever its cap: they are really sent.
const MOST_OUTPUT: u64 = 100_000;

/// How a simulated provider behaves.
///
/// In JSON and YAML, durations are whole milliseconds with the unit in the name (`latency_ms`);
/// fields left out have the default named below, and unknown fields are errors. Waits end on the
/// next whole millisecond of tokio's clock.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimConfig {
    /// The limits. An attempt is held against all those that its model touches, and is charged
    /// to all of them or to none. Default: none.
    pub limits: Vec<SimLimit>,
    /// Time from arrival to the response headers. Refusals are sent without it. `latency_ms`;
    /// default: zero.
    #[serde(rename = "latency_ms", deserialize_with = "millis")]
    pub latency: Duration,
    /// The largest random addition to the latency, uniform from zero. `jitter_ms`; default: zero.
    #[serde(rename = "jitter_ms", deserialize_with = "millis")]
    pub jitter: Duration,
    /// Time before each content chunk of a stream. `chunk_delay_ms`; default: zero.
    #[serde(rename = "chunk_delay_ms", deserialize_with = "millis")]
    pub chunk_delay: Duration,
    /// The largest number of content chunks in a stream, at least one. Default: 8.
    pub chunks: usize,
    /// The length of an answer's text as a share of its output cap, 0.0 to 1.0. At least one token is sent unless the
    /// cap is zero, and never more than 100 000. A tool call is as long as its arguments make it. Default: 0.1.
    pub output_share: f64,
    /// Bytes of text per generated token, 1 to 64. Default: 4.
    pub token_bytes: usize,
    /// The output cap of a request that names none. It shapes the answer, not the charge.
    /// Default: 1000 tokens.
    pub default_max_tokens: u64,
    /// Faults that occur unasked. Requests may ask for more in `x-sim-fault`. Default: none.
    pub faults: Vec<FaultRule>,
    /// Seed of the jitter and of the fault probabilities. Default: 0.
    pub seed: u64,
    /// Whether attempts over a limit are refused. If not, they are charged and answered like the
    /// others, and only the ledger tells. Default: true.
    pub enforce: bool,
    /// Whether a refused attempt is charged to the limits on requests all the same (never to
    /// those on tokens). Default: false.
    pub count_refused: bool,
    /// Names listed by `GET /v1/models`, and by Gemini's. Any model may be asked for. Default: `sim-1`.
    pub models: Vec<String>,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            limits: Vec::new(),
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            chunk_delay: Duration::ZERO,
            chunks: 8,
            output_share: 0.1,
            token_bytes: 4,
            default_max_tokens: 1_000,
            faults: Vec::new(),
            seed: 0,
            enforce: true,
            count_refused: false,
            models: vec!["sim-1".to_owned()],
        }
    }
}

impl SimConfig {
    pub(crate) fn token_bytes(&self) -> usize {
        self.token_bytes.clamp(1, 64)
    }

    /// Output tokens of a whole text under this output cap.
    pub(crate) fn output(&self, max_tokens: Option<u64>) -> u64 {
        let cap = max_tokens.unwrap_or(self.default_max_tokens);
        if cap == 0 {
            return 0;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the product lies between 0 and the cap"
        )]
        let share = (cap as f64 * self.output_share.clamp(0.0, 1.0)).round() as u64;
        share.clamp(1, cap).min(MOST_OUTPUT)
    }
}

/// Reads whole milliseconds.
pub(crate) fn millis<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    u64::deserialize(from).map(Duration::from_millis)
}
