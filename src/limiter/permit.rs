//! The handle on a claim.

use std::{
    fmt,
    future::Future,
    sync::{Arc, OnceLock, Weak},
};

use super::{Delegation, Flight, LookAgain, Shared, delegation::Claimed};
#[cfg(feature = "gateway")]
use crate::{error::StoreError, store::Answer};
use crate::{
    limit::{LimitKey, Quantities, Quantity},
    store::{Claim, Grant, Settlement},
    tags::Tags,
    usage::Usage,
};

/// What a call may use: a granted claim on every limit that it touches.
///
/// [`settle`](Permit::settle) it with what was really used, or [`release`](Permit::release) it if the call never left.
/// Dropping it does the safe thing: what was reserved counts as used. A permit is therefore a guard: hold it for as
/// long as the work goes on, and if calls are made inside that work, do it in the permit's [`scope`](Permit::scope).
#[must_use = "dropping a permit counts what it reserved as used"]
pub struct Permit {
    pub(super) shared: Arc<Shared>,
    /// Taken when it ends.
    pub(super) grant: Option<Grant>,
    pub(super) tags: Arc<Tags>,
    /// As claimed: what it took slots of.
    quantities: Quantities,
    held: Vec<LimitKey>,
    /// The [version](crate::limit::Limits::version) of the limits that it was claimed under.
    version: u32,
    /// Goes with the grant, so that whoever knows of its slots knows whether they are held still.
    alive: OnceLock<Arc<()>>,
    sent: bool,
    /// What is held of money, in billionths of a dollar.
    money: u64,
    /// Where it began in the queue, if it had to wait.
    start: Option<u64>,
}

impl Permit {
    pub(super) fn new(shared: Arc<Shared>, grant: Grant, claim: &Claim, version: u32) -> Self {
        Permit {
            shared,
            grant: Some(grant),
            tags: claim.tags.clone(),
            quantities: claim.quantities,
            held: claim.held.clone(),
            version,
            alive: OnceLock::new(),
            sent: false,
            money: claim.demand.cost,
            start: None,
        }
    }

    /// Under which tags it was claimed.
    pub(crate) fn tags(&self) -> &Arc<Tags> {
        &self.tags
    }

    /// What is held of money, in billionths of a dollar.
    pub(crate) fn money(&self) -> u64 {
        self.money
    }

    /// The attempt leaves now. What is charged at the send expires one period after this instant.
    pub(crate) fn sent(&mut self) {
        if let Some(look_again) = self.date() {
            look_again.now();
        }
    }

    /// The same under a lock: when that is let go, those who wait are to look again.
    pub(crate) fn date(&mut self) -> Option<LookAgain> {
        self.sent = true;
        let grant = self.grant.as_mut()?;
        self.shared.store.date(grant);
        // Whoever was refused because of it knew of no instant to look again. Now there is one.
        LookAgain::of(&self.shared, &self.tags)
    }

    /// Shows whether it has ended.
    pub(super) fn flight(&self) -> Weak<dyn Flight> {
        let alive: Weak<()> = Arc::downgrade(self.alive.get_or_init(Arc::default));
        alive
    }

    /// Runs `future` as work of this call.
    ///
    /// Calls made inside it inherit the caller's tags. Where this permit holds a slot of a concurrency limit, they take
    /// no further slot of it for as long as the permit holds it; see [`Delegation`].
    ///
    /// The future does not borrow the permit, so the work inside may be spawned, or may settle the permit.
    ///
    /// # Cancel safety
    /// As cancel safe as `future`. The permit is kept.
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let inside = Delegation::current().with_caller(&self.tags);
        self.hand_down(inside).scope(future)
    }

    /// What is handed down anyway, and the slots of this call.
    pub(crate) fn hand_down(&self, outer: Delegation) -> Delegation {
        if self.grant.is_none() || !self.quantities.contain(Quantity::Concurrency) {
            return outer;
        }
        let claimed = Claimed {
            tags: self.tags.clone(),
            held: self.held.clone(),
            version: self.version,
        };
        if !self.shared.has_slots(&claimed) {
            return outer;
        }
        let alive = Arc::downgrade(self.alive.get_or_init(Arc::default));
        outer.with_slots(&self.shared, claimed, alive)
    }

    /// Replaces what was reserved with what was used.
    pub fn settle(self, usage: Usage) {
        self.end_with(Settlement::Usage(usage));
    }

    /// The same, and waits until the store has written it down, where it does. To be run to its end: dropped, those who wait
    /// for what it gives back may not look again.
    #[cfg(feature = "gateway")]
    pub(crate) async fn settled(mut self, usage: Usage) -> Result<(), StoreError> {
        let Some(grant) = self.grant.take() else {
            return Ok(());
        };
        self.alive.take();
        let answer = self.shared.store.settle(grant, Settlement::Usage(usage));
        let settled = self.shared.get(answer).await;
        self.shared.given_back(Answer::Now(Ok(())), || self.keys());
        settled
    }

    /// Reports how many output tokens of a streamed answer have arrived so far.
    ///
    /// Where a limit charges output at completion, the tokens are dated as they arrive instead of all at the end, and
    /// those beyond the reservation count at once. The number is the total so far, not the increase since the last
    /// report; a smaller number changes nothing. [`settle`](Self::settle) corrects it, so an estimate is good enough.
    ///
    /// Cheap but not free: a few reports a second are enough.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_quota::{Limiter, limit::{Limit, Limits}, limiter::Call};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let minute = Duration::from_secs(60);
    /// let limit = Limit::output_tokens(100).every(minute).margin(Duration::ZERO);
    /// let limiter = Limiter::new(Limits::new([limit]).unwrap());
    /// let mut stream = limiter.acquire(Call::new().tokens(0, 100)).await.unwrap();
    /// stream.streamed(60);
    /// // A minute later these sixty have left, though the call is still in flight.
    /// tokio::time::advance(minute).await;
    /// assert!(limiter.try_acquire(Call::new().tokens(0, 60)).await.is_ok());
    /// # });
    /// ```
    pub fn streamed(&mut self, output: u64) {
        if let Some(look_again) = self.note_streamed(output) {
            look_again.now();
        }
    }

    /// The same under a lock: when that is let go, those who wait are to look again.
    pub(crate) fn note_streamed(&mut self, output: u64) -> Option<LookAgain> {
        let grant = self.grant.as_mut()?;
        self.shared.store.streamed(grant, output);
        // What is dated now has an instant at which it leaves.
        LookAgain::of(&self.shared, &self.tags)
    }

    /// Gives everything back, because the call never left.
    pub fn release(mut self) {
        self.sent = false;
    }

    pub(super) fn waited_from(&mut self, start: u64) {
        self.start = Some(start);
    }

    /// Where it began in the queue, if it had to wait: a call that comes back keeps its place by it.
    pub(crate) fn start(&self) -> Option<u64> {
        self.start
    }

    /// The attempt may leave at any moment from now: dropping the permit no longer gives anything back. It
    /// stays undated, so that it does not expire, until it is [`sent`](Self::sent).
    pub(crate) fn leaving(&mut self) {
        self.sent = true;
    }

    /// It has not left after all: unless it is [`sent`](Self::sent) again, dropping it gives everything back.
    pub(crate) fn unsent(&mut self) {
        self.sent = false;
    }

    /// As [`settle`](Self::settle), where usage may be unknown.
    pub(crate) fn end_with(mut self, settlement: Settlement) {
        self.end(Some(settlement));
    }

    fn end(&mut self, settlement: Option<Settlement>) {
        let Some(grant) = self.grant.take() else {
            return;
        };
        self.alive.take();
        let store = &self.shared.store;
        let answer = match settlement {
            Some(settlement) => store.settle_in_passing(grant, settlement),
            None => store.release(grant),
        };
        self.shared.given_back(answer, || self.keys());
    }

    pub(super) fn keys(&self) -> Vec<LimitKey> {
        self.shared.limits().keys_given_back(&self.tags)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.end(self.sent.then_some(Settlement::Unknown));
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("tags", &self.tags)
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}
