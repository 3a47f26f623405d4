//! The engine: claims, a queue and permits, without HTTP.
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

mod acquire;
mod ask;
mod audit;
mod awaited;
mod budgets;
mod call;
mod call_state;
mod claimed;
mod comer;
mod deadline;
mod delegation;
mod demand;
mod driver;
mod estimates;
mod explain;
mod hand_over;
mod heads;
mod into_store;
mod keep;
mod locked;
mod look_again;
mod observe;
mod options;
mod order;
mod outbox;
mod owners;
mod parked;
mod peek;
mod permit;
mod pins;
mod progress;
mod queue;
mod reconfigure;
mod refused;
mod registration;
#[cfg(feature = "gateway")]
mod remaining;
mod run;
mod shares;
mod top_up;
mod turned_away;
mod under_way;
mod waiter;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
};

use tokio::{sync::watch, time::Instant};

pub use call::Call;
pub(crate) use call::Turn;
pub use call_state::{Awaited, CallState};
pub use delegation::Delegation;
pub use explain::{Explained, Explanation, Outlook};
pub use into_store::IntoStore;
pub(crate) use look_again::LookAgain;
pub(crate) use observe::Observed;
pub use options::QueueOptions;
pub use peek::Peek;
pub use permit::Permit;
pub use progress::Progress;
pub(crate) use progress::{Flight, TakenIn, next_id};
pub use reconfigure::ChangeError;
pub(crate) use refused::Refused;

use self::{
    estimates::Estimates,
    locked::Locked,
    queue::{Ahead, Queue},
    waiter::Waiter,
};
use crate::{
    error::{Rejection, StoreError},
    limit::{Limits, micros},
    store::{
        Answer, BoxFuture, Claim, Decision, MemoryStore, NotNow, Store, StoreSetting,
        StoreSettingError,
    },
};

/// Admits calls under limits; calls that do not fit wait for their turn.
///
/// Cheap to clone: all clones share the same state.
///
/// # Fairness
/// Each step of priority makes a call count as if it had arrived one *aging* span earlier. Calls of the same priority
/// share by agent, or by another tag: an agent that sends nine thousand calls gets its share, and the other agents get
/// theirs. Calls of one agent stay in order. A call that waits for one limit does not hold up calls that do not touch
/// that limit. No call overtakes one that goes before it and waits for a limit that both need.
///
/// A call that has twice been moved from one limit to another, because each filled up while it waited for the other,
/// **pins** them: calls behind it may take from a pinned limit only what still leaves the call its room at the instant
/// at which it is due, or what will have left the limit by then. A call that needs much of several busy limits is
/// therefore admitted after at most three of the longest of their periods, plus three times the duration of the calls
/// in flight that hold room there; where a guaranteed share is used ahead of it, after at most four. This bound leaves
/// out what is taken by calls that go before it (already now, or later by a higher priority), usage above what was
/// claimed, and waits for concurrency slots, none of which has a bound of its own. A pin is dormant while that instant
/// is one period of its limit or more away, and it ends one period after that instant, so that a call that waits for
/// something nobody can date does not hold room forever. Concurrency slots are pinned last, once everything else has
/// room.
///
/// Parts of a limit may be [guaranteed](crate::limit::Limit::share): whoever is below such a share goes first.
///
/// # Deadlines
/// A call whose wait cannot end in time is refused at once, because of what counts already or because of what will go
/// to the calls ahead of it. Of what counts already, neither what calls in flight may give back is considered nor what
/// others use of the same account. Of what will go to the calls ahead, only what is never corrected downwards is
/// considered. The wait is estimated at its shortest: the calls ahead need what they claim, and none of them leaves. If
/// they need more than 256 different sets of limits, only the first 256 are considered.
///
/// # Runtime
/// Requires tokio's timer. While calls wait, a task runs on the runtime they wait on; it ends when none is left.
#[derive(Clone)]
pub struct Limiter {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    store: Arc<dyn Store>,
    queue: Mutex<Queue>,
    /// How many stand in it; written under its lock, and read without: see [`Shared::waiting`].
    waiting: AtomicUsize,
    /// The [version](Limits::version) of the limits that this limiter has seen last.
    version: AtomicU32,
    /// Tells the drivers that something changed.
    changed: watch::Sender<()>,
    /// One change of limits after the other.
    changing: tokio::sync::Mutex<()>,
    outbox: Mutex<Vec<BoxFuture<()>>>,
    start: Instant,
    options: QueueOptions,
    estimates: Estimates,
    listeners: budgets::Listeners,
}

impl Limiter {
    /// Creates a limiter that counts in this process's memory.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self::with_store(MemoryStore::new(limits))
    }

    /// Creates a limiter that counts in the store named by the environment variable `TOWER_QUOTA_STORE`, or in this
    /// process's memory if the variable is not set.
    ///
    /// See [`StoreSetting`] for its format. This blocks until the store is open.
    ///
    /// # Errors
    /// If the variable names a store that this program does not have, or the store cannot be opened.
    pub fn from_env(limits: Limits) -> Result<Self, StoreSettingError> {
        let store = StoreSetting::from_env()?.open(limits)?;
        Ok(Self::build(store, QueueOptions::new()))
    }

    /// Creates a limiter that counts in `store`, which may be shared with others.
    ///
    /// ```
    /// use tower_quota::{Limiter, limit::Limits, store::{MemoryStore, StoreSetting}};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limits = Limits::new([])?;
    /// let owned = Limiter::with_store(MemoryStore::new(limits.clone()));
    /// let named = Limiter::with_store("memory".parse::<StoreSetting>()?.open(limits)?);
    /// # let _ = (owned, named);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_store(store: impl IntoStore) -> Self {
        Self::build(store.into_store(), QueueOptions::new())
    }

    /// Like [`with_store`](Self::with_store), with options for the queue.
    #[must_use]
    pub fn build(store: Arc<dyn Store>, options: QueueOptions) -> Self {
        let aging = i64::try_from(micros(options.aging)).unwrap_or(i64::MAX);
        let queue = Queue::new(aging, store.limits());
        let shared = Shared {
            store,
            version: AtomicU32::new(queue.version()),
            queue: Mutex::new(queue),
            waiting: AtomicUsize::new(0),
            changed: watch::Sender::new(()),
            changing: tokio::sync::Mutex::default(),
            outbox: Mutex::default(),
            start: Instant::now(),
            options,
            estimates: Estimates::default(),
            listeners: budgets::Listeners::default(),
        };
        let shared = Arc::new(shared);
        let weak: Weak<Shared> = Arc::downgrade(&shared);
        shared.store.watch(Arc::new(move || {
            if let Some(shared) = weak.upgrade() {
                shared.changed_elsewhere();
            }
        }));
        Limiter { shared }
    }

    /// Returns how many calls are waiting.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.waiting()
    }

    /// How many settlements and the like have no runtime to do them: those are done with the next call that comes.
    #[cfg(feature = "metrics")]
    pub(crate) fn unfinished(&self) -> usize {
        self.shared.outbox().len()
    }

    /// Returns the limits now in force.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.shared.store.limits()
    }

    /// Whether both are clones of one limiter.
    pub(crate) fn is(&self, other: &Limiter) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Holds room if there is some now, undated.
    pub(crate) fn try_claim(&self, claim: &Claim, turn: Turn) -> Tried {
        self.try_claim_by(<dyn Store>::claim, claim, turn)
    }

    /// The same for an attempt that another claim is made for afterwards: whoever has that one granted has both.
    pub(crate) fn try_claim_ahead(&self, claim: &Claim, turn: Turn) -> Tried {
        self.try_claim_by(<dyn Store>::claim_ahead, claim, turn)
    }

    #[inline]
    fn try_claim_by(
        &self,
        ask: impl Fn(&dyn Store, &Claim) -> Answer<Decision>,
        claim: &Claim,
        turn: Turn,
    ) -> Tried {
        if self.waiting() == 0 {
            let version = self.shared.version_now();
            match ask(&*self.shared.store, claim) {
                Answer::Now(answer) => {
                    let answer = self.shared.grant(answer, claim, version);
                    return Tried::Now(answer.inspect_err(|no| self.note_refused(claim, no)));
                }
                Answer::Later(answer) => {
                    let answer = self.shared.hear(answer, claim, version);
                    let (limiter, claim) = (self.clone(), claim.clone());
                    return Tried::Later(Box::pin(async move {
                        let answer = turn.in_time(answer).await;
                        answer.inspect_err(|no| limiter.note_refused(&claim, no))
                    }));
                }
            }
        }
        let (limiter, claim) = (self.clone(), claim.clone());
        Tried::Later(Box::pin(async move {
            let answer = turn.in_time(limiter.ask_behind(&claim, turn)).await;
            answer.inspect_err(|no| limiter.note_refused(&claim, no))
        }))
    }

    /// Asks where others wait.
    async fn ask_behind(&self, claim: &Claim, turn: Turn) -> Result<Permit, Refused> {
        if let Some(paused) = refused::paused(&self.shared.store.limits(), claim) {
            return Err(Refused::Rejected(paused));
        }
        let Some(refused) = self.behind(claim, turn, true).await? else {
            return self.shared.ask(claim).await;
        };
        if claim.never_fits(&self.shared.store.limits()) {
            // Nor do others wait behind it, who would leave room for what it never takes.
            let never = self.shared.refuse_never(claim).await;
            never.map_err(Refused::Rejected)?;
        }
        Err(Refused::NotNow(refused))
    }

    /// Whether somebody better ranked waits for what this claim needs, or has room kept there: then it waits
    /// behind. `takes`: whether it takes the room where nobody does.
    async fn behind(
        &self,
        claim: &Claim,
        turn: Turn,
        takes: bool,
    ) -> Result<Option<NotNow>, StoreError> {
        let shared = &self.shared;
        let (keys, comer) = shared.comer_now(claim, turn).await?;
        let now = shared.store.now();
        let ahead = {
            let mut queue = shared.queue();
            if takes {
                queue.comes(&keys, &comer, now);
            }
            queue.ahead_of(&keys, &comer, now)
        };
        match ahead {
            Ahead::On(key) => Ok(Some(keep::behind(key, None))),
            Ahead::Kept(kept) => shared.takes_what_is_kept(claim, &kept).await,
        }
    }

    /// Queues after a refusal, and holds what was claimed once it is granted, undated.
    async fn stand_in_line(
        &self,
        claim: &Claim,
        turn: Turn,
        refused: NotNow,
        progress: Option<&Progress>,
    ) -> Result<Permit, Rejection> {
        let shared = &self.shared;
        // It panics here, where the caller hears of it, if there is no timer: the drivers need one.
        drop(tokio::time::sleep(std::time::Duration::ZERO));
        let (mut keys, mut comer) = shared.comer(claim, turn);
        if turn.deadline.is_some() {
            let in_time = self.ends_in_time(claim, refused.clone(), (&keys, &comer), turn);
            turn.in_time(Box::pin(in_time)).await?;
        }
        if turn.longest_told.is_some() && refused.key.is_cooldown() {
            let soon = self.opens_soon(claim, refused.clone(), turn);
            turn.in_time(Box::pin(soon)).await?;
        }
        let waiter = loop {
            if shared.never_fits(&keys, &comer) {
                // It did when it was tried: limits have changed since.
                let never = shared.refuse_never(claim);
                turn.in_time(Box::pin(never)).await?;
            }
            let mut queue = shared.queue();
            if comer.version < queue.version() {
                // Limits have changed in between.
                let since = comer.version;
                drop(queue);
                (keys, comer) = shared.comer(claim, turn);
                if comer.version > since {
                    continue;
                }
                // A store that has lost a change has those from before: whoever looks next stands anew once it has it again.
                queue = shared.queue();
            }
            if let Some(paused) = refused::paused(queue.limits(), claim) {
                return Err(paused);
            }
            if queue.len() >= shared.options.max_waiting {
                let (waiting, shortage) = (queue.len(), shared.shortage(&refused));
                return Err(Rejection::QueueFull { waiting, shortage });
            }
            let (rank, keys) = (queue.join(&comer), queue.keys(keys));
            let mut waiter = Waiter::new(
                claim.clone(),
                keys,
                comer,
                rank,
                turn.deadline,
                refused.clone(),
            );
            waiter.longest_told = turn.longest_told;
            let waiter = Arc::new(waiter);
            queue.enter(&waiter, &refused.key, refused.at);
            break waiter;
        };
        let place = Place { shared, waiter };
        if let Some(progress) = progress {
            progress.waits(shared, &place.waiter);
        }
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
                .unwrap_or_else(|_| Err(shared.deadline_exceeded(&place.waiter.refused()))),
        }
    }
}

/// A claim that was tried.
pub(crate) enum Tried {
    /// Nobody waits, and the store has answered.
    Now(Result<Permit, Refused>),
    /// It is still to be heard.
    Later(BoxFuture<Result<Permit, Refused>>),
}

impl Tried {
    async fn get(self) -> Result<Permit, Refused> {
        match self {
            Tried::Now(answer) => answer,
            Tried::Later(answer) => answer.await,
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
    fn queue(&self) -> Locked<'_> {
        Locked::new(&self.queue, &self.waiting, &self.store)
    }

    /// How many wait, without the lock: calls ask several times, and nobody waits as a rule.
    ///
    /// Whoever gives something back and finds nobody here leaves nobody waiting for it: one that comes in at the same time
    /// is entered, and asks the store after that. A store takes one thing after the other, so either that one finds what was
    /// given back, or it asked before, and then it is seen here.
    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    fn outbox(&self) -> MutexGuard<'_, Vec<BoxFuture<()>>> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
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
