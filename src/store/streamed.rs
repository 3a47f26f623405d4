//! Output that is dated while it streams.

use super::claim::{Part, Settlement, Streamed};
use crate::limit::{Parts, Rule, Tick, Window};

impl Part {
    /// All that was claimed.
    pub(super) fn amount(&self) -> u64 {
        self.early.saturating_add(self.late)
    }

    /// What this part counts in the end; `seen` of it has streamed.
    pub(super) fn used(&self, rule: &Rule, settlement: &Settlement, seen: u64) -> Parts {
        let Part {
            early,
            late,
            output,
            ..
        } = *self;
        let limit = &rule.limit;
        match settlement {
            Settlement::Usage(usage) => {
                limit
                    .charge
                    .settled(limit.quantity, Parts { early, late }, usage)
            }
            Settlement::Unknown => Parts {
                early,
                late: late.saturating_add(seen.saturating_sub(output)),
            },
        }
    }
}

impl Streamed {
    /// Dates what came since the last time, so that `total` is dated of it: out of what is held for it,
    /// `output` in the beginning, and beyond that as debt.
    pub(super) fn date(
        &mut self,
        window: &mut Window,
        rule: &Rule,
        output: u64,
        total: u64,
        now: Tick,
    ) {
        let came = total.saturating_sub(self.total);
        if came == 0 {
            return;
        }
        window.unhold(came.min(output.saturating_sub(self.total)));
        let date = window.book(rule, came, now);
        self.total = total;
        match self.dated.last_mut() {
            Some((last, amount)) if *last == date => *amount += came,
            _ => self.dated.push((date, came)),
        }
    }

    /// Takes back what was dated beyond `used`, the newest first: what streamed was estimated.
    pub(super) fn correct(&mut self, window: &mut Window, rule: &Rule, used: u64) {
        let mut excess = self.total.saturating_sub(used);
        while let Some((date, amount)) = self.dated.pop().filter(|_| excess > 0) {
            let back = amount.min(excess);
            window.rebook(rule, date, back, 0);
            excess -= back;
        }
    }
}
