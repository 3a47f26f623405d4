//! What the limiters that have claimed for an attempt are told, and what they hold for it.

use std::sync::Arc;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::{Attempt, held_besides};
use crate::{
    call::{Gate, gate::Held},
    limit::Tick,
    limiter::{Limiter, Observed, Permit},
    store::Observation,
};

/// What limiters say to what they are told.
type Heard = SmallVec<[Observed; 1]>;

impl Attempt {
    /// Tells every limiter that has claimed for it, once, what its answer tells.
    pub(in crate::call) fn observe(&self, seen: &Observation) {
        self.each_limiter(|_, permit, heard| heard.extend(permit.hear(seen)));
    }

    /// Closes the target for every limiter that has claimed for it, until then. Returns until when, in the time
    /// of each.
    pub(in crate::call) fn close_target(&self, until: Instant) -> Vec<(Limiter, Tick)> {
        let wait = until.saturating_duration_since(Instant::now());
        let mut closed = Vec::new();
        self.each_limiter(|limiter, permit, heard| {
            let until = permit.now().after(wait);
            heard.extend(permit.hear(&Observation::Closed { until }));
            closed.push((limiter.clone(), until));
        });
        closed
    }

    /// Takes that back.
    pub(in crate::call) fn reopen_target(&self, closed: &[(Limiter, Tick)]) {
        self.each_limiter(|limiter, permit, heard| {
            let mine = closed.iter().filter(|(other, _)| other.is(limiter));
            let reopened = mine.map(|(_, until)| Observation::Reopened { until: *until });
            heard.extend(reopened.filter_map(|reopened| permit.hear(&reopened)));
        });
    }

    /// Tells each limiter, and sees to what they say with no lock held: it may wake anybody.
    fn each_limiter(&self, mut tell: impl FnMut(&Limiter, &Permit, &mut Heard)) {
        let mut heard = Heard::new();
        {
            let state = self.lock();
            for (number, Held { gate, permit, .. }) in state.claims.iter().enumerate() {
                let told = state.claims[..number]
                    .iter()
                    .any(|other| other.gate.limiter.is(&gate.limiter));
                if !told {
                    tell(&gate.limiter, permit, &mut heard);
                }
            }
        }
        heard.into_iter().for_each(Observed::see_to);
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
