//! What becomes of attempts, for statistics.

use super::{Ended, Entry, context::Gate};
use crate::{
    error::Rejection,
    limit::Demand,
    limiter::Permit,
    statistics::{Figures, Statistics},
    store::Settlement,
};

/// Where a gate records, and what it has reserved for an attempt.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    pub(super) statistics: Statistics,
    pub(super) reserved: Demand,
}

/// Records the end of an attempt that left, once in each place, by the first gate that records there.
pub(super) fn ended(claims: &[(Gate, Permit)], ended: &Ended) {
    let recorders = claims
        .iter()
        .filter_map(|(gate, permit)| Some((gate.recorder.as_ref()?, gate, permit)));
    let mut told: Vec<&Statistics> = Vec::new();
    for (
        Recorder {
            statistics,
            reserved,
        },
        gate,
        permit,
    ) in recorders
    {
        if told.iter().any(|other| other.is(statistics)) {
            continue;
        }
        told.push(statistics);
        let figures = match gate.settlement(permit.tags(), ended) {
            Settlement::Usage(usage) => Figures::used(&usage, ended.is_final),
            Settlement::Unknown => Figures::reserved(reserved),
        };
        statistics.gather(permit.tags(), &figures);
    }
}

impl Entry {
    /// Records an attempt that was refused here, once in each place.
    pub(super) fn record_refusal(&self, rejection: &Rejection) {
        let places = self.recorders();
        for (number, statistics) in places.iter().enumerate() {
            if !places[..number].iter().any(|other| other.is(statistics)) {
                statistics.record_refusal(self.tags(), rejection);
            }
        }
    }
}
