//! Other limits for those who wait.

use std::sync::Arc;

use super::Queue;
use crate::{
    limit::Limits,
    limiter::{
        comer::Wants,
        waiter::{Stand, Waiter},
    },
};

impl Queue {
    /// By which limits those who come have to stand.
    pub(in crate::limiter) fn version(&self) -> u32 {
        self.limits.version()
    }

    /// Those.
    pub(in crate::limiter) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Other limits from now on. Those who wait are to [stand](Self::stand_for) by them.
    pub(in crate::limiter) fn go_by(&mut self, limits: &Limits) {
        if limits.version() > self.version() {
            self.limits = limits.clone();
        }
    }

    /// Has one that waits stand for what it needs now: with its rank, and with what it pins. Nothing where it has gone
    /// away meanwhile, or stands by later limits.
    pub(in crate::limiter) fn stand_for(&mut self, waiter: &Arc<Waiter>, wants: Wants) {
        let (keys, owner) = (self.keys(wants.keys), waiter.rank().line.owner);
        if !self.holds(waiter) || wants.version <= waiter.version() {
            return;
        }
        let stand = waiter.stand();
        let shares = self.order.owners.shares(owner);
        let same = *keys == *stand.keys && wants.needs == stand.needs;
        let same = same && shares == wants.shares.as_ref();
        drop(stand);
        let needs = wants.needs;
        let stand = Stand { keys, needs };
        if same {
            return waiter.stand_for(stand, owner, wants.version);
        }
        let due = self.pins.due(waiter).map(|(due, _)| *due);
        self.remove(waiter);
        let owner = self.order.owners.pass(owner, wants.shares.as_ref());
        waiter.stand_for(stand, owner, wants.version);
        self.enter(waiter, &waiter.refused().key, None);
        let group = self.groups.get(&waiter.stand().keys);
        if let (Some(due), Some(on)) = (due, group.map(|group| group.on.clone())) {
            self.pin(waiter, &on, due);
        }
    }
}
