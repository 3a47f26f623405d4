//! What is left for calls with certain tags.

use std::sync::Arc;

use super::{Answer, Claim, MemoryStore, Store};
use crate::{
    limit::{Demand, NewTarget, Quantities, Quantity, Rule},
    tags::Tags,
};

/// What is left of each quantity that limits count, under the limit that has least of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remaining([Option<u64>; Quantity::EACH.len()]);

impl Remaining {
    /// Returns what is left of this quantity. `None` if no limit counts it.
    #[must_use]
    pub fn of(&self, quantity: Quantity) -> Option<u64> {
        self.0[quantity as usize]
    }

    /// Returns the quantities that limits count, with what is left of each.
    pub fn iter(&self) -> impl Iterator<Item = (Quantity, u64)> + '_ {
        let each = Quantity::EACH.into_iter().zip(self.0);
        each.filter_map(|(quantity, left)| Some((quantity, left?)))
    }

    /// Takes in what is left of this quantity under one more limit.
    pub fn add(&mut self, quantity: Quantity, left: u64) {
        let least = &mut self.0[quantity as usize];
        *least = Some(least.map_or(left, |least| least.min(left)));
    }

    /// The same, where the limit may refuse anything, and is no slice of one that paces it: of that there is more in a moment.
    pub(super) fn add_of(&mut self, rule: &Rule, left: impl FnOnce() -> u64) {
        let limit = &rule.limit;
        if !limit.shadow && limit.whole.is_none() {
            self.add(limit.quantity, left());
        }
    }
}

impl MemoryStore {
    pub(super) fn what_remains(&self, tags: &Tags) -> Remaining {
        let state = &mut *self.lock();
        let now = self.now();
        state.counts.sweep_if_grown(&state.limits, || now);
        let mut remaining = Remaining::default();
        self.each_count(state, tags, now, |_, rule, count| {
            remaining.add_of(rule, || {
                count.expire(rule, now);
                let in_use = count.in_use_of_all(rule, now);
                count.amount().saturating_sub(in_use)
            });
        });
        remaining
    }
}

/// What a store says that looks at its counts one by one; nothing, where it would have to be waited for.
pub(super) fn by_look(store: &(impl Store + ?Sized), tags: &Arc<Tags>) -> Option<Remaining> {
    let claim = Claim {
        tags: tags.clone(),
        demand: Demand::default(),
        quantities: Quantities::ALL,
        repeat: false,
        new_target: NewTarget::default(),
        held: Vec::new(),
        attempt: 0,
    };
    let Answer::Now(Ok(standings)) = store.look(&claim) else {
        return None;
    };
    let limits = store.limits();
    let mut remaining = Remaining::default();
    for standing in &standings {
        // A cooldown has no rule, and counts nothing.
        if let Some(rule) = limits.rule_of(&standing.key) {
            let amount = || limits.amount_of(&standing.key);
            remaining.add_of(rule, || amount().saturating_sub(standing.in_use));
        }
    }
    Some(remaining)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        limit::{Limit, Limits},
        money::Money,
        tags::Tag,
        usage::Usage,
    };

    /// Whether it is asked for at once or one by one.
    #[tokio::test(start_paused = true)]
    async fn it_is_the_least_of_each_quantity_however_it_is_asked_for() {
        let minute = Duration::from_secs(60);
        let limits = [
            Limit::requests(10).every(minute),
            Limit::requests(3).every(minute).per(Tag::Agent),
            Limit::requests(1).every(minute).shadow(),
            Limit::tokens(1).every(minute).when(Tag::Model, "other"),
            Limit::cost(Money::from_dollars(2)).every(minute),
        ];
        let store = MemoryStore::new(Limits::new(limits).unwrap());
        let tags = |agent| Arc::new(Tags::new().with(Tag::Agent, agent));
        let mut usage = Usage::new(5, 5);
        usage.cost = Some(Money::from_nanos(7));
        for _ in 0..2 {
            store.record(&tags("a"), usage).get().await.unwrap();
        }
        let left = |agent| {
            let remaining = store.remaining(&tags(agent)).unwrap();
            assert_eq!(by_look(&store, &tags(agent)), Some(remaining));
            remaining.iter().collect::<Vec<_>>()
        };
        let cost = (Quantity::Cost, 2_000_000_000 - 14);
        assert_eq!(left("a"), [(Quantity::Requests, 1), cost]);
        assert_eq!(left("b"), [(Quantity::Requests, 3), cost]);
        for _ in 0..7 {
            store
                .record(&tags("c"), Usage::new(1, 1))
                .get()
                .await
                .unwrap();
        }
        assert_eq!(left("c"), [(Quantity::Requests, 0), cost], "it is in debt");
        assert_eq!(left("b"), [(Quantity::Requests, 1), cost]);
        tokio::time::advance(2 * minute).await;
        let all = (Quantity::Cost, 2_000_000_000);
        assert_eq!(left("c"), [(Quantity::Requests, 3), all]);
    }
}
