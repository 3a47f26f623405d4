//! The usual claim: every count is there and has room. No clock, no second look.

use std::mem;

use smallvec::SmallVec;

use super::{
    claim::{Claim, Date, Part, Parts},
    counts::{Counts, Entry},
};
use crate::limit::{Level, Limits};

/// How much memory of parts is kept for use again.
const SPARE: usize = 64;

/// Levels that a call touches, by their numbers, and its entries there.
type Found = SmallVec<[(u32, u32); 8]>;

impl Counts {
    /// Takes what the claim needs of every count that it touches, where all of them are there and have room
    /// without anything expiring. Otherwise it takes nothing, and a closer look is needed.
    #[inline]
    pub(super) fn take(&mut self, limits: &Limits, claim: &Claim, parts: &mut Parts) -> bool {
        self.use_again(limits, parts);
        let all = match limits.levels() {
            [level] => self.take_level(level, limits, claim, parts),
            _ => self.take_levels(limits, claim, parts),
        };
        all || self.give_back(parts)
    }

    #[inline(always)]
    fn take_level(
        &mut self,
        level: &Level,
        limits: &Limits,
        claim: &Claim,
        parts: &mut Parts,
    ) -> bool {
        let limit = limits.of_level(level);
        if !limit.touches(&claim.tags) {
            return true;
        }
        match self.find(0, limit, &claim.tags) {
            Ok(entry) => self.take_from(level, entry, claim, parts),
            Err(_) => false,
        }
    }

    /// First finds all, then takes: two short loops take less time than a long one.
    #[inline(never)]
    fn take_levels(&mut self, limits: &Limits, claim: &Claim, parts: &mut Parts) -> bool {
        let mut found = Found::new();
        for (number, level) in (0..).zip(limits.levels()) {
            let limit = limits.of_level(level);
            if limit.touches(&claim.tags) {
                match self.find(number as usize, limit, &claim.tags) {
                    Ok(entry) => found.push((number, entry)),
                    Err(_) => return false,
                }
            }
        }
        for (number, entry) in &found {
            let level = &limits.levels()[*number as usize];
            if !self.take_from(level, *entry, claim, parts) {
                return false;
            }
        }
        true
    }

    /// Takes from the counts of one entry, up to the first that has no room.
    #[inline(always)]
    fn take_from(&mut self, level: &Level, place: u32, claim: &Claim, parts: &mut Parts) -> bool {
        let Entry {
            windows,
            generation,
            open,
            ..
        } = &mut self.entries[place as usize];
        for (window, ((limit, rule), count)) in (0..).zip(level.rules.iter().zip(windows)) {
            let Some(amount) = claim.amount(*limit, rule, count.amount()) else {
                continue;
            };
            if !count.fits(amount) {
                return false;
            }
            count.hold(amount);
            *open += 1;
            parts.push(Part {
                limit: *limit,
                entry: place,
                generation: *generation,
                window,
                amount,
                date: Date::NONE,
            });
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
