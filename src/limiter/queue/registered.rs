//! For whom the store keeps room, where it does that: those who were first in turn when they were refused.

use super::Queue;
use crate::limiter::waiter::Waiter;

impl Queue {
    /// An answer was lost that may have had the store keep room for this one. It is to go on where that was known
    /// already.
    pub(in crate::limiter) fn unheard(&mut self, waiter: &Waiter) {
        let group = self.groups.get(&waiter.stand().keys);
        let known = group.is_some_and(|group| self.counts.is_registered(&group.on, waiter));
        if !known {
            self.counts.tell(waiter.place());
        }
    }

    /// Nobody asks any more for those who wait: nothing is to be kept for them until somebody does.
    pub(in crate::limiter) fn forgo_all(&mut self) {
        self.counts.forgo_all();
    }

    /// Who is registered no more, and is to be told to the store.
    pub(in crate::limiter) fn forgone(&mut self) -> &mut Vec<u64> {
        self.counts.forgone()
    }
}
