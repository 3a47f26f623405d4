//! The engine: claims, a queue, permits. No HTTP.
//!
//! ```
//! use std::time::Duration;
//! use tower_quota::{limit::{Limit, Limits}, limiter::{Call, Limiter}, Usage};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let limits = Limits::new([Limit::tokens(90_000).every(Duration::from_secs(60))])?;
//! let limiter = Limiter::new(limits);
//!
//! let permit = limiter.acquire(Call::new().tokens(1_200, 400)).await?;
//! // … make the call, then say what it used …
//! permit.settle(Usage::new(1_180, 212));
//! # Ok(())
//! # }
//! ```

mod call;
mod driver;
mod outbox;
mod permit;
mod queue;
mod reconfigure;
mod refused;
mod waiter;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

pub use call::Call;
pub(crate) use call::Turn;
pub use permit::Permit;
pub use reconfigure::ReconfigureError;

use self::{
    outbox::RunToEnd,
    queue::{Queue, Rank},
    waiter::Waiter,
};
use crate::{
    error::{Rejection, Shortage, StoreError},
    limit::{LimitKey, Limits, Quantities, micros},
    store::{Answer, BoxFuture, Claim, Decision, MemoryStore, NotNow, Store},
    tags::Tags,
};

/// How many calls may wait, where nothing else is said.
const LONGEST_QUEUE: usize = 100_000;
/// By how much one step of priority makes a call older, where nothing else is said.
const AGING: Duration = Duration::from_secs(10);

/// Admits calls under limits; those that do not fit wait for their turn.
///
/// Cheap to clone: clones share everything.
///
/// # Fairness
/// Calls go by rank: the earlier came first, and each step of priority counts as having come one *aging*
/// span earlier. A call that waits for one limit does not hold up calls that do not touch it. No call
/// passes a better ranked one that waits for a limit it needs itself.
///
/// # Runtime
/// Needs tokio's timer. A task is started when somebody has to wait and ends when nobody does.
#[derive(Clone)]
pub struct Limiter {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    store: Arc<dyn Store>,
    queue: Mutex<Queue>,
    /// Tells the driver that something changed.
    changed: Notify,
    outbox: Mutex<Vec<BoxFuture<()>>>,
    start: Instant,
    longest_queue: usize,
    aging: Duration,
}

/// A claim that was not granted at once.
pub(crate) enum Refused {
    /// There may be room later.
    NotNow(NotNow),
    /// There is nothing to wait for.
    Rejected(Rejection),
}

impl Limiter {
    /// A limiter that counts in this process's memory.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self::with_store(MemoryStore::new(limits))
    }

    /// A limiter that counts in `store`.
    #[must_use]
    pub fn with_store(store: impl Store) -> Self {
        Self::build(Arc::new(store), LONGEST_QUEUE, AGING)
    }

    /// As [`with_store`](Self::with_store), with bounds of its own: how many calls may wait, and by how
    /// much a step of priority makes a call older.
    #[must_use]
    pub fn build(store: Arc<dyn Store>, longest_queue: usize, aging: Duration) -> Self {
        let (queue, changed, outbox) = Default::default();
        let start = Instant::now();
        Limiter {
            shared: Arc::new(Shared {
                store,
                queue,
                changed,
                outbox,
                start,
                longest_queue,
                aging,
            }),
        }
    }

    /// Waits for room and takes it. The permit is dated when this returns.
    ///
    /// # Errors
    /// A [`Rejection`] where waiting makes no sense: the call never fits, its wait cannot end in time, the
    /// queue is full, the store cannot answer.
    ///
    /// # Cancel safety
    /// Dropping the future at any moment gives everything back.
    pub async fn acquire(&self, call: Call) -> Result<Permit, Rejection> {
        let (claim, turn) = call.into_parts(Quantities::ADMISSION);
        let mut permit = self.claim(&claim, turn).await?;
        permit.sent();
        Ok(permit)
    }

    /// Takes room if there is some now, without waiting and without passing anybody who waits.
    ///
    /// # Errors
    /// [`Rejection::RateLimited`] where there is no room now, and what [`acquire`](Self::acquire) says.
    ///
    /// # Cancel safety
    /// Dropping the future at any moment gives everything back.
    pub async fn try_acquire(&self, call: Call) -> Result<Permit, Rejection> {
        let (claim, turn) = call.into_parts(Quantities::ADMISSION);
        match self.try_claim(&claim, turn).await {
            Ok(mut permit) => {
                permit.sent();
                Ok(permit)
            }
            Err(Refused::Rejected(rejection)) => Err(rejection),
            Err(Refused::NotNow(refused)) => Err(self.turn_away(&claim, &refused)),
        }
    }

    /// How many calls wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.queue().len()
    }

    /// The limits, as they were at the start.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        self.shared.store.limits()
    }

    /// Whether both are clones of one limiter.
    pub(crate) fn is(&self, other: &Limiter) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Waits for room and holds it, undated.
    pub(crate) async fn claim(&self, claim: &Claim, turn: Turn) -> Result<Permit, Rejection> {
        match self.try_claim(claim, turn).await {
            Ok(permit) => Ok(permit),
            Err(Refused::Rejected(rejection)) => Err(rejection),
            Err(Refused::NotNow(refused)) => self.wait(claim, turn, refused).await,
        }
    }

    /// Holds room if there is some now, undated.
    pub(crate) async fn try_claim(&self, claim: &Claim, turn: Turn) -> Result<Permit, Refused> {
        let shared = &self.shared;
        if let Some(refused) = self.behind(claim, turn) {
            return Err(Refused::NotNow(refused));
        }
        let answer = shared.ask(claim).await;
        answer.inspect_err(|refused| self.note_refused(claim, refused))
    }

    /// Whether somebody better ranked waits for what this claim needs: then it waits behind.
    fn behind(&self, claim: &Claim, turn: Turn) -> Option<NotNow> {
        let shared = &self.shared;
        let queue = shared.queue();
        if queue.len() == 0 {
            return None;
        }
        let keys = shared.store.keys(&claim.tags);
        let key = queue.blocker(&keys, shared.rank(turn))?.clone();
        Some(NotNow {
            key,
            at: None,
            in_use: 0,
            needed: 0,
        })
    }

    /// Queues after a refusal, and holds what was claimed once it is granted, undated.
    async fn stand_in_line(
        &self,
        claim: &Claim,
        turn: Turn,
        refused: NotNow,
    ) -> Result<Permit, Rejection> {
        let shared = &self.shared;
        if let Some(rejection) = shared.too_late(&refused, turn.deadline) {
            return Err(rejection);
        }
        let keys = shared.store.keys(&claim.tags);
        let waiter = {
            let mut queue = shared.queue();
            if queue.len() >= shared.longest_queue {
                let (waiting, shortage) = (queue.len(), shared.shortage(&refused));
                return Err(Rejection::QueueFull { waiting, shortage });
            }
            let rank = queue.place(shared.rank(turn));
            let waiter = Arc::new(Waiter::new(
                claim.clone(),
                keys,
                rank,
                turn.deadline,
                refused.clone(),
            ));
            queue.park(waiter.clone(), refused.key.clone(), refused.at);
            // Room may have come back between the refusal and this.
            queue.kick([refused.key]);
            waiter
        };
        let place = Place { shared, waiter };
        shared.changed.notify_one();
        let answer = std::future::poll_fn(|cx| {
            let answer = place.waiter.poll(cx);
            if answer.is_pending() {
                driver::ensure(shared);
            }
            answer
        });
        match turn.deadline {
            None => answer.await,
            Some(deadline) => tokio::time::timeout_at(deadline, answer)
                .await
                .unwrap_or_else(|_| {
                    Err(Rejection::DeadlineExceeded(
                        shared.shortage(&place.waiter.refused()),
                    ))
                }),
        }
    }
}

/// A waiter's place in the queue, given up when its future is dropped.
struct Place<'a> {
    shared: &'a Arc<Shared>,
    waiter: Arc<Waiter>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let left = self.shared.queue().remove(self.waiter.rank);
        if left {
            self.shared.changed.notify_one();
        }
        // A permit granted in the meantime is dropped here, outside the lock, and gives everything back.
        drop(self.waiter.abandon());
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outbox(&self) -> MutexGuard<'_, Vec<BoxFuture<()>>> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the store, and sees to it that a grant is never lost, whoever goes away meanwhile.
    async fn ask(self: &Arc<Self>, claim: &Claim) -> Result<Permit, Refused> {
        match self.store.claim(claim) {
            Answer::Now(answer) => self.grant(answer, &claim.tags),
            Answer::Later(answer) => {
                self.flush();
                let (shared, tags) = (self.clone(), claim.tags.clone());
                let work = async move { shared.grant(answer.await, &tags) };
                RunToEnd::new(self.clone(), work).get().await
            }
        }
    }

    fn grant(
        self: &Arc<Self>,
        answer: Result<Decision, StoreError>,
        tags: &Arc<Tags>,
    ) -> Result<Permit, Refused> {
        match answer {
            Ok(Decision::Granted(grant)) => Ok(Permit::new(self.clone(), grant, tags.clone())),
            Ok(Decision::NotNow(refused)) => Err(Refused::NotNow(refused)),
            Ok(Decision::Never(refused)) => Err(Refused::Rejected(self.never(&refused))),
            Err(error) => Err(Refused::Rejected(error.into())),
        }
    }

    /// The same whenever it is asked for, so that a call that queues again keeps its place.
    fn rank(&self, turn: Turn) -> Rank {
        let signed = |span| i64::try_from(micros(span)).unwrap_or(i64::MAX);
        let arrival = match turn.arrived.checked_duration_since(self.start) {
            Some(after) => signed(after),
            None => -signed(self.start.duration_since(turn.arrived)),
        };
        let head_start = signed(self.aging).saturating_mul(turn.priority.into());
        Rank {
            arrival: arrival.saturating_sub(head_start),
            order: turn.order,
            place: 0,
        }
    }

    fn shortage(&self, refused: &NotNow) -> Shortage {
        Shortage {
            limit: self.store.limits_now().describe(&refused.key),
            in_use: refused.in_use,
            needed: refused.needed,
            retry_after: refused.at.map(|at| at.since(self.store.now())),
        }
    }

    fn never(&self, refused: &NotNow) -> Rejection {
        let limit = self.store.limits_now().amount_of(&refused.key);
        let shortage = self.shortage(refused);
        if refused.needed > limit {
            Rejection::NeverFits(shortage)
        } else {
            Rejection::RunUsedUp(shortage)
        }
    }

    /// The refusal of a wait that cannot end before the deadline.
    fn too_late(&self, refused: &NotNow, deadline: Option<Instant>) -> Option<Rejection> {
        let shortage = self.shortage(refused);
        let end = Instant::now() + shortage.retry_after.unwrap_or_default();
        (end > deadline?).then_some(Rejection::DeadlineExceeded(shortage))
    }

    /// Something was given back: whoever waits for it is to look again.
    fn given_back(self: &Arc<Self>, answer: Answer<()>, keys: impl FnOnce() -> Vec<LimitKey>) {
        if let Answer::Later(answer) = answer {
            let (shared, keys) = (self.clone(), keys());
            self.post(Box::pin(async move {
                // A store that cannot settle keeps the reservation: nothing is given back that was spent.
                let _ = answer.await;
                shared.kick(keys);
            }));
        } else {
            self.look_again(keys);
        }
    }

    /// Has those who wait for one of `keys` look again.
    fn look_again(&self, keys: impl FnOnce() -> Vec<LimitKey>) {
        if self.queue().len() > 0 {
            self.kick(keys());
        }
    }

    fn kick(&self, keys: Vec<LimitKey>) {
        if self.queue().kick(keys) {
            self.changed.notify_one();
        }
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter")
            .field("store", &self.shared.store)
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
