//! The usual claim: every count is there and has room. No clock, no second look.

use super::{
    claim::Claim,
    counts::Counts,
    entry::{Entries, Entry},
    grants::{Name, Part},
};
use crate::limit::{Asked, Level, Limits};

impl Counts {
    /// Takes what the claim needs of every count that it touches, where all of them are there and have room
    /// without anything expiring; what the grant is called. Otherwise it takes nothing, and a closer look is
    /// needed.
    #[inline]
    pub(super) fn take(&mut self, limits: &Limits, claim: &Claim) -> Option<Name> {
        if !self.gates.is_empty() || claim.tags.has_outer() {
            return None;
        }
        let place = self.grants.begin();
        let all = self.take_all(limits, claim, place);
        let name = self.grants.name(place);
        if all {
            return Some(name);
        }
        self.give_back(name);
        None
    }

    /// Takes from the counts of each level, up to the first that has no room.
    #[inline]
    fn take_all(&mut self, limits: &Limits, claim: &Claim, grant: u32) -> bool {
        let asked = claim.asked();
        for (number, level) in limits.levels().iter().enumerate() {
            let limit = &level.limit;
            if !limit.touches(&claim.tags) {
                continue;
            }
            let Ok(entry) = self.find(number, limit, &claim.tags) else {
                return false;
            };
            let parts = &mut self.grants.at(grant).parts;
            if !take_from(
                &mut self.entries,
                (limits, level),
                entry,
                (claim, &asked),
                parts,
            ) {
                return false;
            }
        }
        true
    }

    /// Gives back what was taken of a grant that did not come to be.
    #[cold]
    fn give_back(&mut self, grant: Name) {
        if let Some(open) = self.grants.find(grant) {
            for part in &open.parts {
                self.entries.close(part).unhold(part.amount);
            }
        }
        self.grants.end(grant);
    }
}

/// Takes from the counts of one entry, up to the first that has no room.
#[inline(always)]
fn take_from(
    entries: &mut Entries,
    (limits, level): (&Limits, &Level),
    place: u32,
    (claim, asked): (&Claim, &Asked<'_>),
    parts: &mut Vec<Part>,
) -> bool {
    let Entry { windows, open, .. } = entries.at_mut(place);
    for (window, ((limit, terms), count)) in (0..).zip(level.terms.iter().zip(windows)) {
        let Some(amount) = asked.amount(*terms, count.amount()) else {
            continue;
        };
        if claim.leaves_alone(*limit, *terms, limits) {
            continue;
        }
        if !count.fits(amount) {
            return false;
        }
        count.hold_fitting(amount);
        *open += 1;
        let at = (*limit, place, window);
        parts.push(Part::new(at, *terms, &claim.demand, amount));
    }
    true
}
