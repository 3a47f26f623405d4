//! A no of the store, in the words that the caller hears.

use std::time::Duration;

use tokio::time::Instant;

use super::Shared;
use crate::{
    error::{Rejection, Shortage, StoreError},
    store::NotNow,
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
        let limits = self.store.limits_now();
        Shortage {
            limit: limits.describe(&refused.key),
            in_use: refused.in_use,
            needed: refused.needed,
            // Where nothing is certain, when it is worth another try.
            retry_after: refused
                .not_before
                .or(refused.at)
                .map(|at| at.since(self.store.now())),
            amount: limits
                .rule_of(&refused.key)
                .map(|_| limits.amount_of(&refused.key)),
            period: limits.period_of(&refused.key),
        }
    }

    pub(super) fn never(&self, refused: &NotNow) -> Rejection {
        let limit = self.store.limits_now().amount_of(&refused.key);
        let shortage = self.shortage(refused);
        if refused.needed > limit {
            Rejection::NeverFits(shortage)
        } else {
            Rejection::RunUsedUp(shortage)
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
        late.then(|| Rejection::DeadlineExceeded(self.shortage(refused)))
    }
}
