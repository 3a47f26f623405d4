//! Budgets that warn, and budgets that stop for good.
//!
//! Both look at what is spent: settled, not reserved.

use super::{Life, Limit, LimitError, Quantity, Rule, Tick, amount::share_of, window::Window};

/// What happens to a budget when something is spent or refused.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Happened {
    /// This share of it is spent, for the first time in its period.
    Passed(f64),
    /// Its circuit has opened.
    Tripped,
}

impl Limit {
    /// Warns when these shares of the budget are spent, with a [`BudgetEvent`](crate::store::BudgetEvent).
    ///
    /// Each share is reported once in a period: for a sliding period, once until spending has fallen below it again and
    /// a period has passed; for a run, once. If the amount is changed, shares that are not spent of the new amount can
    /// be reported again. For limits on [cost](Self::cost). Each share must be more than 0 and at most 1, and is kept
    /// to the millionth.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_quota::{Money, limit::{Limit, Limits}};
    ///
    /// let budget = Limit::cost(Money::from_dollars(10)).every_run().thresholds([0.5, 0.8]);
    /// assert!(Limits::new([budget]).is_ok());
    /// let of_requests = Limit::requests(10).every_run().thresholds([0.5]);
    /// assert!(Limits::new([of_requests]).is_err());
    /// ```
    pub fn thresholds(mut self, shares: impl IntoIterator<Item = f64>) -> Self {
        self.thresholds = shares.into_iter().collect();
        self.thresholds.sort_by(f64::total_cmp);
        self.thresholds
            .dedup_by_key(|share| super::amount::millionths(*share));
        self
    }

    /// Stops calls for good once the budget is exceeded, until somebody [resets](crate::Limiter::reset) it.
    ///
    /// The circuit opens when what is spent passes the amount, or when a call is refused because of this budget and at
    /// least half of the amount is spent. From then on every further call is refused, in later periods too. Because a
    /// call is refused for the most that it may cost, this happens before all is spent; a call that is too large for a
    /// budget that is hardly touched stops nobody else. Calls that cost nothing go on. If the budget is split, or is
    /// per run, only the one that went over stops; values that [share](crate::store::MemoryStore#bounds) a count stop
    /// together. For limits on [cost](Self::cost).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_quota::{Money, Tag, limit::{Limit, Limits}};
    ///
    /// let hour = Duration::from_secs(3_600);
    /// let budget = Limit::cost(Money::from_dollars(10)).every(hour).per(Tag::Agent).circuit();
    /// assert_eq!(budget.to_string(), "cost $10.00/hour per agent (circuit)");
    /// assert!(Limits::new([budget]).is_ok());
    /// ```
    pub fn circuit(mut self) -> Self {
        self.circuit = true;
        self
    }

    /// Of how many thresholds nobody is to be warned, where so many of the old ones were told: of those that are no
    /// more than the highest of them.
    pub(super) fn known_thresholds(&self, old: &Limit, told: usize) -> usize {
        let told = told
            .checked_sub(1)
            .and_then(|last| old.thresholds.get(last));
        let Some(told) = told else {
            return 0;
        };
        // Where they were written and read, the last digit may differ.
        let told = super::amount::millionths(*told);
        let known = |share: &&f64| super::amount::millionths(**share) <= told;
        self.thresholds.iter().take_while(known).count()
    }

    /// Whether somebody looks at what is spent of it.
    pub(super) fn is_watched(&self) -> bool {
        self.circuit || !self.thresholds.is_empty()
    }
}

impl Window {
    /// Whether it refuses everything until it is reset.
    pub(crate) fn is_tripped(&self) -> bool {
        self.learnt.as_ref().is_some_and(|learnt| learnt.tripped)
    }

    /// Whether there may be anything to tell. Only less can have happened once it has [expired](Self::expire).
    pub(crate) fn may_have_passed(&self, rule: &Rule) -> bool {
        let may_trip = rule.limit.circuit && !self.is_tripped() && self.dated > self.amount();
        may_trip || self.passed(rule) > self.warned()
    }

    /// What has happened since it was looked at last: something was spent.
    pub(crate) fn after_spending(&mut self, rule: &Rule, now: Tick) -> Vec<Happened> {
        let mut happened = Vec::new();
        let (passed, warned) = (self.passed(rule), self.warned());
        if passed > warned {
            let learnt = self.learnt.get_or_insert_default();
            (learnt.warned, learnt.warned_at) = (passed, now);
            let passed = &rule.limit.thresholds[warned..passed];
            happened.extend(passed.iter().map(|share| Happened::Passed(*share)));
        }
        if self.dated > self.amount() {
            happened.extend(self.trip(rule));
        }
        happened
    }

    /// Whether this is a budget of which too much is spent for a claim of so much, whatever is reserved.
    pub(crate) fn is_spent(&self, rule: &Rule, needed: u64) -> bool {
        rule.limit.quantity == Quantity::Cost && self.dated.saturating_add(needed) > self.amount()
    }

    /// A claim of so much found no room. Whether that opens the circuit: only where the money is spent, and not where
    /// it is the call that is large.
    pub(crate) fn after_refusing(&mut self, rule: &Rule, needed: u64) -> Option<Happened> {
        let half = self.dated >= self.amount().div_ceil(2);
        if half && self.is_spent(rule, needed) && needed <= self.amount() {
            self.trip(rule)
        } else {
            None
        }
    }

    fn trip(&mut self, rule: &Rule) -> Option<Happened> {
        if !rule.limit.circuit || self.is_tripped() {
            return None;
        }
        self.learnt.get_or_insert_default().tripped = true;
        Some(Happened::Tripped)
    }

    /// Closes the circuit, and begins anew: what was spent is forgotten, what is reserved stays. Returns whether it
    /// was open.
    pub(crate) fn reset(&mut self) -> bool {
        let tripped = self.is_tripped();
        if let Some(learnt) = self.learnt.as_mut().filter(|_| tripped) {
            (learnt.tripped, learnt.warned) = (false, 0);
            self.forget_dated();
        }
        tripped
    }

    /// How many thresholds are passed by what is spent.
    fn passed(&self, rule: &Rule) -> usize {
        let amount = self.amount();
        let passed = |share: &&f64| self.dated >= share_of(amount, **share);
        let thresholds = rule.limit.thresholds.iter();
        thresholds.take_while(passed).count()
    }

    /// Of how many of them was warned.
    pub(crate) fn warned(&self) -> usize {
        self.learnt.as_ref().map_or(0, |learnt| learnt.warned)
    }

    /// As it was kept.
    pub(crate) fn set_alarms(&mut self, tripped: bool, warned: usize, now: Tick) {
        if tripped || warned > 0 {
            let learnt = self.learnt.get_or_insert_default();
            (learnt.tripped, learnt.warned, learnt.warned_at) = (tripped, warned, now);
        }
    }

    /// How many thresholds may have been told: no more than are passed.
    pub(crate) fn most_warned(&self, rule: &Rule) -> usize {
        self.passed(rule)
    }

    /// A period has ended, or the amount is another: what is not spent may be warned of again.
    pub(super) fn warn_again(&mut self, rule: &Rule) {
        let passed = self.passed(rule);
        if let Some(learnt) = &mut self.learnt {
            learnt.warned = learnt.warned.min(passed);
        }
    }

    /// The same of a period that has no end of its own.
    pub(super) fn warn_again_when_below(&mut self, rule: &Rule, now: Tick) {
        let Life::Sliding { stay, .. } = rule.life else {
            return;
        };
        let over = |at: Tick| at.after_micros(stay) <= now;
        if self
            .learnt
            .as_ref()
            .is_some_and(|learnt| learnt.warned > 0 && over(learnt.warned_at))
        {
            self.warn_again(rule);
        }
    }
}

/// Budgets are of money, and a share is a share.
pub(super) fn check_alarms(place: usize, limit: &Limit) -> Result<(), LimitError> {
    let field = if limit.circuit {
        "circuit"
    } else {
        "thresholds"
    };
    let wrong = |share: &&f64| !super::amount::is_share(**share);
    let (field, reason) = match limit.thresholds.iter().find(wrong) {
        _ if limit.is_watched() && limit.quantity != Quantity::Cost => (
            field,
            "is for limits on cost; other limits have room again by themselves".to_owned(),
        ),
        _ if limit.circuit && limit.shadow => (
            field,
            "would stop calls, and a limit that only watches stops none; say one of both"
                .to_owned(),
        ),
        Some(share) => (
            "thresholds",
            format!("{share} must be more than 0 and at most 1: 0.8 warns at four fifths"),
        ),
        None => return Ok(()),
    };
    Err(LimitError::BadAlarm {
        place,
        limit: limit.to_string(),
        field,
        reason,
    })
}

#[cfg(test)]
#[path = "circuit_tests.rs"]
mod tests;
