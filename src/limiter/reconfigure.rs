//! Other limits while calls wait and run.

use std::sync::{Arc, atomic::Ordering};

use super::{Limiter, Refused, Shared, outbox::RunToEnd, refused::paused, waiter::Waiter};
use crate::{
    error::StoreError,
    limit::{LimitError, Limits},
    store::Reason,
};

/// Why limits were not changed. Everything is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The new limits make no sense.
    #[error(transparent)]
    Limits(#[from] LimitError),
    /// The store cannot change its limits.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Limiter {
    /// Replaces the limits, all at once.
    ///
    /// A limit with the same quantity, period, `when` and `per` as before is the same limit and stays: what counts under
    /// it goes on counting. Everything else about it may change: amounts, headroom, the charge, the margin, shares,
    /// thresholds. It may also come to act where it [only watched](crate::limit::Limit::shadow), as a soft budget that
    /// becomes a hard one, or the other way round; but where one that acts and one that watches stand side by side,
    /// before or after the change, each is a limit of its own. A threshold that was reported is not reported again, and
    /// an open circuit stays open while it is one. What counted under a limit that is removed is forgotten, even if the
    /// limit comes back later.
    ///
    /// - **New limits count from now on**: earlier usage is not in them, and calls in flight hold no slot of a new
    ///   concurrency limit. So for one period, or for as long as those calls last, up to twice as much may be in use.
    ///   The same holds for new slices and shares.
    /// - **Calls in flight** go on. Under limits that stay they settle by the charge they were claimed with; under
    ///   limits that are removed they change nothing.
    /// - **Calls that wait** keep their rank, and wait for what they need of the limits now in force. Where there is
    ///   room they are admitted at once; calls that no longer fit at all are refused.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_quota::{Limiter, limit::{Limit, Limits}, limiter::Call};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let requests = |amount| Limit::requests(amount).every(Duration::from_secs(60));
    /// let limiter = Limiter::new(Limits::new([requests(1)])?);
    /// drop(limiter.acquire(Call::new()).await?);
    /// assert!(limiter.try_acquire(Call::new()).await.is_err());
    ///
    /// limiter.reconfigure(&Limits::new([requests(3), Limit::concurrency(1)])?).await?;
    /// let permit = limiter.try_acquire(Call::new()).await?;
    /// let refused = limiter.try_acquire(Call::new()).await.unwrap_err();
    /// assert!(refused.to_string().contains("concurrency 1"));
    /// # drop(permit);
    ///
    /// limiter.reconfigure(&Limits::new([requests(3)])?).await?;
    /// drop(limiter.try_acquire(Call::new()).await?);
    /// let refused = limiter.try_acquire(Call::new()).await.unwrap_err();
    /// assert!(refused.to_string().contains("requests 3/min: 3 in use"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// If several limiters share a store, calls that wait at another limiter hear of the change when something arrives
    /// or ends there, or at once if the store [watches](crate::store::Store::watch).
    ///
    /// # What remains
    /// A limit that is removed leaves its name behind, some hundred bytes, and so does one whose charge is changed: the
    /// name of a count that was once handed out is never reused for another.
    ///
    /// # Errors
    /// If the store cannot change its limits; then nothing has changed. The exception is a store in a file whose disk
    /// stops accepting writes at that moment: it has changed the limits, and reports that this is not written yet.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop a change that has begun: it is made, or refused, all the same. A change that
    /// still waits for another one to finish is not made.
    pub async fn reconfigure(&self, limits: &Limits) -> Result<(), StoreError> {
        self.reconfigure_because(limits, "").await
    }

    /// Like [`reconfigure`](Self::reconfigure), and records in the [audit log](Self::audit) who did it, and why.
    ///
    /// # Errors
    /// As for [`reconfigure`](Self::reconfigure).
    ///
    /// # Cancel safety
    /// As for [`reconfigure`](Self::reconfigure).
    pub async fn reconfigure_because(
        &self,
        limits: &Limits,
        reason: impl Into<Reason>,
    ) -> Result<(), StoreError> {
        self.reconfigure_and(limits, reason.into(), || ()).await
    }

    /// The same, and changes something else together with it.
    pub(crate) async fn reconfigure_and(
        &self,
        limits: &Limits,
        reason: Reason,
        then: impl FnOnce() + Send + 'static,
    ) -> Result<(), StoreError> {
        let limits = limits.clone();
        let _one_at_a_time = self.shared.changing.lock().await;
        self.put(limits, None, reason, then).await
    }

    /// Replaces the limits with new ones made from those now in force.
    ///
    /// Changes that others make through this limiter at the same time are not lost, nor is what other processes that share
    /// the store have changed before: the store is asked first what holds. If two processes change something at the same
    /// moment, the last change wins.
    ///
    /// ```
    /// use tower_quota::{Limiter, limit::{Limit, LimitError, Limits}, limiter::ChangeError, store::Reason};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limiter = Limiter::new(Limits::new([Limit::concurrency(4)])?);
    /// let by = |who| Reason::new("more workers").by(who);
    /// limiter.change(by("ada"), |limits| limits.with_amount("concurrency 4", None, 8)).await?;
    /// assert_eq!(limiter.limits().iter().next().unwrap().to_string(), "concurrency 8");
    ///
    /// let refused = limiter.change(by("bob"), |limits| limits.with_amount("concurrency 4", None, 8)).await;
    /// assert!(matches!(refused, Err(ChangeError::Limits(LimitError::Unknown { .. }))));
    /// assert_eq!(limiter.audit().await?.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Whatever `change` returns, and as for [`reconfigure`](Self::reconfigure). Nothing has changed then.
    ///
    /// # Cancel safety
    /// As for [`reconfigure`](Self::reconfigure). A change that has not heard yet what holds is not made either.
    pub async fn change(
        &self,
        reason: impl Into<Reason>,
        change: impl FnOnce(&Limits) -> Result<Limits, LimitError>,
    ) -> Result<(), ChangeError> {
        let change = |limits: &Limits| Ok((change(limits)?, None));
        self.change_and(reason.into(), change, || ()).await
    }

    /// The same, and changes something else together with it. Beside the limits there may be those that a configuration gives
    /// which was read again.
    pub(crate) async fn change_and<E: From<StoreError>>(
        &self,
        reason: Reason,
        change: impl FnOnce(&Limits) -> Result<(Limits, Option<Limits>), E>,
        then: impl FnOnce() + Send + 'static,
    ) -> Result<(), E> {
        // Let go with this future: a change that is made without it must not keep others waiting for its runtime.
        let _one_at_a_time = self.shared.changing.lock().await;
        // What another process has changed may not be known here yet, and would be taken back.
        self.shared.get(self.shared.store.catch_up()).await?;
        let (limits, given) = change(&self.shared.store.limits())?;
        self.put(limits, given, reason, then).await?;
        Ok(())
    }

    /// Has other limits hold, while nobody else changes them through this limiter.
    async fn put(
        &self,
        limits: Limits,
        given: Option<Limits>,
        reason: Reason,
        then: impl FnOnce() + Send + 'static,
    ) -> Result<(), StoreError> {
        let shared = self.shared.clone();
        let answer = match given {
            Some(given) => shared.store.reload(&limits, &given, &reason),
            None => shared.store.reconfigure(&limits, &reason),
        };
        let work = async move {
            answer.get().await?;
            then();
            shared.tell_events();
            shared.limits_changed().await;
            Ok(())
        };
        RunToEnd::new(self.shared.clone(), work).get().await
    }
}

impl Shared {
    /// The limits that hold now. Should another limiter on the same store have changed them, those who wait here hear of
    /// it.
    pub(super) fn limits(&self) -> Limits {
        let limits = self.store.limits();
        if self.see(&limits) {
            let waiters = self.stand_anew(&limits);
            self.refuse_paused(waiters, &limits);
            self.changed.send_replace(());
        }
        limits
    }

    /// Notes which limits were seen. Returns whether they are later ones.
    fn see(&self, limits: &Limits) -> bool {
        let version = limits.version();
        self.version.fetch_max(version, Ordering::AcqRel) < version
    }

    /// Has all who wait look again, each for what it needs under these limits. Returns them.
    fn stand_anew(&self, limits: &Limits) -> Vec<Arc<Waiter>> {
        let waiters: Vec<Arc<Waiter>> = {
            let mut queue = self.queue();
            // Whoever comes from now on stands by these.
            queue.go_by(limits);
            queue.waiters().cloned().collect()
        };
        let wants = waiters.iter().map(|waiter| self.wants(&waiter.claim));
        let wants: Vec<_> = wants.collect();
        let mut queue = self.queue();
        let all = waiters.iter().zip(wants);
        all.for_each(|(waiter, wants)| queue.stand_for(waiter, wants));
        queue.kick_all();
        drop(queue);
        waiters
    }

    /// Refuses those who are paused. Returns the others.
    fn refuse_paused(&self, mut waiters: Vec<Arc<Waiter>>, limits: &Limits) -> Vec<Arc<Waiter>> {
        if limits.have_pauses() {
            waiters.retain(|waiter| {
                let Some(paused) = paused(limits, &waiter.claim) else {
                    return true;
                };
                self.queue().gave_up(waiter);
                drop(waiter.answer(Err(paused)));
                false
            });
        }
        waiters
    }

    /// Has all who wait look again, and refuses those who no longer fit at all.
    async fn limits_changed(self: &Arc<Self>) {
        let limits = self.store.limits();
        self.see(&limits);
        let waiters = self.stand_anew(&limits);
        let waiters = self.refuse_paused(waiters, &limits);
        let never = |waiter: &&Arc<Waiter>| waiter.claim.never_fits(&limits);
        for waiter in waiters.iter().filter(never) {
            // The store says why. What it grants after all is dropped, and given back.
            let answer = self.ask(&waiter.claim).await;
            if let Err(Refused::Rejected(rejection)) = answer {
                self.queue().gave_up(waiter);
                drop(waiter.answer(Err(rejection)));
            }
        }
        self.changed.send_replace(());
    }
}
