//! Who is below a guaranteed share at this moment: the store knows.

use std::{collections::HashMap, sync::Arc};

use super::{Shared, Turn, keep::one_of, order::Comer, owners::Shares};
use crate::{
    error::StoreError,
    limit::{Around, LimitKey, Limits, Room, Tick},
    store::Claim,
};

/// How an owner stands to its shares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// Whether it uses less than its share of each.
    pub(super) below: bool,
    /// Otherwise when it will, if it takes nothing until then; `None` where nobody can say.
    at: Option<Tick>,
}

impl Shared {
    /// The counts of the shares that a claim takes from.
    pub(super) fn shares_of(&self, claim: &Claim, limits: &Limits) -> Option<Shares> {
        if !limits.have_shares() {
            return None;
        }
        let around = Around::of(&claim.tags);
        let mut shares: Vec<LimitKey> = Vec::new();
        for (place, rule) in limits.shares(&claim.tags) {
            for tags in around.under(&rule.limit) {
                let key = LimitKey::of(place, &rule.limit, tags);
                let amount = claim.amount(|| key.clone(), rule, limits.amount_of(&key));
                shares.extend((amount > Some(0)).then_some(key));
            }
        }
        (!shares.is_empty()).then(|| shares.into())
    }

    /// A claim as the queue sees it at this moment, and so those who wait for what it needs.
    pub(super) async fn comer_now(
        self: &Arc<Self>,
        claim: &Claim,
        turn: Turn,
    ) -> Result<(Vec<LimitKey>, Comer), StoreError> {
        let (keys, mut comer) = self.comer(claim, turn);
        if let Some(shares) = comer.shares.clone() {
            comer.below = self.standing(claim, &shares).await?.below;
            self.note_below(&shares, comer.below);
        }
        self.look_at_shares(&keys).await?;
        Ok((keys, comer))
    }

    /// Notes whether an owner is below its shares. The drivers are told at once where that is new: whoever
    /// asks may go away at the next await. Returns whether it is new.
    fn note_below(&self, shares: &Shares, below: bool) -> bool {
        let new = self.queue().note_below(shares, below);
        if new {
            self.changed.send_replace(());
        }
        new
    }

    /// Asks the store how those stand to their shares who are first on one of these counts. Returns whether
    /// anybody goes first now who did not, or not any more.
    pub(super) async fn look_at_shares(
        self: &Arc<Self>,
        keys: &[LimitKey],
    ) -> Result<bool, StoreError> {
        if !self.store.limits().have_shares() {
            return Ok(false);
        }
        let (mut known, mut changed) = (HashMap::new(), false);
        for key in keys {
            let owners = self.queue().owners_on(key);
            let mut wake: Option<Tick> = None;
            for (owner, shares, waiter) in owners {
                let standing = match known.get(&owner) {
                    Some(standing) => *standing,
                    None => self.standing(&waiter.claim, &shares).await?,
                };
                known.insert(owner, standing);
                changed |= self.note_below(&shares, standing.below);
                wake = [wake, standing.at].into_iter().flatten().min();
            }
            if wake.is_some_and(|at| self.queue().set_wake(key, at)) {
                // A driver may sleep for longer than that.
                self.changed.send_replace(());
            }
        }
        Ok(changed)
    }

    /// How whoever makes this claim stands to its shares: whether there is room for one more.
    async fn standing(
        self: &Arc<Self>,
        claim: &Claim,
        shares: &Shares,
    ) -> Result<Standing, StoreError> {
        let (mut last, limits) = (Room::Now, self.store.limits());
        for share in shares.iter() {
            let Some(rule) = limits.rule_of(share) else {
                continue;
            };
            let one = one_of(claim, &rule.limit, 1);
            let standings = self.get(self.store.peek(&one)).await?;
            let counts = standings.iter();
            let counts = counts.filter(|count| count.key.limit() == share.limit());
            last = counts.fold(last, |last, count| last.max(count.room));
        }
        let at = match last {
            Room::At(at) => Some(at),
            _ => None,
        };
        Ok(Standing {
            below: last == Room::Now,
            at,
        })
    }
}
