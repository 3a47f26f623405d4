//! Whether a claim leaves the room that is kept for those who go before it.

use std::sync::Arc;

use super::{Shared, pins::Kept};
use crate::{
    error::StoreError,
    limit::{Demand, Limit, LimitKey, NewTarget, Quantities, Quantity, Room, Tick},
    store::{Claim, NotNow, Standing},
};

impl Shared {
    /// The first count of which the claim would take room that is kept for another.
    ///
    /// Asked before the claim is made: where another claim comes in between, the room may be short by that
    /// one, and whoever it is kept for waits for that longer.
    pub(super) async fn takes_what_is_kept(
        self: &Arc<Self>,
        claim: &Claim,
        kept: &[Kept],
    ) -> Result<Option<NotNow>, StoreError> {
        if kept.is_empty() {
            return Ok(None);
        }
        let limits = self.store.limits();
        for kept in kept {
            let Some(rule) = limits.rule_of(&kept.key) else {
                continue;
            };
            let both = one_of(claim, &rule.limit, kept.amount);
            let standings = self.get(self.store.look(&both)).await?;
            let standing = standings.iter().find(|standing| standing.key == kept.key);
            if let Some(standing) =
                standing.filter(|standing| !self.has_room(&rule.limit, standing, kept))
            {
                // It may go when the pin ends, or before, when there is room for both.
                let both = match standing.room {
                    Room::At(at) => Some(at),
                    _ => None,
                };
                let at = [both, kept.until].into_iter().flatten().min();
                return Ok(Some(behind(kept.key.clone(), at)));
            }
        }
        Ok(None)
    }

    fn has_room(&self, limit: &Limit, standing: &Standing, kept: &Kept) -> bool {
        if limit.quantity == Quantity::Concurrency {
            let most = self.store.limits().amount_of(&kept.key);
            return standing.in_use.saturating_add(kept.amount) <= most;
        }
        match standing.room {
            Room::Now => true,
            Room::At(at) => at <= kept.at,
            Room::WhenGivenBack | Room::Never => false,
        }
    }
}

/// A claim under the same tags that needs just so much of one limit, by whatever rule that is charged.
pub(super) fn one_of(claim: &Claim, limit: &Limit, amount: u64) -> Claim {
    Claim {
        tags: claim.tags.clone(),
        demand: demand(limit.quantity, amount),
        quantities: Quantities::from_iter([limit.quantity]),
        repeat: false,
        new_target: NewTarget::default(),
        held: Vec::new(),
        attempt: 0,
    }
}

fn demand(quantity: Quantity, amount: u64) -> Demand {
    let none = Demand {
        requests: 0,
        ..Demand::default()
    };
    match quantity {
        Quantity::Requests => Demand {
            requests: amount,
            ..none
        },
        Quantity::OutputTokens => Demand {
            output: amount,
            ..none
        },
        Quantity::Cost => Demand {
            cost: amount,
            ..none
        },
        Quantity::Tokens | Quantity::InputTokens | Quantity::Concurrency => Demand {
            input: amount,
            ..none
        },
    }
}

/// The refusal of a claim that was not tried, because others go before it. `at`: when they may not any more.
pub(super) fn behind(key: LimitKey, at: Option<Tick>) -> NotNow {
    NotNow {
        key,
        at,
        not_before: None,
        in_use: 0,
        reserved: 0,
        needed: 0,
    }
}
