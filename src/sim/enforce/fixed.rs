//! Windows side by side, aligned to the start of the clock.

use std::time::Duration;

use super::{Counter, Wait};
use crate::sim::clock::nanos;

#[derive(Debug)]
pub(crate) struct FixedWindow {
    period: Duration,
    amount: u64,
    /// The number of the window that `used` is about.
    index: u128,
    used: u64,
}

impl FixedWindow {
    pub(crate) fn new(period: Duration, amount: u64) -> Self {
        Self {
            period: period.max(Duration::from_nanos(1)),
            amount,
            index: 0,
            used: 0,
        }
    }

    fn roll(&mut self, at: Duration) {
        let index = at.as_nanos() / self.period.as_nanos();
        if index != self.index {
            (self.index, self.used) = (index, 0);
        }
    }

    fn rest(&self, at: Duration) -> Duration {
        nanos((self.index + 1) * self.period.as_nanos()).saturating_sub(at)
    }
}

impl Counter for FixedWindow {
    fn wait(&mut self, at: Duration, need: u64) -> Option<Wait> {
        self.roll(at);
        if need > self.amount {
            return Some(Wait::Never);
        }
        (self.used + need > self.amount).then(|| Wait::After(self.rest(at)))
    }

    fn charge(&mut self, at: Duration, units: u64) {
        self.roll(at);
        self.used += units;
    }

    fn set_amount(&mut self, _: Duration, amount: u64) {
        self.amount = amount;
    }

    fn room(&mut self, at: Duration) -> (u64, Duration) {
        self.roll(at);
        let full_in = if self.used == 0 {
            Duration::ZERO
        } else {
            self.rest(at)
        };
        (self.amount.saturating_sub(self.used), full_in)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn empties_at_the_boundary_and_not_before() {
        let mut window = FixedWindow::new(ms(1_000), 10);
        window.charge(ms(990), 10);
        assert_eq!(window.wait(ms(999), 1), Some(Wait::After(ms(1))));
        assert_eq!(window.wait(ms(1_000), 10), None);
    }

    #[test]
    fn never_has_room_for_more_than_its_amount() {
        let mut window = FixedWindow::new(ms(1_000), 10);
        assert_eq!(window.wait(ms(0), 11), Some(Wait::Never));
        assert_eq!(window.wait(ms(0), 10), None);
    }
}
