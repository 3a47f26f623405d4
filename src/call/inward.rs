//! How a call goes on within one service, where nothing stands between one of our layers and the next.
//!
//! The request is the same and nobody can have cloned it: no handle is put on it, and none is looked for. Nobody but the
//! innermost layer presumes to be the sender.

use std::sync::Arc;

use super::{Entry, Gate, gate::Passed};
use crate::error::Rejection;

impl Entry {
    /// The view of the layer directly within this one.
    pub(crate) fn inward(&self) -> Self {
        let depth = self.depth() + 1;
        self.look_at_attempt(|attempt| attempt.reach(depth));
        self.at(depth)
    }

    /// The view of the innermost of these gates, which stand directly within this layer, each within the one before it. All
    /// of them claim at the present attempt.
    pub(crate) fn through(&self, gates: &[Arc<Gate>]) -> Self {
        let mut depth = self.depth();
        let mut state = self.state();
        for gate in gates {
            depth += 1;
            let gate = gate.clone();
            state.gates.push(Passed { gate, depth });
        }
        state.attempt.reach(depth);
        drop(state);
        self.at(depth)
    }

    /// Whether gates stand around this layer.
    pub(crate) fn is_gated(&self) -> bool {
        !self.state().gates.is_empty()
    }

    /// Claims for the gates around this layer, where the present attempt goes under other tags than those that it was
    /// claimed under.
    ///
    /// # Errors
    /// A local no, which is recorded.
    pub(crate) async fn claim_around(&self) -> Result<(), Rejection> {
        let unfinished = self.unfinished();
        let claimed = self.claim().await;
        match &claimed {
            Ok(()) => unfinished.goes_on(),
            Err(rejection) => self.refused(unfinished, rejection),
        }
        claimed
    }
}
