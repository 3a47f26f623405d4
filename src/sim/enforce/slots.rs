//! Attempts that are open at once.

use std::time::Duration;

use super::{Counter, Wait};

#[derive(Debug)]
pub(crate) struct Slots {
    amount: u64,
    open: u64,
}

impl Slots {
    pub(crate) fn new(amount: u64) -> Self {
        Self { amount, open: 0 }
    }
}

impl Counter for Slots {
    fn wait(&mut self, _: Duration, need: u64) -> Option<Wait> {
        if need > self.amount {
            return Some(Wait::Never);
        }
        (self.open + need > self.amount).then_some(Wait::Unknown)
    }

    fn charge(&mut self, _: Duration, units: u64) {
        self.open += units;
    }

    fn set_amount(&mut self, _: Duration, amount: u64) {
        self.amount = amount;
    }

    fn room(&mut self, _: Duration) -> (u64, Duration) {
        (self.amount.saturating_sub(self.open), Duration::ZERO)
    }

    fn ended(&mut self) {
        self.open = self.open.saturating_sub(1);
    }
}
