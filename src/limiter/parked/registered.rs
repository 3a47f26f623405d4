//! For whom the store keeps room: on each count one at most, who was first there when it was refused.

use std::sync::Arc;

use super::Counts;
use crate::{
    limit::LimitKey,
    limiter::{order::Order, waiter::Waiter},
};

impl Counts {
    /// The store keeps room for one that was refused by this count. It is to, where that one is first there; nobody
    /// else is then.
    pub(in crate::limiter) fn register(
        &mut self,
        on: &LimitKey,
        waiter: &Arc<Waiter>,
        order: &Order,
    ) {
        // It may just have come from another count, where it was first.
        self.keep(waiter.place());
        let Some(parked) = self.parked.get_mut(on) else {
            return self.forgone.push(waiter.place());
        };
        let head = parked.heads.first(|a, b| order.before(a, b));
        if head.is_none_or(|head| head.place() != waiter.place()) {
            self.forgone.push(waiter.place());
        } else if let Some(before) = parked.registered.replace(waiter.clone())
            && before.place() != waiter.place()
        {
            self.forgone.push(before.place());
        }
    }

    /// Whether the store keeps room for one on this count.
    pub(in crate::limiter) fn is_registered(&self, on: &LimitKey, waiter: &Waiter) -> bool {
        let registered = self.parked.get(on).and_then(|on| on.registered.as_ref());
        registered.is_some_and(|registered| registered.place() == waiter.place())
    }

    /// Nothing is to be kept any more for one that waits on this count.
    pub(in crate::limiter) fn forgo(&mut self, on: &LimitKey, waiter: &Waiter) {
        let this = |registered: &mut Arc<Waiter>| registered.place() == waiter.place();
        let parked = self.parked.get_mut(on);
        let registered = parked.and_then(|parked| parked.registered.take_if(this));
        self.forgone.extend(registered.map(|waiter| waiter.place()));
    }

    /// Nothing is to be kept any more for anybody.
    pub(in crate::limiter) fn forgo_all(&mut self) {
        let all = self.parked.values_mut();
        let registered = all.filter_map(|parked| parked.registered.take());
        self.forgone.extend(registered.map(|waiter| waiter.place()));
    }

    /// Nothing is to be kept any more for this one, and the store is to hear of it.
    pub(in crate::limiter) fn tell(&mut self, place: u64) {
        self.forgone.push(place);
    }

    /// The store need not hear of this one: it knows, or is to go on keeping.
    pub(in crate::limiter) fn keep(&mut self, place: u64) {
        self.forgone.retain(|forgone| *forgone != place);
    }

    /// Who is registered no more, and is to be told to the store.
    pub(in crate::limiter) fn forgone(&mut self) -> &mut Vec<u64> {
        &mut self.forgone
    }
}
