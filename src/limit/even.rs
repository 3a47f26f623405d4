//! What others take from a bucket that refills evenly.
//!
//! There the counters say nothing of what was used a while ago: it has been refilled. But what is missing now,
//! and neither we have taken nor was missing before, others took in the meantime. Where we have used it up and
//! were still until it should be full, nobody knows if it is: one call asks before the others follow, until it
//! was seen that nobody else is there.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Tick;

/// It is looked back over this part of the period at least, and over this part at most.
const LEAST: u64 = 8;
const MOST: u64 = 2;
/// How finely instants to look back to are kept.
const FINE: u64 = 16;
/// So many readings say that it is a bucket: of fewer any limit may look so by chance.
const SURE: u32 = 8;
/// The news is old after this part of the period.
const OLD: u64 = 10;

/// Readings of one bucket that was never full since the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Even {
    from: VecDeque<Reading>,
    last: Reading,
    /// The latest of all, also of those that might be of something else than a bucket.
    latest: Reading,
    /// When that was heard.
    heard: Tick,
    /// How many there were, up to as many as it takes to be sure that it is a bucket.
    readings: u32,
    /// Whether it was seen that others take nothing.
    alone: bool,
    /// What was granted since something was heard, and has not ended.
    unanswered: u64,
}

/// What a bucket had left when an attempt left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reading {
    pub(super) sent: Tick,
    pub(super) remaining: u64,
    /// What a full one holds, and what it is refilled in a period.
    pub(super) limit: u64,
}

impl Even {
    /// Takes in a reading that was heard at an instant, of what may be any limit, if it was not known for a bucket.
    /// `ours` is what we have sent since an instant.
    pub(super) fn look(
        &mut self,
        now: Reading,
        heard: Tick,
        period: u64,
        ours: impl Fn(Tick) -> u64,
    ) {
        self.readings = (self.readings + 1).min(SURE);
        let before = self.latest;
        if now.sent < before.sent {
            return;
        }
        (self.latest, self.heard, self.unanswered) = (now, heard, 0);
        if (now.sent, now.limit) == (before.sent, before.limit) {
            // Of those that left together the one that came last shows what all of them left.
            self.latest.remaining = now.remaining.min(before.remaining);
            return;
        }
        let came = before
            .remaining
            .saturating_add(refill(&before, &now, period));
        let long = now.sent.since(before.sent).as_micros() >= (period / LEAST).into();
        // What came in while it was full was not refilled, and others may have taken as much.
        let shows = came.saturating_sub(now.limit) <= now.limit / FINE;
        if long && shows && now.limit == before.limit {
            let missing = came.min(now.limit).saturating_sub(now.remaining);
            self.alone = missing <= ours(before.sent);
        }
    }

    /// Takes in a reading of a bucket. Returns what others take in a `period` (in microseconds), where that can be
    /// said; `ours` is what we have sent since an instant.
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
        if let Some(from) = self.from.back_mut().filter(|from| from.sent == now.sent) {
            // What left together with it took what is missing here.
            from.remaining = from.remaining.min(now.remaining);
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
        let others = u64::try_from(others * u128::from(period) / span(from)).ok();
        if let Some(others) = others {
            self.alone = others == 0;
        }
        others
    }

    /// What a full one holds.
    pub(super) fn limit(&self) -> u64 {
        self.latest.limit
    }

    /// Whether nobody knows if others take from it, and much of it was gone when something was heard last: it
    /// would be full again if they do not.
    pub(super) fn is_doubtful(&self) -> bool {
        let sure = self.readings >= SURE;
        sure && !self.alone && self.latest.remaining < self.latest.limit / 2
    }

    /// Whether one goes ahead to ask, and its answer is to be waited for.
    pub(super) fn asks(&self, now: Tick, period: u64) -> bool {
        let old = now.since(self.heard).as_micros() >= (period / OLD).into();
        self.is_doubtful() && old && self.unanswered > 0
    }

    pub(super) fn granted(&mut self, amount: u64) {
        self.unanswered = self.unanswered.saturating_add(amount);
    }

    pub(super) fn ended(&mut self, amount: u64) {
        self.unanswered = self.unanswered.saturating_sub(amount);
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
    fn what_left_together_with_a_reading_is_ours() {
        let mut even = Even::default();
        // Forty at once; the one that was heard first had left before the others.
        even.read(reading(1, 119), MINUTE, |_| 0);
        even.read(reading(1, 80), MINUTE, |_| 0);
        even.read(reading(1, 100), MINUTE, |_| 0);
        assert_eq!(even.read(reading(9, 95), MINUTE, |_| 1), Some(0));
    }

    fn looked(second: u64, remaining: u64, ours: u64) -> Even {
        let mut even = Even::default();
        for remaining in [60, 50, 40, 2, 30, 20, 10] {
            even.look(reading(1, remaining), at(2), MINUTE, |_| 0);
            assert!(!even.is_doubtful(), "it may be no bucket");
        }
        even.look(reading(1, 5), at(2), MINUTE, |_| 0);
        assert!(even.is_doubtful());
        even.look(reading(second, remaining), at(second), MINUTE, |_| ours);
        even
    }

    #[test]
    fn others_are_not_there_where_all_that_is_missing_is_ours() {
        assert!(looked(61, 119, 1).alone, "full but for one");
        assert!(looked(60, 50, 70).alone);
        assert!(!looked(61, 50, 1).alone);
        assert!(looked(61, 50, 1).is_doubtful());
        assert!(!looked(61, 100, 1).is_doubtful(), "little is missing");
        assert!(
            !looked(200, 119, 1).alone,
            "it was full for long: no telling"
        );
        assert!(!looked(3, 5, 1).alone, "too soon to say");
    }

    #[test]
    fn one_goes_ahead_where_the_news_is_old_and_the_others_may_be_there() {
        let mut even = looked(3, 5, 1);
        even.granted(2);
        assert!(!even.asks(at(8), MINUTE), "the news is fresh");
        assert!(even.asks(at(9), MINUTE));
        even.ended(2);
        assert!(!even.asks(at(9), MINUTE), "nobody asks");
        even.granted(1);
        even.look(reading(60, 119), at(61), MINUTE, |_| 1);
        even.granted(50);
        assert!(!even.asks(at(90), MINUTE), "it is ours alone");
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
