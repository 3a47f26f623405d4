//! A no of the store, in the words that the caller hears.

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
            retry_after: refused.not_before.map(|at| at.since(self.store.now())),
            amount: Some(limits.amount_of(&refused.key)),
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
        let shortage = self.shortage(refused);
        let end = Instant::now() + shortage.retry_after.unwrap_or_default();
        (end > deadline?).then_some(Rejection::DeadlineExceeded(shortage))
    }
}
