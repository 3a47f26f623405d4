//! Room that is taken ahead: who asks the server once in a while only, and then for what it may send until it asks again.
//!
//! Slices of each window, to be handed out by the process itself, would take more than is used, and from others; a claim that
//! is granted for an instant to come takes what it needs, and is decided as any other.

use std::time::Duration;

use super::{
    asks::needs,
    entry::{Entry, Op},
    line::Who,
    shared::{Shared, State},
};
use crate::{
    limit::{LimitKey, Room, Tick, micros},
    store::{Claim, NotNow, Standing, Store as _, asked::Asked},
};

/// When something is to be done after a rest, the second round trip follows the first after this part of a lease, and each
/// after twice as long as the one before, up to a lease.
const BEGINS: u32 = 16;

/// How often the server is asked.
#[derive(Debug)]
pub(super) struct Pace {
    lease: Duration,
    gap: Duration,
}

impl Pace {
    pub(super) fn new(lease: Duration) -> Self {
        Pace {
            lease,
            gap: Duration::ZERO,
        }
    }

    /// Whether room is taken ahead.
    pub(super) fn leases(&self) -> bool {
        !self.lease.is_zero()
    }

    /// The server is asked now, after so long.
    pub(super) fn asks(&mut self, since: Duration) {
        self.gap = match since > self.lease + self.lease / 2 {
            true => self.lease / BEGINS,
            false => (self.gap * 2).clamp(self.lease / BEGINS, self.lease),
        };
    }

    /// How long it is until it is to be asked, `since` after it was.
    pub(super) fn rest(&self, state: &State, shared: &Shared, since: Duration) -> Duration {
        if shared.given().is_some() {
            return Duration::ZERO;
        }
        if self.gap < self.lease || state.waiting.is_empty() {
            return self.gap.saturating_sub(since);
        }
        let (place, processes) = state.replica.place_of(shared.me);
        let last = state.now().as_micros().saturating_sub(micros(since));
        let next = turn(last, micros(self.lease), (place, processes));
        Duration::from_micros(next - last).saturating_sub(since)
    }
}

/// When a process asks that has asked at `last`: each has a place in the span of a lease, as far from that of one as from
/// that of another. So the room that comes in a span goes to all of them in equal parts, as far as they want it.
fn turn(last: u64, lease: u64, (place, processes): (u64, u64)) -> u64 {
    let lease = lease.max(1);
    let own = lease * place / processes.max(1);
    let earliest = last + lease / 2;
    let over = (earliest + lease - own % lease) % lease;
    earliest + (lease - over) % lease
}

impl Shared {
    /// As [`foresee`](Self::foresee), where room is taken ahead: whoever may be granted it when the server is asked next
    /// asks for it.
    pub(super) fn foresee_ahead(
        &self,
        state: &State,
        claim: &Claim,
        (who, first): (Who, bool),
        lease: u64,
    ) -> Option<NotNow> {
        let replica = &state.replica;
        if !replica.store().knows(&claim.tags) || (first && !replica.stands(who)) {
            return None;
        }
        let (standings, harm) = replica.sees(claim, (who, first), lease)?;
        if let Some(harm) = harm {
            return Some(harm.refusal(standings));
        }
        let refusal = Standing::refusal(&standings).map(|(_, refused)| refused);
        let Some(reach) = replica.reach(&standings, lease) else {
            return refusal;
        };
        let made = match self.given() {
            Some(at) => at.tick,
            None => replica.at().tick.after_micros(lease),
        };
        let last = reach.from(made);
        let late = |room: &Room| {
            !matches!(room, Room::Now) && !matches!(room, Room::At(at) if *at <= last)
        };
        if let Some(refused) = refusal
            && late(&refused.at.map_or(Room::WhenGivenBack, Room::At))
        {
            return Some(refused);
        }
        // The others who wait ask for as much.
        let waiting = replica.processes_waiting(self.me);
        let asked = |key: &LimitKey| state.asks.of(key).saturating_mul(waiting);
        let rooms = replica.store().rooms_beside(claim, asked);
        let (key, ..) = rooms.into_iter().find(|(_, _, both)| late(both))?;
        let own = standings.into_iter().find(|standing| standing.key == key)?;
        Some(NotNow {
            key,
            at: None,
            not_before: None,
            in_use: own.in_use,
            reserved: own.reserved,
            needed: own.needed,
        })
    }

    /// What follows from what this process did for what was granted along with it.
    pub(super) fn note_along(&self, state: &mut State, entry: &Entry, granted: bool) {
        match &entry.op {
            Op::Along { asked, with } if granted => {
                state.along.granted(*with, entry.number, asked.clone());
            }
            Op::Settle(number, _) | Op::Release(number) => {
                let at = self.given().map(|_| state.replica.at());
                for number in state.along.left_of(*number) {
                    self.queue_at(state, Op::Release(number), None, at);
                }
            }
            op if !granted && op.claims().is_some() => state.along.refused(entry.number),
            _ => {}
        }
    }

    /// Under which number a claim was granted already, along with what its attempt waited for.
    pub(super) fn granted_along(&self, state: &mut State, claim: &Claim) -> Option<u64> {
        if self.lease == 0 || claim.attempt == 0 {
            return None;
        }
        let limits = state.replica.store().limits();
        let (asked, needed) = (Asked::of(claim, &limits), needs(claim, &limits));
        let same = |other: &Asked| {
            other.claim.quantities == claim.quantities
                && needs(&other.to(&limits), &limits) == needed
        };
        state.along.take(&asked, same)
    }

    /// From when on a grant may leave that was made ahead.
    pub(super) fn starts(&self, number: u64) -> Option<Tick> {
        self.lock().replica.starts(self.me, number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_ask_at_equal_distances_and_each_once_in_a_lease() {
        let lease = 1_000;
        let mut turns: Vec<u64> = (0..4)
            .map(|place| turn(70_123, lease, (place, 4)))
            .collect();
        for _ in 0..3 {
            turns = (0..4)
                .zip(turns)
                .map(|(place, last)| turn(last, lease, (place, 4)))
                .collect();
        }
        turns.sort_unstable();
        let gaps: Vec<u64> = turns.windows(2).map(|two| two[1] - two[0]).collect();
        assert_eq!(gaps, [250; 3]);
        for last in 5_000..7_000 {
            let next = turn(last, lease, (1, 3));
            assert_eq!(next % lease, 333);
            assert!((500..1_500).contains(&(next - last)), "{last}: {next}");
        }
    }
}
