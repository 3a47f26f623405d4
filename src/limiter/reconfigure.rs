//! Other amounts while calls wait and run.

use std::sync::Arc;

use super::{Limiter, Refused, Shared, outbox::RunToEnd, waiter::Waiter};
use crate::{
    error::StoreError,
    limit::{Limits, LimitsDiffer},
};

/// Why limits were not changed. They are as they were.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReconfigureError {
    /// The new limits are not the old ones with other amounts.
    #[error(transparent)]
    Differ(#[from] LimitsDiffer),
    /// The store cannot change them.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Limiter {
    /// Other amounts for the same limits, all at once. What counts goes on counting, calls in flight go on.
    ///
    /// Limits are matched by quantity, period, `when` and `per`; amounts, amounts for values and headroom
    /// may differ. Where amounts rise, those who wait are let in at once; where they fall, calls that no
    /// longer fit at all are refused, and nothing else is granted until enough has expired.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_quota::{Limiter, limit::{Limit, Limits}, limiter::Call};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limits = |amount| Limits::new([Limit::requests(amount).every(Duration::from_secs(60))]);
    /// let limiter = Limiter::new(limits(1)?);
    /// drop(limiter.acquire(Call::new()).await?);
    /// assert!(limiter.try_acquire(Call::new()).await.is_err());
    ///
    /// limiter.reconfigure(&limits(2)?).await?;
    /// drop(limiter.try_acquire(Call::new()).await?);
    /// assert!(limiter.try_acquire(Call::new()).await.is_err());
    /// assert_eq!(limiter.limits_now().iter().next().unwrap().to_string(), "requests 2/min");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where a limit is missing, new, or differs in more than its amounts, and where the store cannot change
    /// amounts. Then nothing is changed.
    ///
    /// # Cancel safety
    /// Dropping the future stops nothing: the change is made, or refused, all the same.
    pub async fn reconfigure(&self, limits: &Limits) -> Result<(), ReconfigureError> {
        let shared = self.shared.clone();
        shared.store.limits().with_amounts_of(limits)?;
        let answer = shared.store.reconfigure(limits);
        let work = async move {
            answer.get().await?;
            shared.tell_events();
            shared.amounts_changed().await;
            Ok(())
        };
        let changed: Result<(), StoreError> = RunToEnd::new(self.shared.clone(), work).get().await;
        Ok(changed?)
    }

    /// The limits with the amounts that hold now.
    #[must_use]
    pub fn limits_now(&self) -> Limits {
        self.shared.store.limits_now()
    }
}

impl Shared {
    /// Refuses those who no longer fit at all, and has all others look again.
    async fn amounts_changed(self: &Arc<Self>) {
        let limits = self.store.limits_now();
        let never = |waiter: &&Arc<Waiter>| waiter.claim.never_fits(&limits);
        let too_large: Vec<_> = self.queue().waiters().filter(never).cloned().collect();
        for waiter in too_large {
            // The store says why. What it grants after all is dropped, and given back.
            let answer = self.ask(&waiter.claim).await;
            if let Err(Refused::Rejected(rejection)) = answer {
                self.queue().gave_up(&waiter);
                drop(waiter.answer(Err(rejection)));
            }
        }
        self.queue().kick_all();
        self.changed.send_replace(());
    }
}
