//! What the limiters that have claimed for an attempt are told, and what they hold for it.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Attempt, held_besides};
use crate::{
    call::{Gate, gate::Held},
    limit::Tick,
    limiter::{Limiter, Permit},
    store::Observation,
};

impl Attempt {
    /// Tells every limiter that has claimed for it, once, what its answer tells.
    pub(in crate::call) fn observe(&self, seen: &Observation) {
        self.each_limiter(|_, permit| permit.observe(seen));
    }

    /// Closes the target for every limiter that has claimed for it, until then. Returns until when, in the time
    /// of each.
    pub(in crate::call) fn close_target(&self, until: Instant) -> Vec<(Limiter, Tick)> {
        let wait = until.saturating_duration_since(Instant::now());
        let mut closed = Vec::new();
        self.each_limiter(|limiter, permit| {
            let until = permit.now().after(wait);
            permit.observe(&Observation::Closed { until });
            closed.push((limiter.clone(), until));
        });
        closed
    }

    /// Takes that back.
    pub(in crate::call) fn reopen_target(&self, closed: &[(Limiter, Tick)]) {
        self.each_limiter(|limiter, permit| {
            let mine = closed.iter().filter(|(other, _)| other.is(limiter));
            mine.for_each(|(_, until)| permit.observe(&Observation::Reopened { until: *until }));
        });
    }

    fn each_limiter(&self, mut tell: impl FnMut(&Limiter, &Permit)) {
        let state = self.lock();
        for (number, Held { gate, permit, .. }) in state.claims.iter().enumerate() {
            let told = state.claims[..number]
                .iter()
                .any(|other| other.gate.limiter.is(&gate.limiter));
            if !told {
                tell(&gate.limiter, permit);
            }
        }
    }

    /// What each budget holds of money for it: the gate, and its permits.
    pub(in crate::call) fn each_budget(&self, mut show: impl FnMut(&Arc<Gate>, &Permit, u64)) {
        let state = self.lock();
        for Held { gate, permit, .. } in &state.claims {
            if gate.acts_as_budget(permit.tags()) {
                let more = held_besides(&state.more, gate);
                show(gate, permit, permit.money().saturating_add(more));
            }
        }
    }
}
