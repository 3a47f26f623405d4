//! What is left for calls with certain tags.

use std::{collections::BTreeMap, sync::Arc};

use super::Limiter;
use crate::{
    limit::{Demand, Quantities, Quantity},
    store::{Answer, Claim},
    tags::Tags,
};

impl Limiter {
    /// Of each quantity that limits for these tags count, what is left under that which has least of it, limits that only
    /// watch aside; what is reserved is not left. By what is known here: `None` where the store would have to be waited for.
    pub(crate) fn remaining(&self, tags: &Arc<Tags>) -> Option<BTreeMap<Quantity, u64>> {
        let claim = Claim {
            tags: tags.clone(),
            demand: Demand::default(),
            quantities: Quantities::ALL,
            repeat: false,
            held: Vec::new(),
            attempt: 0,
        };
        let Answer::Now(Ok(standings)) = self.shared.store.look(&claim) else {
            return None;
        };
        let limits = self.limits();
        let mut least = BTreeMap::new();
        for standing in standings.iter().filter(|standing| !standing.shadow) {
            // A cooldown has none, and counts nothing.
            let Some(rule) = limits.rule_of(&standing.key) else {
                continue;
            };
            // A slice of one that paces it: there is room again in a moment.
            if rule.limit.whole.is_some() {
                continue;
            }
            let left = limits.amount_of(&standing.key);
            let left = left.saturating_sub(standing.in_use);
            let least = least.entry(rule.limit.quantity).or_insert(left);
            *least = left.min(*least);
        }
        Some(least)
    }
}
