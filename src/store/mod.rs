//! Where counts are kept.
//!
//! A [`Store`] answers claims. [`MemoryStore`] keeps everything in this process and answers at once; a store on a disk
//! (`SqliteStore`, with the feature `sqlite`) or on another machine answers with a future. The limiter that waits,
//! queues and wakes is above the store and the same for all of them: a claim is *data*, going in and coming out.
//!
//! [`StoreSetting`] makes any of them from a text, so that one setting decides where a program counts.
//!
//! [`contract`] holds the checks that every store passes.

#[cfg(any(feature = "redis", feature = "sqlite"))]
mod asked;
mod attempt;
mod audit;
mod budgets;
mod change;
mod claim;
mod clock;
pub mod contract;
mod correct;
mod counts;
mod entry;
mod event;
mod gates;
mod grants;
#[cfg(any(feature = "redis", feature = "sqlite"))]
mod image;
mod index;
#[cfg(any(feature = "redis", feature = "sqlite"))]
mod later;
mod listen;
mod memory;
mod met;
mod noted;
mod observation;
mod open;
#[cfg(feature = "redis")]
pub mod redis;
mod remaining;
#[cfg(any(feature = "redis", feature = "sqlite"))]
mod replay;
mod setting;
mod snapshot;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod standings;
mod sweep;
mod take;
mod values;
mod windows;

use std::{fmt, future::Future, pin::Pin, sync::Arc};

pub use audit::{AuditEntry, Note, Reason};
pub use budgets::{BudgetStanding, ComesBack};
pub use claim::{Claim, Decision, Grant, NotNow, Settlement, Standing, Waiting};
pub use correct::Correction;
pub use event::{BudgetChange, BudgetEvent};
pub use listen::Learnt;
pub use memory::MemoryStore;
pub use observation::Observation;
#[cfg(feature = "config")]
pub(crate) use open::{Opened, Terms};
#[cfg(feature = "redis")]
pub use redis::RedisStore;
pub use remaining::Remaining;
pub use setting::{StoreSetting, StoreSettingError};
pub use snapshot::{RestoreError, Snapshot};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
pub use standings::CountStanding;

use crate::{
    error::StoreError,
    limit::{LimitKey, Limits, Tick},
    tags::Tags,
    usage::Usage,
};

/// A place where counts are kept.
///
/// Outside of this crate a store can only wrap another one, because what a [`Grant`] is made of is private; this trait is
/// exempt from semantic versioning for those who implement it, and may change in any release.
///
/// # Promises
/// - A claim takes from every limit that its tags touch, or from none.
/// - A grant is *held* until it is [dated](Store::date); until then it does not expire.
/// - Claims are answered in the order in which they were made, even if several are under way at once.
/// - What a grant reserved counts until it is settled or released. Each grant ends once: a call about a grant that has
///   ended, or that this store never gave, changes nothing.
///
/// # Cancel safety
/// The limiter runs the futures of [`Answer::Later`] to their end, even if the caller that wanted the answer has gone
/// away.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Returns the limits that this store counts under now, as far as it is known here without asking.
    fn limits(&self) -> Limits;

    /// Learns what others have done by now, so that [`limits`](Self::limits) tells what holds and a change that is made
    /// from them takes back nothing that somebody else was told is done.
    ///
    /// By default this does nothing: nobody else changes anything.
    ///
    /// # Errors
    /// If nobody can be asked.
    fn catch_up(&self) -> Answer<()> {
        Answer::Now(Ok(()))
    }

    /// Records that a call was refused, for whatever reason, under limits that
    /// [count refused calls](crate::limit::Limit::count_refused). The claim asks for every quantity, whichever of them the
    /// call was refused for.
    ///
    /// # Errors
    /// By default, if there is such a limit.
    fn refuse(&self, claim: &Claim) -> Answer<()> {
        let _ = claim;
        Answer::Now(if self.limits().count_refused() {
            Err(StoreError::new("it does not count refused calls"))
        } else {
            Ok(())
        })
    }

    /// Replaces the limits, all at once.
    ///
    /// - Limits are matched by quantity, period, `when` and `per`; one that acts and one that only watches are told apart
    ///   where both stand side by side. What counts under limits that stay goes on counting, whatever else about them
    ///   changes; what counted under limits that are removed is forgotten; new limits count from now on.
    /// - Open grants stay valid: under limits that stay they settle by what they were claimed with, under limits that
    ///   are removed they change nothing, and of new limits they hold nothing.
    /// - No limit gets the place of another: a [`LimitKey`] from before never names a different count.
    ///
    /// # Errors
    /// By default: not every store can do this.
    fn reconfigure(&self, limits: &Limits, reason: &Reason) -> Answer<()> {
        let _ = (limits, reason);
        Answer::Now(Err(StoreError::new("its limits cannot change at run time")))
    }

    /// As [`reconfigure`](Self::reconfigure), by a configuration that was read again, which gives these limits. A store that
    /// outlives its process keeps them: what holds beside them was changed at run time, and goes on where it is opened with the
    /// same ones.
    ///
    /// # Errors
    /// As there. By default it does just that.
    fn reload(&self, limits: &Limits, given: &Limits, reason: &Reason) -> Answer<()> {
        let _ = given;
        self.reconfigure(limits, reason)
    }

    /// Returns the counts that a claim takes something from; other calls that wait for one of them go first. A store
    /// that counts some values together says so here.
    fn keys(&self, claim: &Claim) -> Vec<LimitKey> {
        claim.keys(&self.limits())
    }

    /// Returns the store's time, as far as it is known here without asking.
    fn now(&self) -> Tick;

    /// Takes what the claim needs from every limit that it touches, or takes nothing.
    fn claim(&self, claim: &Claim) -> Answer<Decision>;

    /// Like [`claim`](Self::claim), for an attempt that does not leave before another claim of it, made after this one,
    /// is granted.
    ///
    /// A store that writes down what it grants may therefore answer at once, and let the answer to that later claim
    /// wait for both. By default this is an ordinary claim.
    fn claim_ahead(&self, claim: &Claim) -> Answer<Decision> {
        self.claim(claim)
    }

    /// Like [`claim`](Self::claim), for a call that is first in turn on its counts in this limiter's queue.
    ///
    /// If it is refused with [`Decision::NotNow`], it is *registered*: from then on the store keeps room for it ahead
    /// of later claims of other processes, until it is granted by this method or [forgone](Self::forgo), or the process
    /// dies. If it is registered already, this renews the registration.
    ///
    /// By default nothing is kept for anybody: whoever asks when there is room gets it.
    fn claim_waiting(&self, claim: &Claim, waiting: Waiting) -> Answer<Decision> {
        let _ = waiting;
        self.claim(claim)
    }

    /// Like [`claim`](Self::claim), for a call that is next in turn if all earlier claims that are not answered yet are
    /// granted. It is not registered.
    ///
    /// By default this is an ordinary claim.
    fn claim_behind(&self, claim: &Claim, waiting: Waiting) -> Answer<Decision> {
        let _ = waiting;
        self.claim(claim)
    }

    /// Returns whether claims of waiting calls are refused at once if there is no room, judging by what is known here
    /// and by what was asked for and is not answered yet.
    ///
    /// If so, the limiter asks for as many at once as there is room for; otherwise for one at first, and for one more
    /// with each that is granted.
    fn foresees(&self) -> bool {
        false
    }

    /// Returns the instant before which nothing may leave on a grant that was made to a waiting call, because the store
    /// may grant it ahead for a later instant. `None` if it may leave now.
    ///
    /// By default nothing is granted ahead.
    fn starts(&self, grant: &Grant) -> Option<Tick> {
        let _ = grant;
        None
    }

    /// Ends the registration of the waiting call with this [number](Waiting::number): it has gone away, was rejected,
    /// is no longer first, or got its room by another claim.
    ///
    /// This may be called for a call that is not registered, and from a thread without a runtime. A claim that was made
    /// for it before may still be under way, or answered; it must not register the call again after this.
    ///
    /// Does nothing by default.
    fn forgo(&self, waiting: u64) {
        let _ = waiting;
    }

    /// Hands over a function that the store is to call whenever something was given back or changed by anybody but the
    /// one who hands it over, and now and then while any call is registered, so that registrations are renewed. Several
    /// limiters may each hand over theirs.
    ///
    /// The function takes locks, asks this store, and wakes tasks; it waits for nothing. It must therefore never be
    /// called under a lock that the store's other methods take. It does not keep the limiter alive; but a limiter that
    /// goes away during such a call is dropped within it, together with whatever of this store it alone held.
    ///
    /// By default it is dropped: nothing happens elsewhere.
    fn watch(&self, changed: Arc<dyn Fn() + Send + Sync>) {
        drop(changed);
    }

    /// Dates a grant: the attempt leaves now.
    ///
    /// Dating it again moves it to the later instant, even if what was dated has left by then: it counts again, without
    /// a check for room.
    fn date(&self, grant: &mut Grant);

    /// Reports how many output tokens of a streamed answer have arrived so far.
    ///
    /// If a limit charges output at completion, they are dated as they arrive, and also count beyond what was reserved.
    /// The number is the total so far; a number that is not greater than the last changes nothing.
    fn streamed(&self, grant: &mut Grant, output: u64);

    /// Takes in what the answer to a grant tells: who has to wait, what others use, what is refused. Returns whether
    /// there may be room now where there was none. The tags are those of the claim.
    ///
    /// By default nothing is learnt: no target is closed, and no counter is looked at.
    ///
    /// # Errors
    /// By default, if a limit is [adaptive](crate::limit::Limit::adaptive).
    fn observe(&self, tags: &Tags, grant: &Grant, seen: &Observation) -> Answer<bool> {
        let _ = (tags, grant, seen);
        Answer::Now(if self.limits().adaptive() {
            Err(StoreError::new("it does not learn from refusals"))
        } else {
            Ok(false)
        })
    }

    /// Replaces what was reserved with what was really used.
    fn settle(&self, grant: Grant, settlement: Settlement) -> Answer<()>;

    /// Like [`settle`](Self::settle), when nobody asks when it is written down: a store that counts it at once may
    /// answer at once, and write it down with whatever comes next.
    ///
    /// By default this is an ordinary settlement.
    fn settle_in_passing(&self, grant: Grant, settlement: Settlement) -> Answer<()> {
        self.settle(grant, settlement)
    }

    /// Gives everything back: the attempt never left.
    fn release(&self, grant: Grant) -> Answer<()>;

    /// Returns how every count that the claim touches stands with respect to it, in the order of the limits, pauses
    /// last. Takes nothing.
    fn peek(&self, claim: &Claim) -> Answer<Vec<Standing>>;

    /// Says whether claims can be granted at present, as far as it is known here without making one: a store that writes
    /// down what it grants fails here while it cannot, and while something stands against it that is sure to keep it from
    /// doing so if it lasts.
    ///
    /// By default nothing is known against it, and whoever asks had better [peek](Self::peek) too.
    ///
    /// # Errors
    /// If claims are refused at present, whatever they ask for, or will be if nothing is done.
    fn health(&self) -> Answer<()> {
        Answer::Now(Ok(()))
    }

    /// Like [`peek`](Self::peek), for a waiting call, to see whether it would take what is kept for another.
    ///
    /// If that can be answered at once, it is answered from what is known here, with claims that are not answered yet
    /// treated as granted. By default this is a peek.
    fn look(&self, claim: &Claim) -> Answer<Vec<Standing>> {
        self.peek(claim)
    }

    /// Returns what is left for calls with these tags, by what is known here; `None` if finding out would take a wait.
    /// Limits that only watch are left out.
    ///
    /// By default this is derived from a [look](Self::look).
    fn remaining(&self, tags: &Arc<Tags>) -> Option<Remaining> {
        remaining::by_look(self, tags)
    }

    /// Returns how every budget stands, with a separate entry for each value that is counted separately.
    ///
    /// # Errors
    /// By default: not every store can look through its counts.
    fn budgets(&self) -> Answer<Vec<BudgetStanding>> {
        Answer::Now(Err(StoreError::new("it cannot say how all budgets stand")))
    }

    /// Returns how the counts of every limit stand, in the order of the limits: for each limit the `most` fullest, of
    /// ten thousand that are looked at. For dashboards, not for decisions.
    ///
    /// # Errors
    /// By default: not every store can look through its counts.
    fn counts(&self, most: usize) -> Answer<Vec<CountStanding>> {
        let _ = most;
        Answer::Now(Err(StoreError::new("it cannot say how all counts stand")))
    }

    /// Counts usage without a claim: one request and these tokens, dated now, under every limit that the tags touch
    /// except those on concurrency. What exceeds a limit is debt.
    fn record(&self, tags: &Tags, usage: Usage) -> Answer<()>;

    /// Corrects the amount spent of every budget that the tags touch.
    ///
    /// # Errors
    /// By default: not every store can do this.
    fn correct(&self, tags: &Tags, correction: Correction, reason: &Reason) -> Answer<()> {
        let _ = (tags, correction, reason);
        Answer::Now(Err(StoreError::new("what is spent cannot be corrected")))
    }

    /// Closes the open circuits of the budgets that the tags touch, and forgets what was spent of those budgets.
    /// Returns how many there were.
    ///
    /// # Errors
    /// By default: not every store has circuits.
    fn reset(&self, tags: &Tags, reason: &Reason) -> Answer<u64> {
        let _ = (tags, reason);
        Answer::Now(Err(StoreError::new("it has no circuits")))
    }

    /// Notes in the audit log what was done by hand to something other than this store.
    ///
    /// # Errors
    /// By default: not every store keeps an audit log.
    fn note(&self, note: Note, reason: &Reason) -> Answer<()> {
        let _ = (note, reason);
        Answer::Now(Err(StoreError::new("it keeps no audit log")))
    }

    /// Returns what was done by hand to budgets, limits, amounts spent, and things [other](Self::note) than this store,
    /// oldest first.
    ///
    /// # Errors
    /// By default: not every store keeps an audit log.
    fn audit(&self) -> Answer<Vec<AuditEntry>> {
        Answer::Now(Err(StoreError::new("it keeps no audit log")))
    }

    /// Returns what has happened to budgets and has not been told yet: each event once, to whoever asks first. Cheap if
    /// nothing has happened.
    fn events(&self) -> Vec<BudgetEvent> {
        Vec::new()
    }
}

/// A store's answer: at once, or as a future.
#[must_use]
pub enum Answer<T> {
    /// An answer at once, from memory, without boxing.
    Now(Result<T, StoreError>),
    /// An answer that comes later.
    Later(BoxFuture<Result<T, StoreError>>),
}

/// A boxed future that can be sent between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<T> Answer<T> {
    /// Returns the answer, after waiting for it if necessary.
    ///
    /// # Errors
    /// If the store cannot answer.
    pub async fn get(self) -> Result<T, StoreError> {
        match self {
            Answer::Now(answer) => answer,
            Answer::Later(answer) => answer.await,
        }
    }

    /// The answer of one that answers at once, as the memory does.
    #[cfg(any(feature = "redis", feature = "sqlite"))]
    fn at_once(self) -> Result<T, StoreError> {
        match self {
            Answer::Now(answer) => answer,
            Answer::Later(_) => Err(StoreError::new("the memory has not answered")),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Now(answer) => f.debug_tuple("Now").field(answer).finish(),
            Answer::Later(_) => f.write_str("Later(..)"),
        }
    }
}
