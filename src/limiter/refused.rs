//! A no of the store, in the words that the caller hears.

use std::time::Duration;

use tokio::time::Instant;

use super::Shared;
use crate::{
    error::{Rejection, Shortage, StoreError, Unit},
    limit::{Limit, Limits, Rule},
    store::{Claim, NotNow},
};

/// A claim that was not granted at once.
pub(crate) enum Refused {
    /// There may be room later.
    NotNow(NotNow),
    /// There is nothing to wait for.
    Rejected(Rejection),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Refused::Rejected(error.into())
    }
}

impl Shared {
    pub(super) fn shortage(&self, refused: &NotNow) -> Shortage {
        let limits = self.store.limits();
        Shortage {
            limit: limits.describe(&refused.key),
            unit: limits.unit_of(&refused.key),
            in_use: refused.in_use,
            reserved: refused.reserved,
            needed: refused.needed,
            // If nothing is given back before: where that is not certain, then it is worth another try.
            retry_after: refused
                .not_before
                .max(refused.at)
                .map(|at| at.since(self.store.now())),
            amount: limits
                .rule_of(&refused.key)
                .map(|_| limits.amount_of(&refused.key)),
            period: limits.period_of(&refused.key),
            of_target: limits.is_of_target(&refused.key),
            rule: limits.name_rule(&refused.key).into(),
        }
    }

    pub(super) fn never(&self, refused: &NotNow) -> Rejection {
        let limits = self.store.limits();
        let paused = limits.rule_of(&refused.key).map(|rule| &rule.limit);
        if let Some(pause) = paused.filter(|limit| limit.is_pause()) {
            return paused_by(pause);
        }
        let shortage = self.shortage(refused);
        let stops = |rule: &Rule| rule.limit.circuit;
        if refused.needed > limits.amount_of(&refused.key) {
            Rejection::NeverFits(shortage)
        } else if limits.rule_of(&refused.key).is_some_and(stops) {
            Rejection::CircuitOpen(shortage)
        } else if shortage.unit == Unit::NanoDollar {
            Rejection::BudgetExceeded(shortage)
        } else {
            Rejection::RunUsedUp(shortage)
        }
    }

    /// The refusal of a claim that is not to wait, or no longer.
    pub(super) fn not_now(&self, refused: &NotNow) -> Rejection {
        let shortage = self.shortage(refused);
        if shortage.is_spent() {
            Rejection::BudgetExceeded(shortage)
        } else {
            Rejection::RateLimited(shortage)
        }
    }

    /// The refusal of a claim that waited until its deadline, or would.
    pub(super) fn deadline_exceeded(&self, refused: &NotNow) -> Rejection {
        let shortage = self.shortage(refused);
        match shortage.unit {
            // For money nobody waits for long, whatever the caller would.
            Unit::NanoDollar => self.not_now(refused),
            _ => Rejection::DeadlineExceeded(shortage),
        }
    }

    /// The refusal of a wait that cannot end before the deadline.
    pub(super) fn too_late(
        &self,
        refused: &NotNow,
        deadline: Option<Instant>,
    ) -> Option<Rejection> {
        let at = refused.not_before;
        let wait = at.map_or(Duration::ZERO, |at| at.since(self.store.now()));
        let late = Instant::now() + wait > deadline?;
        late.then(|| self.deadline_exceeded(refused))
    }
}

/// The refusal of a claim whose tags are paused under these limits.
pub(super) fn paused(limits: &Limits, claim: &Claim) -> Option<Rejection> {
    let key = limits.pause_of(&claim.tags)?;
    limits.rule_of(&key).map(|rule| paused_by(&rule.limit))
}

fn paused_by(pause: &Limit) -> Rejection {
    Rejection::Paused {
        whose: pause.whose(),
        of_target: pause.is_of_target(),
    }
}
