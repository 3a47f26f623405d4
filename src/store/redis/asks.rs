//! What those of this process have asked for who wait, and have not heard of yet.

use std::collections::HashMap;

use crate::{
    error::StoreError,
    limit::{LimitKey, Limits},
    store::{Claim, MemoryStore, NotNow, Standing, Store as _},
};

#[derive(Debug, Default)]
pub(super) struct Asks {
    /// By the number of the one that waits.
    each: HashMap<u64, Vec<(LimitKey, u64)>>,
    all: HashMap<LimitKey, u64>,
}

impl Asks {
    /// One has asked.
    pub(super) fn put(&mut self, number: u64, claim: &Claim, limits: &Limits) {
        self.answered(number);
        let asks = needs(claim, limits);
        for (key, amount) in &asks {
            *self.all.entry(key.clone()).or_default() += amount;
        }
        self.each.insert(number, asks);
    }

    /// It was answered.
    pub(super) fn answered(&mut self, number: u64) {
        for (key, amount) in self.each.remove(&number).into_iter().flatten() {
            if let Some(all) = self.all.get_mut(&key) {
                *all = all.saturating_sub(amount);
                if *all == 0 {
                    self.all.remove(&key);
                }
            }
        }
    }

    /// How much of a count was asked for.
    pub(super) fn of(&self, key: &LimitKey) -> u64 {
        self.all.get(key).copied().unwrap_or_default()
    }

    /// How counts stand to a claim, if all that was asked for were granted.
    pub(super) fn beside(
        &self,
        store: &MemoryStore,
        claim: &Claim,
    ) -> Result<Vec<Standing>, StoreError> {
        let mut standings = store.peek(claim).at_once()?;
        if self.all.is_empty() {
            return Ok(standings);
        }
        let asked = |key: &LimitKey| self.of(key);
        let rooms = store.rooms_beside(claim, asked);
        for standing in &mut standings {
            let both = rooms.iter().find(|(key, ..)| *key == standing.key);
            if let Some((_, _, both)) = both {
                standing.room = *both;
                standing.in_use = standing.in_use.saturating_add(asked(&standing.key));
            }
        }
        Ok(standings)
    }

    /// The count on which what was asked for leaves too little for one that finds the counts so.
    pub(super) fn lacks(&self, standings: Vec<Standing>, limits: &Limits) -> Option<NotNow> {
        if self.all.is_empty() {
            return None;
        }
        let lacks = standings.into_iter().find(|standing| {
            let asked = self.of(&standing.key);
            let used = standing.in_use.saturating_add(asked);
            let all = used.saturating_add(standing.needed);
            !standing.shadow && asked > 0 && all > limits.amount_of(&standing.key)
        })?;
        Some(NotNow {
            key: lacks.key,
            at: None,
            not_before: None,
            in_use: lacks.in_use,
            reserved: lacks.reserved,
            needed: lacks.needed,
        })
    }
}

/// How much a claim takes of each of its counts.
pub(super) fn needs(claim: &Claim, limits: &Limits) -> Vec<(LimitKey, u64)> {
    let keys = claim.keys(limits).into_iter();
    let needs = keys.filter_map(|key| {
        let most = limits.amount_of(&key);
        let amount = claim.amount(|| key.clone(), limits.rule_of(&key)?, most)?;
        Some((key, amount))
    });
    needs.collect()
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{
        limit::{Demand, Limit, NewTarget, Quantities},
        store::Answer,
        tags::Tags,
    };

    #[test]
    fn what_was_asked_for_is_not_there_until_it_was_answered() {
        let limits = Limits::new([Limit::requests(2).every(Duration::from_secs(1))]).unwrap();
        let store = MemoryStore::new(limits.clone());
        let claim = Claim {
            tags: Arc::new(Tags::new()),
            demand: Demand::default(),
            quantities: Quantities::ALL,
            repeat: false,
            new_target: NewTarget::default(),
            held: Vec::new(),
            attempt: 0,
        };
        let mut asks = Asks::default();
        let lacks = |asks: &Asks| {
            let Answer::Now(Ok(standings)) = store.peek(&claim) else {
                panic!("the memory answers at once");
            };
            asks.lacks(standings, &limits).is_some()
        };
        assert!(!lacks(&asks));
        asks.put(1, &claim, &limits);
        // Asked again it is the same.
        asks.put(1, &claim, &limits);
        assert!(!lacks(&asks));
        asks.put(2, &claim, &limits);
        assert!(lacks(&asks));
        asks.answered(1);
        asks.answered(1);
        assert!(!lacks(&asks));
        asks.answered(2);
        assert!(asks.each.is_empty() && asks.all.is_empty());
    }
}
