//! Where counts are kept.
//!
//! A [`Store`] answers claims. [`MemoryStore`] keeps everything in this process and answers at once;
//! a store on a disk (`SqliteStore`, with the feature `sqlite`) or on another machine answers with a future. The limiter that waits, queues and
//! wakes stands above and is the same for all: a claim is *data*, going in and coming out.
//!
//! [`StoreSetting`] has one of them from a text, so that a program counts in any by one setting.
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
mod resting;
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

/// Where counts are kept.
///
/// # Promises
/// - A claim takes from every limit that its tags touch, or from none.
/// - A grant is *held* until it is [dated](Store::date): until then it does not expire.
/// - Claims are answered in the order in which they were made, also where several are under way at once.
/// - What a grant reserved counts until it is settled or released. Each grant ends once: what is said of one that
///   has ended, or that this store never gave, changes nothing.
///
/// # Cancel safety
/// The futures of [`Answer::Later`] are run to their end by the limiter, even where the caller that
/// wanted the answer has gone away.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// The limits that this store counts under now.
    fn limits(&self) -> Limits;

    /// A call was refused, whatever the reason: counts it where a limit
    /// [says so](crate::limit::Limit::count_refused).
    ///
    /// # Errors
    /// By default, where there is such a limit.
    fn refuse(&self, claim: &Claim) -> Answer<()> {
        let _ = claim;
        Answer::Now(if self.limits().count_refused() {
            Err(StoreError::new("it does not count refused calls"))
        } else {
            Ok(())
        })
    }

    /// Other limits from now on, all at once.
    ///
    /// - Limits are matched by quantity, period, `when`, `per` and whether they act. What counts under those that stay
    ///   goes on counting, whatever else of them is another; what counted under those that are gone is forgotten; what is
    ///   new counts from now on.
    /// - Grants that are open stay good: under limits that stay they settle by what they were claimed by, under those that
    ///   are gone they change nothing, and of what is new they hold nothing.
    /// - No limit gets the place that another had: a [`LimitKey`] from before names no other count.
    ///
    /// # Errors
    /// By default: not every store can do this.
    fn reconfigure(&self, limits: &Limits, reason: &Reason) -> Answer<()> {
        let _ = (limits, reason);
        Answer::Now(Err(StoreError::new("its limits cannot change at run time")))
    }

    /// The counts that a claim takes something from: others that wait for one of them go first. A store
    /// that counts some values together says so here.
    fn keys(&self, claim: &Claim) -> Vec<LimitKey> {
        claim.keys(&self.limits())
    }

    /// The store's time, as well as it is known here without asking.
    fn now(&self) -> Tick;

    /// Takes what the claim needs from every limit that it touches, or nothing.
    fn claim(&self, claim: &Claim) -> Answer<Decision>;

    /// As [`claim`](Self::claim), of an attempt that does not leave before another claim of it is granted, which is asked
    /// for after this one. So a store that writes down what it grants may answer at once, and has that claim's answer
    /// wait for both.
    ///
    /// By default it is a claim like any.
    fn claim_ahead(&self, claim: &Claim) -> Answer<Decision> {
        self.claim(claim)
    }

    /// As [`claim`](Self::claim), of a call that is first in turn on its counts in this limiter's queue. Refused
    /// with [`Decision::NotNow`] it is *registered*: from then on the store keeps room for it before claims of other
    /// processes that come later, until it is granted by this, or [forgone](Self::forgo), or the process dies. Of one
    /// that is registered already this renews it.
    ///
    /// By default nothing is kept for anybody: whoever asks when there is room has it.
    fn claim_waiting(&self, claim: &Claim, waiting: Waiting) -> Answer<Decision> {
        let _ = waiting;
        self.claim(claim)
    }

    /// As [`claim`](Self::claim), of a call that is next in turn when those are granted who were asked for before and are
    /// not answered yet. It is not registered.
    ///
    /// By default it is a claim like any.
    fn claim_behind(&self, claim: &Claim, waiting: Waiting) -> Answer<Decision> {
        let _ = waiting;
        self.claim(claim)
    }

    /// Whether claims of those who wait are refused at once where there is no room by what is known here, and by what
    /// was asked for and is not answered yet. Then as many are asked for at once as there is room for; otherwise at first
    /// one, and with each that is granted one more.
    fn foresees(&self) -> bool {
        false
    }

    /// Before when nothing may leave by a grant that was made to one that waits: the store may grant it ahead, for an
    /// instant that is still to come. `None`: it may leave now.
    ///
    /// By default nothing is granted ahead.
    fn starts(&self, grant: &Grant) -> Option<Tick> {
        let _ = grant;
        None
    }

    /// Nothing is to be kept any more for the one that waits under this [number](Waiting::number): it has gone away,
    /// was rejected, is no longer first, or has its room by another claim. It may be told of one that is not
    /// registered, and from a thread without a runtime. A claim of it that was made before is on its way, or answered,
    /// and must not register it any more after this.
    ///
    /// By default nothing.
    fn forgo(&self, waiting: u64) {
        let _ = waiting;
    }

    /// To be called whenever something was given back, or changed, elsewhere than by whoever hands this over, and now
    /// and then while anybody is registered, so that this is renewed. Several limiters may each hand over theirs.
    ///
    /// It takes locks, asks this store, and wakes tasks; it waits for nothing. So it is never called under a lock that the
    /// store's other methods take. The limiter is not kept alive by it, but one that goes away while it is called goes
    /// within the call, and what it alone held of this store with it.
    ///
    /// By default it is dropped: nothing happens elsewhere.
    fn watch(&self, changed: Arc<dyn Fn() + Send + Sync>) {
        drop(changed);
    }

    /// Dates a grant: the attempt leaves now. Dating it again moves it to the later instant, also where what
    /// was dated has left by then: that counts again, and nobody asks whether there is room.
    fn date(&self, grant: &mut Grant);

    /// So many output tokens have come by now, of an answer that streams: they are dated as they come where a
    /// limit charges output at completion, and count beyond what was reserved too. The figure is
    /// the whole so far; one that is no more than the last changes nothing.
    fn streamed(&self, grant: &mut Grant, output: u64);

    /// Takes in what the answer to a grant tells: who is to wait, what others use, what is refused. Says
    /// whether there may be room now where there was none. The tags are those that were claimed with.
    ///
    /// By default nothing is learnt: no target is closed, and no counter is looked at.
    ///
    /// # Errors
    /// By default, where a limit is [adaptive](crate::limit::Limit::adaptive).
    fn observe(&self, tags: &Tags, grant: &Grant, seen: &Observation) -> Answer<bool> {
        let _ = (tags, grant, seen);
        Answer::Now(if self.limits().adaptive() {
            Err(StoreError::new("it does not learn from refusals"))
        } else {
            Ok(false)
        })
    }

    /// Replaces what was reserved by what was really used.
    fn settle(&self, grant: Grant, settlement: Settlement) -> Answer<()>;

    /// As [`settle`](Self::settle), where nobody asks when it is written down: a store that counts it at once may answer
    /// at once, and write it down with what comes next.
    ///
    /// By default it is settled as ever.
    fn settle_in_passing(&self, grant: Grant, settlement: Settlement) -> Answer<()> {
        self.settle(grant, settlement)
    }

    /// Gives everything back: the attempt never left.
    fn release(&self, grant: Grant) -> Answer<()>;

    /// How every count that the claim touches stands to it, in the order of the limits, pauses last. Takes nothing.
    fn peek(&self, claim: &Claim) -> Answer<Vec<Standing>>;

    /// As [`peek`](Self::peek), for one that waits, whether it takes what is kept for another: by what is known here, with
    /// what was asked for and is not answered yet as if it were granted, where that can be said at once.
    ///
    /// By default a peek.
    fn look(&self, claim: &Claim) -> Answer<Vec<Standing>> {
        self.peek(claim)
    }

    /// What is left for calls with these tags, by what is known here; `None` where it would have to be waited for. Limits that
    /// only watch are passed over.
    ///
    /// By default by a [look](Self::look).
    fn remaining(&self, tags: &Arc<Tags>) -> Option<Remaining> {
        remaining::by_look(self, tags)
    }

    /// How every budget stands, each value apart that it counts apart.
    ///
    /// # Errors
    /// By default: not every store can look through its counts.
    fn budgets(&self) -> Answer<Vec<BudgetStanding>> {
        Answer::Now(Err(StoreError::new("it cannot say how all budgets stand")))
    }

    /// How the counts of every limit stand, in the order of the limits: of each limit the `most` fullest, of ten thousand that
    /// are looked at. For dashboards, not for decisions.
    ///
    /// # Errors
    /// By default: not every store can look through its counts.
    fn counts(&self, most: usize) -> Answer<Vec<CountStanding>> {
        let _ = most;
        Answer::Now(Err(StoreError::new("it cannot say how all counts stand")))
    }

    /// Counts what was used without a claim: one request and these tokens, dated now, under every limit that
    /// the tags touch but those on concurrency; over the limit too, and then it is debt.
    fn record(&self, tags: &Tags, usage: Usage) -> Answer<()>;

    /// Corrects what is spent of every budget that the tags touch.
    ///
    /// # Errors
    /// By default: not every store can do this.
    fn correct(&self, tags: &Tags, correction: Correction, reason: &Reason) -> Answer<()> {
        let _ = (tags, correction, reason);
        Answer::Now(Err(StoreError::new("what is spent cannot be corrected")))
    }

    /// Closes the circuits that are open of the budgets which the tags touch, and forgets what was spent of those.
    /// Says how many there were.
    ///
    /// # Errors
    /// By default: not every store has circuits.
    fn reset(&self, tags: &Tags, reason: &Reason) -> Answer<u64> {
        let _ = (tags, reason);
        Answer::Now(Err(StoreError::new("it has no circuits")))
    }

    /// Notes in the audit log what was done by hand to something beside this store.
    ///
    /// # Errors
    /// By default: not every store keeps an audit log.
    fn note(&self, note: Note, reason: &Reason) -> Answer<()> {
        let _ = (note, reason);
        Answer::Now(Err(StoreError::new("it keeps no audit log")))
    }

    /// What was done by hand to budgets, limits, what is spent, and [beside](Self::note) this store, the newest last.
    ///
    /// # Errors
    /// By default: not every store keeps an audit log.
    fn audit(&self) -> Answer<Vec<AuditEntry>> {
        Answer::Now(Err(StoreError::new("it keeps no audit log")))
    }

    /// What has happened to budgets, and has not been told yet: each once, to whoever asks first. Cheap where nothing
    /// has.
    fn events(&self) -> Vec<BudgetEvent> {
        Vec::new()
    }
}

/// A store's answer: at once, or as a future.
#[must_use]
pub enum Answer<T> {
    /// At once, from memory, without boxing.
    Now(Result<T, StoreError>),
    /// Later.
    Later(BoxFuture<Result<T, StoreError>>),
}

/// A boxed future that may move between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<T> Answer<T> {
    /// The answer, waited for where need be.
    ///
    /// # Errors
    /// Where the store cannot answer.
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
