//! One count of a run, or in total: nothing leaves.
//!
//! Nothing says that a run has ended. So a window keeps when something was charged last: what goes by that is the same in
//! every process that did the same, and after a restart.

use super::{
    Tick,
    window::{Spent, Window},
};

/// The first date that is kept: before it nobody has kept one.
const FIRST: Tick = Tick::from_micros(1);

impl Window {
    /// Charges so much at this instant, for good. Returns the date it is booked under.
    #[inline]
    pub(super) fn book_by_run(&mut self, amount: u64, date: Tick) -> Tick {
        self.dated = self.dated.saturating_add(amount);
        self.last.last = self.last.last.max(date).max(FIRST);
        date
    }

    /// When something was charged last. Where nobody has kept that, it is from now on.
    pub(crate) fn used_last(&mut self, now: Tick) -> Tick {
        if self.last.last < FIRST {
            self.last.last = now.max(FIRST);
        }
        self.last.last
    }

    /// What counts, and how long ago something was charged last. What is held counts as charged now, and so does what nobody
    /// has kept a date of.
    pub(super) fn spent_by_run(&self, now: Tick) -> Option<Spent> {
        let amount = self.in_use();
        let known = self.held == 0 && self.last.last >= FIRST;
        let last = if known { self.last.last } else { now };
        (amount > 0).then_some(Spent {
            age: now.as_micros().saturating_sub(last.as_micros()),
            amount,
            until: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::{Limit, Limits, Rule};

    fn rule() -> Rule {
        let limit = Limit::requests(9).every_run();
        Limits::new([limit]).unwrap().rules()[0].clone()
    }

    fn at(second: u64) -> Tick {
        Tick::from_micros(second * 1_000_000)
    }

    #[test]
    fn it_is_kept_when_something_was_charged_last_and_by_those_who_go_on_from_there() {
        let (rule, mut window) = (rule(), Window::new(9));
        window.book(&rule, 1, at(100));
        window.book(&rule, 1, at(60));
        window.hold(1);
        window.unhold(1);
        assert_eq!(window.used_last(at(500)), at(100));
        let spent = window.spent(&rule, at(130));
        assert_eq!(
            (spent.len(), spent[0].age, spent[0].amount),
            (1, 30_000_000, 2)
        );
        let mut other = Window::new(9);
        other.book_spent(&rule, &spent, at(1_000));
        assert_eq!(other.used_last(at(2_000)), at(970));
        window.hold(1);
        let spent = window.spent(&rule, at(130));
        assert_eq!((spent[0].age, spent[0].amount), (0, 3), "a call in flight");
    }

    #[test]
    fn what_was_charged_at_the_very_beginning_is_known_and_what_nobody_kept_is_from_now_on() {
        let (rule, mut window) = (rule(), Window::new(9));
        window.book(&rule, 1, at(0));
        assert_eq!(window.used_last(at(500)), FIRST);
        let mut unknown = Window::new(9);
        assert_eq!(unknown.used_last(at(500)), at(500));
        assert_eq!(unknown.used_last(at(900)), at(500));
    }
}
