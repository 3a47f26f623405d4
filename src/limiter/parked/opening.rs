//! When a cooldown is over: those who waited for it leave in groups that grow, not all in one instant.
//!
//! Whoever told them to wait may have no room for all of them yet. If it says so to one of the first, the rest waits on. If it
//! says so to the very first group, that is twice as large the next time: so nobody waits for long because nobody is served.

use std::time::Duration;

use super::{Counts, Why};
use crate::limit::{LimitKey, Tick};

/// So long after each group the next one leaves, which is twice as large: 1, 2, 4, … A thousand calls take half a second.
const EACH: Duration = Duration::from_millis(50);

/// How those go on who waited for a cooldown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    /// The size of the first group.
    first: u64,
    /// Since when it is over; `None`: it lasts.
    since: Option<Tick>,
    /// So many have been let go since then.
    gone: u64,
    /// Whether one of these was granted.
    has_granted: bool,
}

impl Opening {
    /// Before anybody has waited.
    const NEW: Opening = Opening {
        first: 1,
        since: None,
        gone: 0,
        has_granted: false,
    };

    /// When the next one may go: at once, where that is not after `now`.
    fn next(self, now: Tick) -> Tick {
        let Some(since) = self.since else {
            return now;
        };
        // The groups up to number n have 2^(n + 1) - 1 times as many together as the first.
        let group = (self.gone / self.first + 1).ilog2();
        since.after(EACH * group).max(now)
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
            let opening = parked.opening.get_or_insert(Opening::NEW);
            opening.since.get_or_insert(now);
            opening.gone += 1;
        }
    }

    /// One who was let go was granted.
    pub(in crate::limiter) fn went(&mut self, cooldown: &LimitKey) {
        let parked = self.parked.get_mut(cooldown);
        if let Some(opening) = parked.and_then(|parked| parked.opening.as_mut()) {
            opening.has_granted = true;
        }
    }

    /// One who was let go was not granted: the cooldown lasts, or has begun again.
    pub(in crate::limiter) fn lasts(&mut self, cooldown: &LimitKey) {
        let parked = self.parked.get_mut(cooldown);
        let opening = parked.and_then(|parked| parked.opening.as_mut());
        if let Some(opening) = opening {
            // But for this one, which was not granted.
            let gone = opening.gone.saturating_sub(1);
            let is_refused_at_once = opening.has_granted && gone <= opening.first;
            let times = if is_refused_at_once { 2 } else { 1 };
            *opening = Opening {
                first: opening.first.saturating_mul(times),
                ..Opening::NEW
            };
        }
    }
}
