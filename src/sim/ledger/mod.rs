//! The ledger: every attempt that reached the simulator, and what it says about the caller.

mod attempt;
mod measure;
mod replay;

use std::time::Duration;

pub use self::attempt::{Attempt, Billed, Outcome};
use super::limit::SimLimit;

/// A copy of everything that has reached the simulator so far.
///
/// Its judgements are recomputed from the arrivals, by plain rules of their own; they ask nothing
/// of the state that refused or admitted the attempts.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    entries: Vec<Attempt>,
}

impl Ledger {
    pub(crate) fn new(entries: Vec<Attempt>) -> Self {
        Self { entries }
    }

    /// The attempts in the order of their arrival.
    pub fn entries(&self) -> &[Attempt] {
        &self.entries
    }

    /// How many attempts arrived.
    pub fn attempts(&self) -> usize {
        self.entries.len()
    }

    /// How many were answered 200, whole and unbroken.
    pub fn ok(&self) -> usize {
        self.entries.iter().filter(|attempt| attempt.ok()).count()
    }

    /// How many were answered 429, by a limit or by a fault.
    pub fn refused(&self) -> usize {
        let refused = |attempt: &&Attempt| attempt.status == Some(429);
        self.entries.iter().filter(refused).count()
    }

    /// The sum of what the attempts are billed.
    pub fn billed(&self) -> Billed {
        let each = self.entries.iter().map(|attempt| attempt.billed);
        each.fold(Billed::default(), |sum, one| Billed {
            input: sum.input + one.input,
            output: sum.output + one.output,
        })
    }

    /// From the first arrival to the last finish; zero if there is none.
    pub fn makespan(&self) -> Duration {
        let first = self.entries.first().map(|attempt| attempt.arrival);
        let last = self
            .entries
            .iter()
            .filter_map(|attempt| attempt.finish)
            .max();
        match (first, last) {
            (Some(first), Some(last)) => last.saturating_sub(first),
            _ => Duration::ZERO,
        }
    }

    /// How many attempts came when these limits had no room for them.
    ///
    /// The attempts are replayed in the order of their arrival, the refused ones too. One that
    /// does not fit counts 1 and is charged to no limit. Malformed requests and attempts refused
    /// by a fault are left out.
    pub fn over_limit(&self, limits: &[SimLimit]) -> usize {
        replay::over_limit(&self.entries, limits)
    }

    /// No caller could have had the successful attempts answered in less than this, if all were
    /// ready at the start of a window: the time that the tightest limit needs to admit their
    /// charges, and the smallest latency among them. Zero without a successful attempt.
    ///
    /// Only charges on arrival count, since output charged at the end holds back nothing that has
    /// been admitted; limits on concurrency are left out.
    pub fn least(&self, limits: &[SimLimit]) -> Duration {
        measure::least(&self.entries, limits)
    }

    /// The most that one group of this limit (a key, a model) was charged in any half-open
    /// interval of the limit's period; for concurrency, the most attempts open at once.
    ///
    /// Counts what the provider admitted, so neither refusals nor malformed requests.
    pub fn peak(&self, limit: &SimLimit) -> u64 {
        measure::peak(&self.entries, limit)
    }
}
