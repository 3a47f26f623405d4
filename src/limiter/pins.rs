//! Room that is kept for those who were sent from count to count.
//!
//! A call that needs much of two counts waits on one of them. Nobody behind it takes from that one, but the
//! other fills up meanwhile, and so in turns for ever. So a waiter that has moved twice **pins** all its counts:
//! whoever stands behind it takes from one of them only what leaves its room there at the instant at which it is
//! due. A pin sleeps while that instant is a period of the count or more ahead: what is taken now has left by
//! then. It ends a period after that instant, so that no room lies idle for one that waits for something
//! nobody can date. Plain data: no clock, lock or task.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{heads::Heads, order::Rank, waiter::Waiter};
use crate::limit::{LimitKey, Limits, Tick};

#[derive(Debug, Default)]
pub(super) struct Pins {
    /// By place in the queue, when each who pins is due, and the count it is parked on.
    due: HashMap<u64, (Tick, LimitKey)>,
    counts: HashMap<LimitKey, Pinned>,
}

/// A count and those who pin it.
#[derive(Debug, Default)]
struct Pinned {
    awake: Heads,
    /// By the instant at which they wake.
    asleep: BTreeMap<(Tick, u64), Arc<Waiter>>,
    /// By their places, when those wake: by the limits that held when they fell asleep.
    wakes: HashMap<u64, Tick>,
}

/// Room that whoever comes next has to leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) key: LimitKey,
    /// How much there has to be room for at that instant: for the one who pins and the one who comes.
    pub(super) amount: u64,
    pub(super) at: Tick,
    /// When the pin ends, at the latest.
    pub(super) until: Option<Tick>,
}

impl Pins {
    /// Whether anybody pins this count.
    pub(super) fn hold(&self, key: &LimitKey) -> bool {
        self.counts.contains_key(key)
    }

    /// Those whose pins on a count are awake.
    pub(super) fn on(&self, key: &LimitKey) -> impl Iterator<Item = &Arc<Waiter>> {
        let pinned = self.counts.get(key).into_iter();
        pinned.flat_map(|pinned| pinned.awake.all())
    }

    /// When this one is due, where it pins, and the count it is parked on.
    pub(super) fn due(&self, waiter: &Waiter) -> Option<&(Tick, LimitKey)> {
        self.due.get(&waiter.rank().seat.place)
    }

    /// Pins the counts of a waiter that is parked on one of them and due at an instant. Returns whether
    /// anything is new.
    pub(super) fn set(
        &mut self,
        waiter: &Arc<Waiter>,
        on: &LimitKey,
        due: Tick,
        limits: &Limits,
    ) -> bool {
        let pin = (due, on.clone());
        if self.due.get(&waiter.rank().seat.place) == Some(&pin) {
            return false;
        }
        self.remove(waiter);
        self.due.insert(waiter.rank().seat.place, pin);
        for key in waiter.stand().keys.iter() {
            // A slot is pinned last: it would lie idle while other room is awaited. Of a cooldown nobody takes
            // anything, so there is nothing to leave.
            let dated = limits.stay(key).is_some();
            if (dated || key == on) && !key.is_cooldown() {
                let pinned = self.counts.entry(key.clone()).or_default();
                pinned.awake.insert(waiter.clone());
            }
        }
        true
    }

    /// One that pins stands in another line now.
    pub(super) fn lifted(&mut self, waiter: &Arc<Waiter>, from: Rank) {
        for key in waiter.stand().keys.iter() {
            let pinned = self.counts.get_mut(key);
            if let Some(pinned) = pinned
                && pinned.awake.remove(from)
            {
                pinned.awake.insert(waiter.clone());
            }
        }
    }

    /// Lets the counts of a waiter go. Returns whether it pinned them.
    pub(super) fn remove(&mut self, waiter: &Waiter) -> bool {
        let rank = waiter.rank();
        if self.due.remove(&rank.seat.place).is_none() {
            return false;
        }
        for key in waiter.stand().keys.iter() {
            if let Some(pinned) = self.counts.get_mut(key) {
                pinned.remove(rank);
                if pinned.awake.is_empty() && pinned.asleep.is_empty() {
                    self.counts.remove(key);
                }
            }
        }
        true
    }

    /// What one with this rank, who needs so much of these counts, has to leave there.
    pub(super) fn before(
        &mut self,
        (keys, needs): (&[LimitKey], &[u64]),
        rank: Rank,
        now: Tick,
        limits: &Limits,
        before: impl Fn(Rank, Rank) -> bool,
    ) -> Vec<Kept> {
        if self.due.is_empty() {
            return Vec::new();
        }
        let kept = keys.iter().zip(needs).filter_map(|(key, need)| {
            let pinned = self.counts.get_mut(key)?;
            let stay = limits.stay(key);
            let (first, due) = pinned.first(&self.due, stay, now, &before)?;
            let ahead = first.rank() != rank && before(first.rank(), rank);
            ahead.then(|| Kept {
                key: key.clone(),
                amount: first.need(key).saturating_add(*need),
                at: due.max(now),
                until: stay.map(|stay| later(due, stay)),
            })
        });
        kept.collect()
    }
}

impl Pinned {
    /// Whoever goes first of those whose pin counts now, and when it is due.
    fn first(
        &mut self,
        due: &HashMap<u64, (Tick, LimitKey)>,
        stay: Option<u64>,
        now: Tick,
        before: &impl Fn(Rank, Rank) -> bool,
    ) -> Option<(Arc<Waiter>, Tick)> {
        while let Some(first) = self.asleep.first_entry() {
            let (wakes, place) = *first.key();
            if wakes > now {
                break;
            }
            self.wakes.remove(&place);
            self.awake.insert(first.remove());
        }
        loop {
            let first = self.awake.first(before)?.clone();
            let place = first.place();
            // One that is due no more pins nothing.
            if let Some((due, _)) = due.get(&place) {
                let wakes = wakes(*due, stay);
                if wakes > now {
                    self.wakes.insert(place, wakes);
                    self.asleep.insert((wakes, place), first.clone());
                } else if stay.is_none_or(|stay| later(*due, stay) > now) {
                    return Some((first, *due));
                }
            }
            // Asleep, or over: until it is due at another instant.
            self.awake.remove(first.rank());
        }
    }

    /// Takes one off, awake or asleep.
    fn remove(&mut self, rank: Rank) {
        self.awake.remove(rank);
        let place = rank.seat.place;
        if let Some(wakes) = self.wakes.remove(&place) {
            self.asleep.remove(&(wakes, place));
        }
    }
}

/// When a pin wakes: from then on a charge would not have left by the instant at which its waiter is due.
fn wakes(due: Tick, stay: Option<u64>) -> Tick {
    let sleeps = due.as_micros().checked_sub(stay.unwrap_or(u64::MAX));
    sleeps.map_or(Tick::default(), |micros| Tick::from_micros(micros + 1))
}

fn later(due: Tick, stay: u64) -> Tick {
    due.after_micros(stay)
}
