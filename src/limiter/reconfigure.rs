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
    /// What they were to be makes no sense.
    #[error(transparent)]
    Limits(#[from] LimitError),
    /// The store cannot change its limits.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Limiter {
    /// Other limits from now on, all at once.
    ///
    /// A limit of the same quantity, period, `when` and `per`, which acts or only watches as before, is the same limit,
    /// and stays: what counts under it goes on counting, and all else that is said of it may be another: amounts,
    /// headroom, the charge, the margin, shares, thresholds. A threshold that was told of is not told again, and a circuit
    /// that is open stays open. What counted under a limit that is gone is forgotten, also where it comes back later.
    ///
    /// - **New limits count from now on**: what was used before is not in them, and a call in flight holds no slot of a new
    ///   limit on concurrency. So for one period, or for as long as those calls last, as much again may be in use. The
    ///   same holds for a slice and a share that are new.
    /// - **Calls in flight** go on. They settle under the limits that stay by the charge they were claimed by, and change
    ///   nothing under those that are gone.
    /// - **Calls that wait** keep their rank, and wait for what they need of the limits that hold now. Where there is room
    ///   they are let in at once; those that no longer fit at all are refused.
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
    /// Of several limiters on one store, calls that wait at another than this hear of it when something comes or ends there,
    /// and at once where the store [watches](crate::store::Store::watch).
    ///
    /// # What it leaves
    /// A limit that is gone leaves its name behind, some hundred bytes, and so does one whose charge is changed: names of
    /// counts that were told are never those of others.
    ///
    /// # Errors
    /// Where the store cannot change its limits. Then nothing is changed. A store in a file whose disk takes nothing any more
    /// just then has changed them, and says that this is not written yet.
    ///
    /// # Cancel safety
    /// Dropping the future stops nothing that has begun: the change is made, or refused, all the same. One that still waits
    /// for another to be made is not made.
    pub async fn reconfigure(&self, limits: &Limits) -> Result<(), StoreError> {
        self.reconfigure_because(limits, "").await
    }

    /// The same, and the [audit log](Self::audit) has who did it, and why.
    ///
    /// # Errors
    /// As [`reconfigure`](Self::reconfigure).
    ///
    /// # Cancel safety
    /// As [`reconfigure`](Self::reconfigure).
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
        self.change_and(reason, move |_| Ok(limits), then).await
    }

    /// Other limits, made of those that hold: so what others change at the same time, here, is not lost. Of processes that
    /// share a store the last one has it.
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
    /// What `change` says, and as [`reconfigure`](Self::reconfigure). Nothing is changed then.
    ///
    /// # Cancel safety
    /// As [`reconfigure`](Self::reconfigure).
    pub async fn change(
        &self,
        reason: impl Into<Reason>,
        change: impl FnOnce(&Limits) -> Result<Limits, LimitError>,
    ) -> Result<(), ChangeError> {
        let change = |limits: &Limits| Ok(change(limits)?);
        self.change_and(reason.into(), change, || ()).await
    }

    /// The same, and changes something else together with it.
    pub(crate) async fn change_and<E: From<StoreError> + Send + 'static>(
        &self,
        reason: Reason,
        change: impl FnOnce(&Limits) -> Result<Limits, E>,
        then: impl FnOnce() + Send + 'static,
    ) -> Result<(), E> {
        let shared = self.shared.clone();
        // Let go with this future: a change that is made without it must not keep others waiting for its runtime.
        let _one_at_a_time = self.shared.changing.lock().await;
        let limits = change(&shared.store.limits())?;
        let answer = shared.store.reconfigure(&limits, &reason);
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
