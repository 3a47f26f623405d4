//! A bucket that refills evenly, in exact integers.

use std::time::Duration;

use super::{Counter, Wait};
use crate::sim::clock::nanos;

/// One unit is `period` parts (its nanoseconds), so that each nanosecond refills `amount` parts.
#[derive(Debug)]
pub(crate) struct Bucket {
    amount: i128,
    unit: i128,
    /// Parts in the bucket at `at`; below zero after a charge without room.
    level: i128,
    at: Duration,
}

impl Bucket {
    pub(crate) fn new(period: Duration, amount: u64) -> Self {
        let amount = i128::from(amount);
        let unit = parts(period);
        Self {
            amount,
            unit,
            level: amount.saturating_mul(unit),
            at: Duration::ZERO,
        }
    }

    fn capacity(&self) -> i128 {
        self.amount.saturating_mul(self.unit)
    }

    fn refill(&mut self, at: Duration) {
        let parts = parts(at.saturating_sub(self.at)).saturating_mul(self.amount);
        self.level = self.level.saturating_add(parts).min(self.capacity());
        self.at = at;
    }

    /// The time to refill so many parts; they are more than none.
    fn time(&self, parts: i128) -> Duration {
        match (parts.unsigned_abs(), self.amount.unsigned_abs()) {
            (_, 0) => Duration::MAX,
            (parts, amount) => nanos(parts.div_ceil(amount)),
        }
    }
}

impl Counter for Bucket {
    fn wait(&mut self, at: Duration, need: u64) -> Option<Wait> {
        self.refill(at);
        let need = i128::from(need);
        if need > self.amount {
            return Some(Wait::Never);
        }
        let missing = need.saturating_mul(self.unit) - self.level;
        (missing > 0).then(|| Wait::After(self.time(missing)))
    }

    fn charge(&mut self, at: Duration, units: u64) {
        self.refill(at);
        self.level -= i128::from(units).saturating_mul(self.unit);
    }

    fn set_amount(&mut self, at: Duration, amount: u64) {
        self.refill(at);
        let missing = self.capacity() - self.level;
        self.amount = i128::from(amount);
        self.level = self.capacity() - missing;
    }

    fn room(&mut self, at: Duration) -> (u64, Duration) {
        self.refill(at);
        let missing = self.capacity() - self.level;
        let full_in = if missing > 0 {
            self.time(missing)
        } else {
            Duration::ZERO
        };
        (u64::try_from(self.level / self.unit).unwrap_or(0), full_in)
    }
}

/// Nanoseconds as a signed number.
fn parts(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn refills_one_unit_in_its_share_of_the_period() {
        let mut bucket = Bucket::new(ms(1_000), 10);
        bucket.charge(ms(50), 10);
        assert_eq!(bucket.wait(ms(50), 1), Some(Wait::After(ms(100))));
        assert_eq!(bucket.wait(ms(149), 1), Some(Wait::After(ms(1))));
        assert_eq!(bucket.wait(ms(150), 1), None);
        assert_eq!(bucket.room(ms(150)), (1, ms(900)));
        assert_eq!(bucket.room(ms(9_000)), (10, ms(0)));
    }

    #[test]
    fn rounds_the_wait_up_to_the_nanosecond() {
        let mut bucket = Bucket::new(ms(1_000), 3);
        bucket.charge(ms(0), 3);
        let Some(Wait::After(wait)) = bucket.wait(ms(0), 1) else {
            panic!("an empty bucket has room");
        };
        assert_eq!(wait, Duration::from_nanos(333_333_334));
        assert_eq!(bucket.wait(wait, 1), None);
    }

    #[test]
    fn pays_a_debt_first() {
        let mut bucket = Bucket::new(ms(1_000), 10);
        bucket.charge(ms(0), 20);
        assert_eq!(bucket.room(ms(0)), (0, ms(2_000)));
        assert_eq!(bucket.wait(ms(0), 1), Some(Wait::After(ms(1_100))));
    }

    #[test]
    fn never_has_room_for_more_than_its_amount() {
        let mut bucket = Bucket::new(ms(1_000), 0);
        assert_eq!(bucket.wait(ms(0), 1), Some(Wait::Never));
        assert_eq!(Bucket::new(ms(1_000), 1).wait(ms(0), 1), None);
    }
}
