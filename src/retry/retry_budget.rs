//! How many repeats there may be beside the calls, so that an outage is not multiplied.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A repeat, in the unit that is counted in.
const ONE: u64 = 100;
/// How many repeats are saved up at most, beside the reserve.
const SAVED: u64 = 100;
/// In how long the reserve is there again.
const REFILL: Duration = Duration::from_secs(10);

/// How many repeats there may be: a share of the calls, and some in reserve for those who call seldom.
///
/// In any span of time there are no more repeats than that share of the calls in it, plus twice the reserve and up to a
/// hundred that were saved up before, plus the reserve once for every ten seconds. Repeats of a 429 do not count: a
/// provider that answers so is well, and says when to come back.
///
/// All services of a layer share one budget, as do those of its clones.
///
/// ```
/// use tower_quota::retry::RetryBudget;
///
/// let budget = RetryBudget::percent(10).reserve(5);
/// # let _ = budget;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct RetryBudget {
    percent: u32,
    reserve: u32,
    balance: Arc<Mutex<Balance>>,
}

#[derive(Debug, Default)]
struct Balance {
    saved: u64,
    reserve: u64,
    /// When the reserve was looked at last; `None`: never, and it is whole.
    since: Option<Instant>,
}

impl RetryBudget {
    /// Creates a budget of this many repeats for every hundred calls, and ten in reserve.
    pub fn percent(percent: u32) -> Self {
        RetryBudget {
            percent,
            reserve: 10,
            balance: Arc::default(),
        }
    }

    /// Sets how many more repeats are in reserve. They are there at the beginning, and again ten seconds after they
    /// were used.
    pub fn reserve(self, repeats: u32) -> Self {
        RetryBudget {
            reserve: repeats,
            // A balance of its own.
            balance: Arc::default(),
            ..self
        }
    }

    /// A call comes: the first attempt, which is no repeat.
    pub(crate) fn call(&self) {
        let mut balance = self.lock();
        let saved = balance.saved.saturating_add(u64::from(self.percent));
        balance.saved = saved.min(SAVED * ONE);
    }

    /// Takes one repeat; whether there was one.
    pub(crate) fn take(&self, now: Instant) -> bool {
        let mut balance = self.lock();
        let whole = u64::from(self.reserve) * ONE;
        let refilled = match balance.since {
            None => whole,
            Some(since) => {
                let passed = now.saturating_duration_since(since).min(REFILL);
                let refilled = u128::from(whole) * passed.as_millis() / REFILL.as_millis();
                u64::try_from(refilled).unwrap_or(whole)
            }
        };
        if refilled > 0 {
            // Else what was too little to count would be lost.
            balance.reserve = balance.reserve.saturating_add(refilled).min(whole);
            balance.since = Some(now);
        }
        let Balance { saved, reserve, .. } = &mut *balance;
        let from = if *saved >= ONE { saved } else { reserve };
        match from.checked_sub(ONE) {
            Some(rest) => {
                *from = rest;
                true
            }
            None => false,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Balance> {
        self.balance.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for RetryBudget {
    /// Twenty repeats for every hundred calls, and ten in reserve.
    fn default() -> Self {
        Self::percent(20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(budget: &RetryBudget, now: Instant) -> u32 {
        let mut taken = 0;
        while budget.take(now) {
            taken += 1;
            assert!(taken < 10_000, "it has no end");
        }
        taken
    }

    #[test]
    fn a_share_of_the_calls_and_the_reserve_and_no_more() {
        let (budget, now) = (RetryBudget::percent(20).reserve(10), Instant::now());
        assert_eq!(taken(&budget, now), 10);
        for _ in 0..50 {
            budget.call();
        }
        assert_eq!(taken(&budget, now), 10);
        assert_eq!(taken(&budget, now), 0);
    }

    #[test]
    fn the_reserve_comes_back_in_ten_seconds_and_not_twice() {
        let (budget, now) = (RetryBudget::percent(0).reserve(10), Instant::now());
        assert_eq!(taken(&budget, now), 10);
        assert_eq!(taken(&budget, now + Duration::from_secs(5)), 5);
        assert_eq!(taken(&budget, now + Duration::from_secs(600)), 10);
    }

    #[test]
    fn what_is_asked_often_comes_back_as_well() {
        let (budget, start) = (RetryBudget::percent(0).reserve(1), Instant::now());
        assert_eq!(taken(&budget, start), 1);
        let each = (1..=20_000).map(|step| start + Duration::from_millis(1) * step);
        assert_eq!(each.map(|now| taken(&budget, now)).sum::<u32>(), 2);
    }

    #[test]
    fn a_long_calm_does_not_pay_for_a_storm() {
        let (budget, now) = (RetryBudget::percent(100).reserve(10), Instant::now());
        for _ in 0..1_000_000 {
            budget.call();
        }
        assert_eq!(taken(&budget, now), 110);
    }

    #[test]
    fn clones_share_and_a_new_reserve_does_not() {
        let (budget, now) = (RetryBudget::percent(0).reserve(3), Instant::now());
        let other = budget.clone();
        assert!(other.take(now));
        assert_eq!(taken(&budget, now), 2);
        assert_eq!(taken(&other, now), 0);
        assert_eq!(taken(&budget.reserve(4), now), 4);
    }
}
