//! What others take from a bucket that refills evenly.
//!
//! There the counters say nothing of what was used a while ago: it has been refilled. But what is missing now,
//! and neither we have taken nor was missing before, others took in the meantime.

use std::collections::VecDeque;

use super::Tick;

/// It is looked back over this part of the period at least, and over this part at most.
const LEAST: u64 = 8;
const MOST: u64 = 2;
/// How finely instants to look back to are kept.
const FINE: u64 = 16;

/// Readings of one bucket that was never full since the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Even {
    from: VecDeque<Reading>,
    last: Reading,
}

/// What a bucket had left when an attempt left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) sent: Tick,
    pub(super) remaining: u64,
    /// What a full one holds, and what it is refilled in a period.
    pub(super) limit: u64,
}

impl Even {
    /// Takes in a reading. Returns what others take in a `period` (in microseconds), where that can be said;
    /// `ours` is what we have sent since an instant.
    pub(super) fn read(
        &mut self,
        now: Reading,
        period: u64,
        ours: impl Fn(Tick) -> u64,
    ) -> Option<u64> {
        if now.sent < self.last.sent {
            return None;
        }
        let full = now.limit
            <= self
                .last
                .remaining
                .saturating_add(refill(&self.last, &now, period));
        if full || now.limit != self.last.limit {
            // It may have been full in between, and nobody knows how much was not refilled.
            self.from.clear();
        }
        self.last = now;
        let span = |from: &Reading| now.sent.since(from.sent).as_micros();
        while self
            .from
            .front()
            .is_some_and(|from| span(from) > (period / MOST).into())
        {
            self.from.pop_front();
        }
        if self
            .from
            .back()
            .is_none_or(|from| span(from) >= (period / FINE).into())
        {
            self.from.push_back(now);
        }
        let from = self
            .from
            .front()
            .filter(|from| span(from) >= (period / LEAST).into())?;
        let came = from.remaining.saturating_add(refill(from, &now, period));
        let taken = came.saturating_sub(now.remaining);
        let others = u128::from(taken.saturating_sub(ours(from.sent)));
        u64::try_from(others * u128::from(period) / span(from)).ok()
    }
}

/// What is refilled between two readings.
fn refill(from: &Reading, to: &Reading, period: u64) -> u64 {
    let span = to.sent.since(from.sent).as_micros();
    let refill = u128::from(to.limit).saturating_mul(span) / u128::from(period.max(1));
    u64::try_from(refill).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000_000;

    fn at(seconds: u64) -> Tick {
        Tick::from_micros(seconds * 1_000_000)
    }

    fn reading(seconds: u64, remaining: u64) -> Reading {
        Reading {
            sent: at(seconds),
            remaining,
            limit: 120,
        }
    }

    #[test]
    fn what_is_missing_and_not_ours_others_took() {
        let mut even = Even::default();
        let ours = |from: Tick| at(8).since(from).as_secs();
        assert_eq!(even.read(reading(0, 60), MINUTE, ours), None);
        assert_eq!(
            even.read(reading(4, 60), MINUTE, ours),
            None,
            "too soon to say"
        );
        // 16 were refilled, 8 of them are ours.
        assert_eq!(even.read(reading(8, 60), MINUTE, ours), Some(60));
    }

    #[test]
    fn what_we_took_is_nobody_elses() {
        let mut even = Even::default();
        even.read(reading(0, 60), MINUTE, |_| 0);
        assert_eq!(even.read(reading(8, 70), MINUTE, |_| 7), Some(0));
        assert_eq!(even.read(reading(9, 70), MINUTE, |_| u64::MAX), Some(0));
    }

    #[test]
    fn of_a_bucket_that_may_have_been_full_nothing_is_known() {
        let mut even = Even::default();
        even.read(reading(0, 110), MINUTE, |_| 0);
        assert_eq!(even.read(reading(10, 110), MINUTE, |_| 0), None);
        assert_eq!(even.read(reading(14, 60), MINUTE, |_| 0), None);
        assert!(even.read(reading(22, 60), MINUTE, |_| 0).is_some());
        let other = Reading {
            limit: 121,
            ..reading(30, 60)
        };
        assert_eq!(even.read(other, MINUTE, |_| 0), None, "another bucket");
    }

    #[test]
    fn an_older_reading_changes_nothing_and_few_are_kept() {
        let mut even = Even::default();
        for second in 0..1_000 {
            even.read(reading(second, 60), MINUTE, |_| 0);
        }
        assert!(even.from.len() <= 9, "{}", even.from.len());
        let before = even.clone();
        assert_eq!(even.read(reading(3, 0), MINUTE, |_| 0), None);
        assert_eq!(even, before);
    }
}
