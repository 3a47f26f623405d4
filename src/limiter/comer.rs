//! A claim as the queue sees it.

use super::{Shared, Turn, order::Comer, owners::Shares};
use crate::{
    limit::{LimitKey, micros},
    store::Claim,
};

/// What a claim needs under the limits that hold.
pub(super) struct Wants {
    /// The counts that it takes from.
    pub(super) keys: Vec<LimitKey>,
    /// How much of each of them.
    pub(super) needs: Box<[u64]>,
    /// How much there is of each of them.
    pub(super) most: Vec<u64>,
    pub(super) shares: Option<Shares>,
    /// The [version](crate::limit::Limits::version) of those limits.
    pub(super) version: u32,
}

impl Shared {
    /// What a claim needs under the limits that hold now.
    pub(super) fn wants(&self, claim: &Claim) -> Wants {
        // Should they change in between, the version is the earlier: whoever takes it for old asks again.
        let limits = self.limits();
        let keys = self.store.keys(claim);
        let need = |key: &LimitKey| {
            let rule = limits.rule_of(key)?;
            claim.amount(|| key.clone(), rule, limits.amount_of(key))
        };
        Wants {
            needs: keys
                .iter()
                .map(|key| need(key).unwrap_or_default())
                .collect(),
            most: keys.iter().map(|key| limits.amount_of(key)).collect(),
            shares: self.shares_of(claim, &limits),
            version: limits.version(),
            keys,
        }
    }

    /// Whether a comer needs more of one of its counts than that ever holds.
    pub(super) fn never_fits(&self, keys: &[LimitKey], comer: &Comer) -> bool {
        let limits = self.store.limits();
        let mut needs = keys.iter().zip(&comer.needs);
        needs.any(|(key, need)| *need > limits.amount_of(key))
    }

    /// The counts that a claim takes from, and who comes.
    pub(super) fn comer(&self, claim: &Claim, turn: Turn) -> (Vec<LimitKey>, Comer) {
        let Wants {
            keys,
            needs,
            most,
            shares,
            version,
        } = self.wants(claim);
        let agent = self.options.party(&claim.tags);
        let size = self.options.size(&agent, needs.iter().copied().zip(most));
        let signed = |span| i64::try_from(micros(span)).unwrap_or(i64::MAX);
        let arrival = match turn.arrived.checked_duration_since(self.start) {
            Some(after) => signed(after),
            None => -signed(self.start.duration_since(turn.arrived)),
        };
        let Turn {
            order,
            priority,
            start,
            ..
        } = turn;
        let comer = Comer {
            priority,
            arrival,
            order,
            start,
            agent,
            size,
            needs,
            shares,
            below: false,
            version,
        };
        (keys, comer)
    }
}
