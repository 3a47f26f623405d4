//! Whom to try next on a count.

use std::sync::Arc;

use super::Queue;
use crate::{
    limit::{LimitKey, Tick},
    limiter::{claimed::Claimed, pins::Kept, waiter::Waiter},
};

/// What to do with the head of a count.
#[derive(Debug)]
pub(in crate::limiter) enum Next {
    /// Nobody waits there.
    Nobody,
    /// The head waits for something else first, and its group is parked there now. Look again.
    Moved,
    /// Try this one, who is first in turn, if it leaves so much room.
    Try(Arc<Waiter>, Vec<Kept>),
    /// Try this one, who is first when all are granted that are asked for.
    TryBehind(Arc<Waiter>, Vec<Kept>),
    /// Nobody, until one is answered that is asked for on this count, or until a cooldown lets the next group go.
    Wait,
    /// Nobody, until this one is answered, which is asked for on another count.
    WaitFor(u64),
}

impl Queue {
    /// The head of a count, unless it has to wait behind another one elsewhere. `claimed`: who is asked for already.
    pub(in crate::limiter) fn next_on(
        &mut self,
        key: &LimitKey,
        now: Tick,
        claimed: &Claimed,
    ) -> Next {
        if !key.is_cooldown() {
            return self.next_in_turn(key, now, claimed);
        }
        if self.counts.holds_on(key, now) {
            return Next::Wait;
        }
        let next = self.next_in_turn(key, now, claimed);
        if matches!(next, Next::Try(..) | Next::TryBehind(..)) {
            self.counts.lets_go(key, now);
        }
        next
    }

    fn next_in_turn(&mut self, key: &LimitKey, now: Tick, claimed: &Claimed) -> Next {
        if claimed.is_busy(key) {
            return self.next_behind(key, now, claimed);
        }
        let Some(head) = self.next_head(key, now) else {
            return Next::Nobody;
        };
        if claimed.lane_of(head.place()).is_some() {
            return Next::WaitFor(head.place());
        }
        let stand = head.stand();
        let blocker = self.blocker(&stand.keys, head.rank());
        match blocker.map(|(key, blocker)| (key.clone(), blocker.place())) {
            Some((_, place)) if claimed.lane_of(place).is_some() => Next::WaitFor(place),
            Some((other, _)) => {
                self.park(&stand.keys, &other);
                drop(stand);
                head.moved();
                self.pin(&head, &other, now);
                Next::Moved
            }
            None => {
                let kept = self.kept((&stand.keys, &stand.needs), head.rank(), now);
                drop(stand);
                Next::Try(head, kept)
            }
        }
    }
}
