//! The counts of one level under one set of tag values.

use std::time::Duration;

use super::grants::Part;
use super::{sweep::is_of_run, values::Values, windows::Windows};
use crate::limit::{Limit, Limits, Tick, Window};

/// A run that used nothing for so long is over, where its room is needed.
const RESTS: Duration = Duration::from_secs(24 * 3_600);

/// The counts of one level under one set of tag values.
#[derive(Debug, Default)]
// In this order, so that a claim finds all that it looks at in one line of the cache, and a call in two.
#[repr(C, align(64))]
pub(super) struct Entry {
    pub(super) values: Values,
    /// Parts of grants that have not ended: one that reserved nothing may still report usage.
    pub(super) open: u32,
    /// One for each limit of the level.
    pub(super) windows: Windows,
}

/// All there are. One that a grant took from stays until that has ended.
#[derive(Debug, Default)]
pub(super) struct Entries(Vec<Entry>);

impl Entries {
    #[inline]
    pub(super) fn at(&self, place: u32) -> &Entry {
        &self.0[place as usize]
    }

    #[inline]
    pub(super) fn at_mut(&mut self, place: u32) -> &mut Entry {
        &mut self.0[place as usize]
    }

    /// A place for one more.
    pub(super) fn add(&mut self) -> u32 {
        self.0.push(Entry::default());
        u32::try_from(self.0.len() - 1).expect("fewer than 2^32 counts fit into memory")
    }

    /// The count that a part was taken from.
    #[inline]
    pub(super) fn window(&mut self, part: &Part) -> &mut Window {
        &mut self.at_mut(part.entry).windows[part.window as usize]
    }

    /// Holds what a part takes.
    pub(super) fn open(&mut self, part: &Part) {
        self.at_mut(part.entry).open += 1;
        self.window(part).hold(part.amount);
    }

    /// The count that a part was taken from which ends.
    #[inline]
    pub(super) fn close(&mut self, part: &Part) -> &mut Window {
        let entry = self.at_mut(part.entry);
        entry.open -= 1;
        let window = &mut entry.windows[part.window as usize];
        window.ended(part.amount);
        window
    }

    /// About how much memory they take.
    pub(super) fn bytes(&self) -> usize {
        let spare = self.0.capacity() - self.0.len();
        self.0.iter().map(Entry::bytes).sum::<usize>() + spare * size_of::<Entry>()
    }
}

impl Entry {
    /// Whether this counts all values that have no entry of their own.
    pub(super) fn is_shared(&self, limit: &Limit) -> bool {
        self.values.is_empty() && !limit.per.is_empty()
    }

    /// Lets go what has left by `now`. Returns whether nothing counts here any more, nor may by a grant.
    pub(super) fn expire(&mut self, limits: &Limits, number: usize, now: Tick) -> bool {
        let places = &limits.levels()[number].places;
        let mut idle = self.open == 0;
        for (place, window) in places.iter().zip(&mut self.windows) {
            window.expire(&limits.rules()[*place as usize], now);
            idle &= window.is_idle();
        }
        idle
    }

    /// Whether runs alone count here, and are over: they have used nothing for long, and no call of theirs is in flight.
    pub(super) fn is_over(&mut self, limits: &Limits, number: usize, now: Tick) -> bool {
        if self.open > 0 {
            return false;
        }
        let mut last: Option<Tick> = None;
        let places = &limits.levels()[number].places;
        for (place, window) in places.iter().zip(&mut self.windows) {
            if window.is_idle() {
                continue;
            }
            if window.is_tripped() || !is_of_run(limits, *place) {
                return false;
            }
            last = last.max(Some(window.used_last(now)));
        }
        last.is_some_and(|last| last.after(RESTS) <= now)
    }

    fn bytes(&self) -> usize {
        let window = |window: &Window| window.bytes() - size_of::<Window>();
        size_of::<Self>()
            + self.values.bytes_apart()
            + self.windows.bytes_apart()
            + self.windows.iter().map(window).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn an_entry_with_one_limit_is_two_lines_of_the_cache() {
        assert_eq!(size_of::<Entry>(), 128);
        assert_eq!(std::mem::offset_of!(Entry, windows), 32);
    }
}
