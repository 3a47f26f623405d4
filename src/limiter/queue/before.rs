//! How many, and how much, stand before a comer.

use std::sync::Arc;

use super::{Group, Queue};
use crate::{
    limit::LimitKey,
    limiter::{
        heads::Heads,
        order::{Comer, Line, Rank, Surely},
        waiter::Waiter,
    },
};

/// Of so many groups on a count it is looked at how much they need.
const GROUPS: usize = 256;

impl Queue {
    /// How much of each of its counts goes for sure to others before this comer: to those of its own group, and
    /// to those who wait on that count. Where these are of very many groups, it looks at the first of them.
    pub(in crate::limiter) fn demand_before(&self, keys: &[LimitKey], comer: &Comer) -> Vec<u128> {
        self.demand_before_rank(keys, self.order.rank(comer))
    }

    /// The same of one that waits.
    pub(in crate::limiter) fn demand_before_rank(
        &self,
        keys: &[LimitKey],
        rank: Rank,
    ) -> Vec<u128> {
        let mut sums = vec![0; keys.len()];
        if let Some(own) = self.groups.get(keys) {
            for line in own.waiters.lines() {
                let needs = self.needs_before(own, line, rank);
                sums.iter_mut()
                    .zip(needs)
                    .for_each(|(sum, need)| *sum += need);
            }
        }
        for (key, sum) in keys.iter().zip(&mut sums) {
            let heads = self.counts.heads(key).into_iter().flat_map(Heads::all);
            let others = heads.filter(|head| *head.stand().keys != *keys);
            for head in others.take(GROUPS) {
                let stand = head.stand();
                let group = self.groups.get(&stand.keys).expect("a head is of a group");
                let needs = self.needs_before(group, head.rank().line, rank);
                let place = stand.keys.iter().position(|other| other == key);
                let need = place.and_then(|place| needs.get(place));
                *sum += need.copied().unwrap_or_default();
            }
        }
        sums
    }

    /// What those of a line in a group need who go before a rank for sure.
    fn needs_before(&self, group: &Group, line: Line, rank: Rank) -> Vec<u128> {
        match self.order.surely_before(line, rank) {
            Surely::All => group.demand.of_line(line),
            Surely::ByTheirSeats => group.demand.before(line, rank.seat, &group.waiters),
            Surely::Nobody => Vec::new(),
        }
    }

    /// The count on which one waits; `None`: it waits no more.
    pub(in crate::limiter) fn parked_on(&self, waiter: &Waiter) -> Option<LimitKey> {
        let group = self.groups.get(&waiter.stand().keys)?;
        let waits = group.waiters.holds(waiter.rank());
        waits.then(|| group.on.clone())
    }

    /// Whether anybody waits on a count, or pins it, who goes before this comer.
    pub(in crate::limiter) fn is_behind(&self, key: &LimitKey, comer: &Comer) -> bool {
        let rank = self.order.rank(comer);
        let head = self.counts.head(key, &self.order);
        let mut first = head.into_iter().chain(self.pins.on(key));
        first.any(|waiter| self.order.before(waiter.rank(), rank))
    }

    /// How many wait on a count, or pin it, who go before this comer. Looks at everybody who waits.
    pub(in crate::limiter) fn ahead(&self, key: &LimitKey, comer: &Comer) -> usize {
        self.ahead_of_rank(key, self.order.rank(comer))
    }

    /// The same of one that waits.
    pub(in crate::limiter) fn ahead_of_rank(&self, key: &LimitKey, rank: Rank) -> usize {
        let groups = self.groups.values().filter(|group| group.on == *key);
        let waiters = groups.flat_map(|group| group.waiters.all());
        let elsewhere = |pins: &&Arc<Waiter>| {
            let group = self.groups.get(&pins.stand().keys);
            group.is_some_and(|group| group.on != *key)
        };
        let waiters = waiters.chain(self.pins.on(key).filter(elsewhere));
        waiters
            .filter(|waiter| self.order.before(waiter.rank(), rank))
            .count()
    }
}
