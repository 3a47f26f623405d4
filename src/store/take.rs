//! The usual claim: every count is there and has room. No clock, no second look.

use std::mem;

use super::{
    claim::{Claim, Date, Part, Parts},
    counts::{Counts, Entry},
};
use crate::limit::Limits;

/// How many are kept for use again.
const SPARE: usize = 64;

impl Counts {
    /// Takes what the claim needs of every count that it touches, where all of them are there and have room
    /// without anything expiring. Otherwise it takes nothing, and a closer look is needed.
    #[inline]
    pub(super) fn take(&mut self, limits: &Limits, claim: &Claim, parts: &mut Parts) -> bool {
        if self.to_sweep() {
            return false;
        }
        self.use_again(limits, parts);
        for (number, level) in limits.levels().iter().enumerate() {
            let tagged = limits.of_level(level);
            if !tagged.touches(&claim.tags) {
                continue;
            }
            let Ok(entry) = self.find(number, tagged, &claim.tags) else {
                return self.give_back(parts);
            };
            let Entry {
                windows,
                generation,
                open,
                ..
            } = &mut self.entries[entry as usize];
            let mut window = 0;
            for count in windows {
                let limit = level.places[window as usize];
                let rule = &limits.rules()[limit as usize];
                if let Some(amount) = claim.amount(limit, rule, count.amount()) {
                    if !count.fits(amount) {
                        return self.give_back(parts);
                    }
                    count.hold(amount);
                    *open += 1;
                    parts.push(Part {
                        limit,
                        entry,
                        generation: *generation,
                        window,
                        amount,
                        date: Date::NONE,
                    });
                }
                window += 1;
            }
        }
        true
    }

    #[cold]
    fn give_back(&mut self, parts: &mut Parts) -> bool {
        for part in parts.iter() {
            if let Some(window) = self.close(part) {
                window.unhold(part.amount);
            }
        }
        self.done(mem::take(parts));
        false
    }

    /// Has parts that may be several stand in memory that was used before.
    #[inline]
    fn use_again(&mut self, limits: &Limits, parts: &mut Parts) {
        if limits.rules().len() > parts.inline_size()
            && let Some(spare) = self.spare.pop()
        {
            *parts = spare;
        }
    }

    /// Keeps the memory of parts that ended for others.
    #[inline]
    pub(super) fn done(&mut self, mut parts: Parts) {
        if parts.spilled() && self.spare.len() < SPARE {
            parts.clear();
            self.spare.push(parts);
        }
    }
}
