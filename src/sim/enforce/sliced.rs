//! Slices that are enforced, under a period that is told.

use std::time::Duration;

use super::fixed::FixedWindow;
use super::{Counter, Wait};
use crate::sim::limit::SimLimit;

/// Room inside the period says nothing about the slice: a burst is refused with the rate headers
/// far from zero, as providers do.
#[derive(Debug)]
pub(crate) struct Sliced {
    slice: FixedWindow,
    period: FixedWindow,
    limit: SimLimit,
}

impl Sliced {
    pub(crate) fn new(slice: FixedWindow, period: FixedWindow, limit: SimLimit) -> Self {
        Self {
            slice,
            period,
            limit,
        }
    }
}

impl Counter for Sliced {
    fn wait(&mut self, at: Duration, need: u64) -> Option<Wait> {
        self.slice.wait(at, need)
    }

    fn charge(&mut self, at: Duration, units: u64) {
        self.slice.charge(at, units);
        self.period.charge(at, units);
    }

    fn set_amount(&mut self, at: Duration, amount: u64) {
        self.limit.amount = amount;
        self.slice.set_amount(at, self.limit.window().1);
        self.period.set_amount(at, amount);
    }

    fn room(&mut self, at: Duration) -> (u64, Duration) {
        self.period.room(at)
    }
}
