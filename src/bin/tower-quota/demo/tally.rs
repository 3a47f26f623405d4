//! What came of it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use http::StatusCode;

use super::world::World;

/// What the agents have seen. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    answered: AtomicU64,
    /// Of calls that a budget or a limit refused.
    refused: AtomicU64,
    failed: AtomicU64,
}

impl Tally {
    /// A call is over: with this status, or with no whole answer. Says whether it was refused.
    pub(super) fn took(&self, status: Option<StatusCode>) -> bool {
        let is_refused = matches!(
            status,
            Some(StatusCode::TOO_MANY_REQUESTS | StatusCode::PAYMENT_REQUIRED)
        );
        let counts = &self.0;
        let count = match status {
            Some(status) if status.is_success() => &counts.answered,
            _ if is_refused => &counts.refused,
            _ => &counts.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        is_refused
    }

    /// For people, with what the providers say beside it.
    pub(super) fn report(&self, world: &World) -> String {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.0;
        let mut report = format!(
            "{} calls were answered, {} refused within the budgets and limits, {} failed.",
            of(&counts.answered),
            of(&counts.refused),
            of(&counts.failed)
        );
        for (name, simulator) in world.simulators() {
            let ledger = simulator.ledger();
            report.push_str(&format!(
                "\n{name}: {} attempts, {} of them over its limits.",
                ledger.attempts(),
                ledger.refused()
            ));
        }
        report
    }
}
