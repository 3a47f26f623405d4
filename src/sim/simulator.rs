//! The handle on a simulated provider.

use std::sync::Arc;
use std::time::Duration;

use super::config::SimConfig;
use super::core::Core;
use super::faults::FaultRule;
use super::ledger::Ledger;
use super::service::SimService;

/// A simulated provider. Clones share its limits, its clock and its ledger.
#[derive(Clone, Debug)]
pub struct Simulator {
    core: Arc<Core>,
}

impl Simulator {
    /// A provider that nothing has reached yet. Opens no socket and starts no task.
    pub fn new(config: SimConfig) -> Self {
        Self {
            core: Arc::new(Core::new(config)),
        }
    }

    /// The provider as a service, for tests that need no socket.
    pub fn service(&self) -> SimService {
        SimService::new(Arc::clone(&self.core))
    }

    /// Time on the provider's clock, which every instant in the ledger is on.
    ///
    /// The clock is tokio's, so a paused one stands still. It starts at its first reading: this,
    /// or the first request.
    pub fn now(&self) -> Duration {
        self.core.clock.now()
    }

    /// Gives the limit at this place of the configuration another amount from now on, as providers change theirs
    /// without notice. What was charged stays. Does nothing if there is no such limit.
    ///
    /// The ledger's judgements do not take this into account: they replay the limits that they are given.
    pub fn set_amount(&self, limit: usize, amount: u64) {
        self.core.set_amount(limit, amount);
    }

    /// Replaces the faults that occur unasked from now on, so that an outage begins or ends.
    pub fn set_faults(&self, faults: Vec<FaultRule>) {
        self.core.set_faults(faults);
    }

    /// A copy of everything that has reached the provider so far.
    pub fn ledger(&self) -> Ledger {
        self.core.ledger()
    }

    /// Waits until no attempt is open, and so until every line of the ledger is complete.
    ///
    /// A client that hangs up is noticed some time later: over sockets this is how to wait for it.
    pub async fn idle(&self) {
        self.core.idle().await;
    }
}
