//! What becomes of attempts, for statistics.

use smallvec::SmallVec;

use super::{Entry, Gate};
use crate::{
    error::Rejection,
    statistics::{Figures, Statistics},
    store::Settlement,
    tags::Tags,
};

/// Who was told of the end of an attempt: each place is told once, by the first gate that records there.
#[derive(Debug, Default)]
pub(super) struct Told(SmallVec<[Statistics; 1]>);

impl Told {
    /// Records how an attempt that left has ended, where `gate` records.
    pub(super) fn ended(
        &mut self,
        gate: &Gate,
        tags: &Tags,
        settlement: &Settlement,
        is_final: bool,
    ) {
        let Some(statistics) = &gate.recorder else {
            return;
        };
        if self.0.iter().any(|other| other.is(statistics)) {
            return;
        }
        let figures = match settlement {
            Settlement::Usage(usage) => Figures::used(usage, is_final),
            Settlement::Unknown => Figures::reserved(&gate.reserved),
        };
        statistics.gather(tags, &figures);
        self.0.push(statistics.clone());
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
