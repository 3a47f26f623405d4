//! A layer that claims.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Ended, Input, Pricing};
use crate::{
    limit::{Quantities, Quantity},
    limiter::{Limiter, Turn},
    store::Settlement,
    tags::Tags,
};

/// A layer that claims: under which limiter, what it looks at, and whether it waits.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) limiter: Limiter,
    pub(crate) quantities: Quantities,
    pub(crate) wait: bool,
    /// For how long at most; `None`: as long as the caller does.
    pub(super) patience: Option<Duration>,
    /// By which prices, where it looks at cost.
    pub(super) pricing: Option<Arc<Pricing>>,
    /// How many of our layers are around it, itself included.
    pub(super) depth: u32,
}

impl Gate {
    pub(crate) fn new(limiter: Limiter, quantities: Quantities, wait: bool) -> Self {
        Gate {
            limiter,
            quantities,
            wait,
            patience: None,
            pricing: None,
            depth: 0,
        }
    }

    /// This gate, waiting for so long at most.
    pub(crate) fn patient(mut self, span: Duration) -> Self {
        self.patience = Some(span);
        self
    }

    /// This gate, which looks at cost, by these prices.
    pub(crate) fn priced(mut self, pricing: Pricing) -> Self {
        self.pricing = Some(Arc::new(pricing));
        self
    }

    /// How an attempt under these tags ended, with what it cost, where this gate looks at that.
    pub(super) fn settlement(&self, tags: &Tags, ended: &Ended) -> Settlement {
        let ended = self.calibrated(tags, *ended);
        match &self.pricing {
            Some(pricing) => pricing.settlement(tags, &ended),
            None => ended.settlement,
        }
    }

    /// With what estimates come to, where its input was estimated.
    fn calibrated(&self, tags: &Tags, mut ended: Ended) -> Ended {
        if let (Input::Estimated(estimate), Settlement::Usage(usage)) =
            (ended.input, &mut ended.settlement)
        {
            let rest = usage.input.saturating_sub(estimate);
            usage.input = rest.saturating_add(self.limiter.calibrated(tags, estimate));
        }
        ended
    }

    /// Learns from how an attempt ended what estimates come to.
    pub(super) fn learn(&self, tags: &Tags, ended: &Ended) {
        let counts_input = self.quantities.contain(Quantity::InputTokens);
        if let (true, Input::Reported { estimate, used }) = (counts_input, ended.input) {
            self.limiter.learn_estimate(tags, estimate, used);
        }
    }

    /// Whether it looks at budgets that refuse calls with these tags.
    pub(super) fn acts_as_budget(&self, tags: &Tags) -> bool {
        self.pricing.is_some() && self.limiter.limits().have_budgets(tags)
    }

    /// A turn of no longer than it waits.
    pub(super) fn turn(&self, turn: Turn, from: Instant) -> Turn {
        let until = self.patience.and_then(|span| from.checked_add(span));
        Turn {
            deadline: turn.deadline.into_iter().chain(until).min(),
            ..turn
        }
    }

    /// Whether a claim for the one serves the other.
    pub(super) fn same_count(&self, other: &Gate) -> bool {
        self.limiter.is(&other.limiter) && self.quantities == other.quantities
    }
}
