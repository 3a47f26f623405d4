//! Runs that nobody uses any more.
//!
//! Nothing says that a run has ended. Were the counts of all of them kept, there would be no room for those of new
//! ones some day, for ever.

use std::{collections::HashMap, time::Duration};

use crate::limit::Tick;

/// A run that used nothing for so long is over, where its room is needed.
const RESTS: Duration = Duration::from_secs(24 * 3_600);

/// Of entries in which runs alone count: what they had used when they were last looked at, and since when.
#[derive(Debug, Default)]
pub(super) struct Resting(HashMap<u32, (u64, Tick)>);

impl Resting {
    /// Whether the runs of an entry are over. Notes what they used, for the next time; `None`: it is not
    /// runs alone that count there, or a call is in flight.
    pub(super) fn is_over(&mut self, entry: u32, used: Option<u64>, now: Tick) -> bool {
        let Some(used) = used else {
            self.0.remove(&entry);
            return false;
        };
        let (before, since) = self.0.entry(entry).or_insert((used, now));
        if *before != used {
            (*before, *since) = (used, now);
        }
        now >= since.after(RESTS)
    }

    pub(super) fn forget(&mut self, entry: u32) {
        self.0.remove(&entry);
    }

    /// About how much memory this takes.
    pub(super) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<(u32, (u64, Tick))>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: u64) -> Tick {
        Tick::default().after(Duration::from_secs(3_600) * u32::try_from(hours).unwrap())
    }

    #[test]
    fn a_run_is_over_a_day_after_it_was_first_seen_to_rest() {
        let mut resting = Resting::default();
        assert!(!resting.is_over(1, Some(5), at(100)));
        assert!(!resting.is_over(1, Some(5), at(123)));
        assert!(resting.is_over(1, Some(5), at(124)));
        assert!(!resting.is_over(2, Some(5), at(124)), "another one");
    }

    #[test]
    fn one_that_uses_something_or_has_a_call_in_flight_is_not() {
        let mut resting = Resting::default();
        assert!(!resting.is_over(1, Some(5), at(0)));
        assert!(!resting.is_over(1, Some(6), at(23)));
        assert!(!resting.is_over(1, Some(6), at(46)));
        assert!(!resting.is_over(1, None, at(47)));
        assert!(!resting.is_over(1, Some(6), at(48)), "it counts anew");
        resting.forget(1);
        assert!(!resting.is_over(1, Some(6), at(200)));
    }
}
