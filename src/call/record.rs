//! What becomes of attempts, for statistics.

use smallvec::SmallVec;

use super::{Entry, Gate};
use crate::{
    error::Rejection,
    limit::Demand,
    money::Money,
    statistics::{Figures, Statistics},
    store::Settlement,
    tags::Tags,
};

/// Who was told of the end of an attempt: each place is told once, by the first gate that records there.
#[derive(Debug, Default)]
pub(super) struct Told(SmallVec<[Statistics; 1]>);

impl Told {
    /// Records how an attempt that left has ended, where `gate` records; and whether it pays for something beside what
    /// its settlement holds.
    pub(super) fn ended(
        &mut self,
        (gate, recorder): (&Gate, Option<&Statistics>),
        (tags, reserved): (&Tags, &Demand),
        settlement: &Settlement,
        is_final: bool,
        pays_beside: bool,
    ) {
        let Some(statistics) = recorder else {
            return;
        };
        if self.0.iter().any(|other| other.is(statistics)) {
            return;
        }
        let figures = match settlement {
            Settlement::Usage(usage) => {
                let used_nothing = usage.input == 0 && usage.output == 0;
                let is_priced =
                    used_nothing || usage.cost > Some(Money::ZERO) || gate.has_price(tags);
                Figures::used(usage, is_final, is_priced && !pays_beside)
            }
            Settlement::Unknown => Figures::reserved(reserved, gate.has_price(tags)),
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
