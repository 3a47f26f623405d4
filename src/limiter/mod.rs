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

mod ask;
mod call;
mod delegation;
mod driver;
mod explain;
mod observe;
mod options;
mod order;
mod outbox;
mod peek;
mod permit;
mod queue;
mod reconfigure;
mod refused;
mod run;
mod turned_away;
mod waiter;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::watch, time::Instant};

pub use call::Call;
pub(crate) use call::Turn;
pub use delegation::Delegation;
pub use explain::{Explained, Explanation, Outlook};
pub use options::QueueOptions;
pub use peek::Peek;
pub use permit::Permit;
pub use reconfigure::ReconfigureError;
pub(crate) use refused::Refused;

use self::{order::Comer, queue::Queue, waiter::Waiter};
use crate::{
    error::Rejection,
    limit::{LimitKey, Limits, micros},
    store::{BoxFuture, Claim, MemoryStore, NotNow, Store},
};

/// Admits calls under limits; those that do not fit wait for their turn.
///
/// Cheap to clone: clones share everything.
///
/// # Fairness
/// Each step of priority counts as having come one *aging* span earlier. Calls of one priority share by
/// agent, or by another tag: an agent that sends nine thousand calls has its share, and the others theirs.
/// Calls of one agent keep their order. A call that waits for one limit does not hold up calls that do not
/// touch it. No call passes one that goes before it and waits for a limit it needs itself.
///
/// # Runtime
/// Needs tokio's timer. Where somebody has to wait a task is started on that runtime; it ends when nobody does.
#[derive(Clone)]
pub struct Limiter {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    store: Arc<dyn Store>,
    queue: Mutex<Queue>,
    /// Tells the drivers that something changed.
    changed: watch::Sender<()>,
    outbox: Mutex<Vec<BoxFuture<()>>>,
    start: Instant,
    options: QueueOptions,
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
        Self::build(Arc::new(store), QueueOptions::new())
    }

    /// As [`with_store`](Self::with_store), with a queue that behaves otherwise.
    #[must_use]
    pub fn build(store: Arc<dyn Store>, options: QueueOptions) -> Self {
        let aging = i64::try_from(micros(options.aging)).unwrap_or(i64::MAX);
        let shared = Shared {
            store,
            queue: Mutex::new(Queue::new(aging)),
            changed: watch::Sender::new(()),
            outbox: Mutex::default(),
            start: Instant::now(),
            options,
        };
        Limiter {
            shared: Arc::new(shared),
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
        let (claim, turn) = self.parts(call);
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
        let (claim, turn) = self.parts(call);
        match self.try_claim(&claim, turn).await {
            Ok(mut permit) => {
                permit.sent();
                Ok(permit)
            }
            Err(Refused::Rejected(rejection)) => Err(rejection),
            Err(Refused::NotNow(refused)) => Err(self.turn_away(&claim, refused).await),
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
        if shared.queue().len() == 0 {
            return None;
        }
        let (keys, comer) = shared.comer(claim, turn);
        let key = shared.queue().blocks(&keys, &comer)?.clone();
        Some(NotNow {
            key,
            at: None,
            not_before: None,
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
        if turn.deadline.is_some() {
            let refused = self.in_figures(claim, refused.clone()).await?;
            if let Some(rejection) = shared.too_late(&refused, turn.deadline) {
                return Err(rejection);
            }
        }
        let (keys, comer) = shared.comer(claim, turn);
        let waiter = {
            let mut queue = shared.queue();
            if queue.len() >= shared.options.max_waiting {
                let (waiting, shortage) = (queue.len(), shared.shortage(&refused));
                return Err(Rejection::QueueFull { waiting, shortage });
            }
            let (rank, keys) = (queue.join(&comer), queue.keys(keys));
            let waiter = Waiter::new(
                claim.clone(),
                keys,
                comer,
                rank,
                turn.deadline,
                refused.clone(),
            );
            let waiter = Arc::new(waiter);
            queue.enter(&waiter, &refused.key, refused.at);
            waiter
        };
        let place = Place { shared, waiter };
        shared.changed.send_replace(());
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
        if self.shared.queue().gave_up(&self.waiter) {
            self.shared.changed.send_replace(());
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

    /// A claim as the queue sees it: the counts it takes from, and who comes.
    fn comer(&self, claim: &Claim, turn: Turn) -> (Vec<LimitKey>, Comer) {
        let limits = self.store.limits_now();
        let keys = self.store.keys(claim);
        let parts = keys.iter().filter_map(|key| {
            let most = limits.amount_of(key);
            let need = claim.amount(key.place(), limits.rule_of(key)?, most)?;
            Some((need, most))
        });
        let agent = self.options.party(&claim.tags);
        let size = self.options.size(&agent, parts);
        let signed = |span| i64::try_from(micros(span)).unwrap_or(i64::MAX);
        let arrival = match turn.arrived.checked_duration_since(self.start) {
            Some(after) => signed(after),
            None => -signed(self.start.duration_since(turn.arrived)),
        };
        let Turn {
            order,
            priority,
            start,
            ..
        } = turn;
        (
            keys,
            Comer {
                priority,
                arrival,
                order,
                start,
                agent,
                size,
            },
        )
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
