//! The exact log: at `t`, everything charged in `(t - period, t]`.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Counter, Wait};

#[derive(Debug)]
pub(crate) struct SlidingLog {
    period: Duration,
    amount: u64,
    charges: VecDeque<(Duration, u64)>,
    sum: u64,
}

impl SlidingLog {
    pub(crate) fn new(period: Duration, amount: u64) -> Self {
        Self {
            period,
            amount,
            charges: VecDeque::new(),
            sum: 0,
        }
    }

    fn expire(&mut self, at: Duration) {
        while let Some((charged, units)) = self.charges.front() {
            if *charged + self.period > at {
                break;
            }
            self.sum -= units;
            self.charges.pop_front();
        }
    }
}

impl Counter for SlidingLog {
    fn wait(&mut self, at: Duration, need: u64) -> Option<Wait> {
        self.expire(at);
        if need > self.amount {
            return Some(Wait::Never);
        }
        let over = (self.sum + need).saturating_sub(self.amount);
        if over == 0 {
            return None;
        }
        // Enough is freed when the last of the oldest charges that add up to `over` expires.
        let mut freed = 0;
        let last = self.charges.iter().find(|(_, units)| {
            freed += units;
            freed >= over
        });
        last.map(|(charged, _)| Wait::After(*charged + self.period - at))
    }

    fn charge(&mut self, at: Duration, units: u64) {
        self.expire(at);
        if units == 0 {
            return;
        }
        self.sum += units;
        match self.charges.back_mut() {
            Some((charged, sum)) if *charged == at => *sum += units,
            _ => self.charges.push_back((at, units)),
        }
    }

    fn set_amount(&mut self, _: Duration, amount: u64) {
        self.amount = amount;
    }

    fn room(&mut self, at: Duration) -> (u64, Duration) {
        self.expire(at);
        let last = self.charges.back();
        let full_in = last.map_or(Duration::ZERO, |(charged, _)| *charged + self.period - at);
        (self.amount.saturating_sub(self.sum), full_in)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn frees_a_charge_exactly_one_period_later() {
        let mut log = SlidingLog::new(ms(1_000), 10);
        log.charge(ms(5), 6);
        log.charge(ms(400), 4);
        assert_eq!(log.wait(ms(400), 1), Some(Wait::After(ms(605))));
        assert_eq!(log.wait(ms(400), 7), Some(Wait::After(ms(1_000))));
        assert_eq!(log.wait(ms(1_004), 1), Some(Wait::After(ms(1))));
        assert_eq!(log.wait(ms(1_005), 6), None);
        assert_eq!(log.wait(ms(1_005), 7), Some(Wait::After(ms(395))));
    }

    #[test]
    fn never_has_room_for_more_than_its_amount() {
        let mut log = SlidingLog::new(ms(1_000), 10);
        assert_eq!(log.wait(ms(0), 11), Some(Wait::Never));
        assert_eq!(log.wait(ms(0), 10), None);
    }

    #[test]
    fn waits_until_a_debt_has_expired() {
        let mut log = SlidingLog::new(ms(1_000), 10);
        log.charge(ms(0), 8);
        log.charge(ms(100), 30);
        assert_eq!(log.room(ms(100)), (0, ms(1_000)));
        assert_eq!(log.wait(ms(100), 1), Some(Wait::After(ms(1_000))));
        assert_eq!(log.room(ms(1_100)), (10, ms(0)));
    }
}
