//! What becomes of attempts, for statistics.

use std::sync::Arc;

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

/// Where it is recorded what becomes of attempts: each place once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Option<Arc<[Statistics]>>);

impl Places {
    /// There too.
    pub(crate) fn with(mut self, statistics: Statistics) -> Self {
        self.add(&Places(Some([statistics].into())));
        self
    }

    /// There too.
    pub(crate) fn add(&mut self, others: &Places) {
        let Some(theirs) = &others.0 else {
            return;
        };
        let Some(ours) = &self.0 else {
            self.0 = Some(theirs.clone());
            return;
        };
        if Arc::ptr_eq(ours, theirs) {
            return;
        }
        let new = theirs
            .iter()
            .filter(|other| !ours.iter().any(|one| one.is(other)));
        let mut new = new.cloned().peekable();
        if new.peek().is_some() {
            self.0 = Some(ours.iter().cloned().chain(new).collect());
        }
    }

    /// Whether there is any.
    pub(crate) fn are_there(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Statistics> {
        self.0.as_deref().unwrap_or_default().iter()
    }
}

/// Who was told of the end of an attempt: each place is told once, by the first gate that records there.
#[derive(Debug, Default)]
pub(super) struct Told(SmallVec<[Statistics; 1]>);

impl Told {
    /// Records in these places how an attempt that left has ended, as `gate` sees it; and whether it pays for something
    /// beside what its settlement holds.
    pub(super) fn ended(
        &mut self,
        (gate, places): (&Gate, &Places),
        (tags, reserved): (&Tags, &Demand),
        settlement: &Settlement,
        is_final: bool,
        pays_beside: bool,
    ) {
        for statistics in places.iter() {
            if self.0.iter().any(|other| other.is(statistics)) {
                continue;
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
