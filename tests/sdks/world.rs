//! A simulator, the gateway in front of it, and scripts that call it.

use std::process::Command;

use serde_json::Value;
use tower_quota::sim::{SimConfig, SimServer, Simulator};

use crate::{process::Gateway, scripts::output_of};

/// One model is too small for any call, one agent has one request a run, and one has money for one call a run. One has
/// money for the beginning of an answer of the model that says more than it may.
const LIMITS: &str = "
  providers:
    openai: { sim-small: { tpm: 100 } }
    anthropic: { sim-small: { tpm: 100 } }
    gemini: { sim-small: { tpm: 100 } }
  agents: { once: { max_requests_per_run: 1 } }
  budgets:
    - { amount: 0.0105, every: 1h, when: { agent: poor }, per: [run] }
    - { amount: 0.0006, every: 1h, when: { agent: thin }, per: [run] }
  budget_patience: 0s
  prices:
    openai: { sim-1: { input: 1, output: 10 }, sim-long: { input: 1, output: 10, max_output: 20 } }
    anthropic: { sim-1: { input: 1, output: 10 } }
    gemini: { sim-1: { input: 1, output: 10 }, sim-long: { input: 1, output: 10, max_output: 20 } }
  retry: { max_attempts: ATTEMPTS }";

pub(crate) struct World {
    sim: SimServer,
    gateway: Gateway,
}

impl World {
    /// The gateway makes so many attempts for a call.
    pub(crate) async fn start(attempts: usize) -> Self {
        let sim = Simulator::start(SimConfig::default()).await.unwrap();
        let limits = LIMITS.replace("ATTEMPTS", &attempts.to_string());
        let gateway = Gateway::start(&sim.base_url(), &limits).await;
        World { sim, gateway }
    }

    /// What this script prints, through the gateway.
    pub(crate) async fn run(&self, interpreter: Command) -> Value {
        output_of(interpreter, &self.gateway.base_url).await
    }

    /// The same with the simulator itself.
    pub(crate) async fn run_alone(&self, interpreter: Command) -> Value {
        output_of(interpreter, &self.sim.base_url()).await
    }

    /// How many attempts for this model have reached the simulator.
    pub(crate) fn attempts(&self, model: &str) -> usize {
        let ledger = self.sim.ledger();
        let attempts = ledger.entries().iter();
        attempts.filter(|attempt| &*attempt.model == model).count()
    }
}
