//! When a cooldown is over: those who waited for it leave in groups that grow, not all in one instant.
//!
//! Whoever told them to wait may have no room for all of them yet. If it says so to one of the first, the rest waits on.

use std::time::Duration;

use super::{Counts, Why};
use crate::limit::{LimitKey, Tick};

/// So long after each group the next one leaves, which is twice as large: 1, 2, 4, … A thousand calls take half a second.
const EACH: Duration = Duration::from_millis(50);

/// A cooldown that is over, as far as those know who waited for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    since: Tick,
    /// So many have been let go.
    gone: u64,
}

impl Opening {
    /// When the next one may go: at once, where that is not after `now`.
    fn next(self, now: Tick) -> Tick {
        // The groups up to number n have 2^(n + 1) - 1 calls together.
        let group = (self.gone + 1).ilog2();
        self.since.after(EACH * group).max(now)
    }
}

impl Counts {
    /// Whether the next one who waited for this cooldown has to wait for its group. The count is looked at again then.
    pub(in crate::limiter) fn holds_on(&mut self, cooldown: &LimitKey, now: Tick) -> bool {
        let opening = self.parked.get(cooldown).and_then(|parked| parked.opening);
        let next = opening.map_or(now, |opening| opening.next(now));
        if next > now {
            self.set(cooldown, Why::Room, next);
        }
        next > now
    }

    /// One who waited for this cooldown is let go.
    pub(in crate::limiter) fn lets_go(&mut self, cooldown: &LimitKey, now: Tick) {
        if let Some(parked) = self.parked.get_mut(cooldown) {
            let first = Opening {
                since: now,
                gone: 0,
            };
            parked.opening.get_or_insert(first).gone += 1;
        }
    }

    /// It was not: the cooldown lasts, or has begun again.
    pub(in crate::limiter) fn lasts(&mut self, cooldown: &LimitKey) {
        if let Some(parked) = self.parked.get_mut(cooldown) {
            parked.opening = None;
        }
    }
}
