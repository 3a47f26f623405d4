//! The store as the limiter sees it.

use std::{fmt, path::Path, sync::Arc, thread::JoinHandle};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{
    Ledger, LedgerError, OpenError, Pruned, Retention, SqliteOptions,
    audit::Note,
    commit::{Told, committed},
    op::Op,
    recover,
    retention::Task,
    shared::Shared,
};
use crate::{
    error::StoreError,
    limit::{LimitKey, Limits, Tick},
    store::{
        Answer, BudgetEvent, BudgetStanding, Claim, Correction, Decision, Grant, Observation,
        Settlement, Snapshot, Standing, Store,
    },
    tags::Tags,
    usage::Usage,
};

/// Counts in a file that outlives the process: see the [module](crate::store::sqlite).
///
/// # Answers
/// What takes room or changes what is counted answers when it is on the disk; a refusal, and what gives back, at once.
/// Where the disk takes nothing (it is full, say), claims are refused with an error that says so, and what was granted
/// and not written is given back. Settlements are kept and written as soon as that works. What is
/// [recorded](Store::record) or changed by hand is refused then too; one that was on its way just then counts in this
/// process, and its error says that it is not written yet.
///
/// # What is on the disk when
/// A claim before its attempt leaves. When it left, and what streamed of it, a little later: after a crash it counts from
/// the restart on, which is longer and never shorter. So do ages: they are by the clock on the wall while the process is
/// down, and where that went back, no time has passed.
///
/// # The end
/// [`close`](Self::close) it at the end of a program, or drop it: both wait until all is written. A limiter that is dropped
/// lives on for a moment where a settlement is on its way, and its store with it; `close` does not wait for that. Claims that are in flight then are lost for the next
/// process, as after a crash: end them first.
pub struct SqliteStore {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<Result<(), String>>>>,
    lost: usize,
}

impl SqliteStore {
    /// Opens a file to count in it under `limits`, making it where there is none; see [`SqliteOptions`].
    ///
    /// # Errors
    /// Where the file cannot be had, or is not what it should be: see [`OpenError`].
    pub fn open(path: impl AsRef<Path>, limits: Limits) -> Result<Self, OpenError> {
        SqliteOptions::new(path, limits).open()
    }

    pub(super) fn start(options: SqliteOptions) -> Result<Self, OpenError> {
        let recover::Recovered {
            shared,
            thread,
            lost,
        } = recover::recover(options)?;
        Ok(SqliteStore {
            shared,
            thread: Mutex::new(Some(thread)),
            lost,
        })
    }

    /// How many attempts were in flight when the process before this one ended: they count as reserved.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.lost
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// The ledger, to read.
    ///
    /// # Errors
    /// Where the file cannot be opened once more.
    pub fn ledger(&self) -> Result<Ledger, LedgerError> {
        Ledger::open(&self.shared.path)
    }

    /// Waits until all that was done so far is on the disk.
    ///
    /// # Errors
    /// Where it cannot be written for now. It is tried again by itself.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let told = self.ask(Task::Flush);
        committed(told).await
    }

    /// Deletes what is older than it is to be kept. It takes a while, and calls go on meanwhile.
    ///
    /// # Errors
    /// Where it cannot be written.
    ///
    /// # Cancel safety
    /// Once polled it is done, even where the future is dropped.
    pub async fn prune(&self, retention: &Retention) -> Result<Pruned, StoreError> {
        let (retention, pruned, by) = (
            *retention,
            Arc::new(Mutex::new(Pruned::default())),
            self.shared.actor(),
        );
        let result = pruned.clone();
        let now = { self.shared.begin().at() };
        let told = self.ask(move |waits| Task::Prune {
            retention,
            now,
            by,
            result,
            waits,
        });
        committed(told).await?;
        Ok(std::mem::take(&mut *pruned.lock()))
    }

    /// What is counted now, as data: see [`MemoryStore::snapshot`](crate::store::MemoryStore::snapshot).
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let _at = self.shared.begin();
        self.shared.live.snapshot()
    }

    /// How many counts are kept: one for each tag value that limits are split by.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.live.len()
    }

    /// Whether nothing is counted at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shared.live.is_empty()
    }

    /// Writes what is left, and closes the file: what is asked of it from then on is an error.
    ///
    /// # Errors
    /// Where something could not be written; the counts of the file are then those from before it.
    pub fn close(&self) -> Result<(), StoreError> {
        let Some(thread) = self.thread.lock().take() else {
            return Ok(());
        };
        self.shared.lock().closed = true;
        self.shared.work.notify_one();
        match thread.join() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(reason)) => Err(self.shared.error(&reason)),
            Err(_) => Err(self.shared.error("the thread that writes has panicked")),
        }
    }

    fn ask(&self, task: impl FnOnce(oneshot::Sender<Result<(), StoreError>>) -> Task) -> Told {
        let (waits, told) = oneshot::channel();
        let mut state = self.shared.lock();
        if !state.gone {
            state.tasks.push(task(waits));
        }
        self.shared.work.notify_one();
        told
    }

    /// Does something by hand, and waits until it is written.
    fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Self, Arc<str>) -> Result<(T, Op, Vec<Note>), StoreError>,
    ) -> Answer<T> {
        let mut state = match self.shared.begin_lasting() {
            Ok(state) => state,
            Err(error) => return Answer::Now(Err(error)),
        };
        let (value, op, notes) = match change(self, self.shared.actor()) {
            Ok(changed) => changed,
            Err(error) => return Answer::Now(Err(error)),
        };
        let told = self.shared.queue_and_wait(&mut state, op, notes);
        Answer::Later(Box::pin(
            async move { committed(told).await.map(|()| value) },
        ))
    }
}

/// Its answer, which the memory gives at once.
fn now<T>(answer: Answer<T>) -> Result<T, StoreError> {
    match answer {
        Answer::Now(answer) => answer,
        Answer::Later(_) => Err(StoreError::new("the memory has not answered")),
    }
}

impl Store for SqliteStore {
    fn limits(&self) -> &Limits {
        self.shared.live.limits()
    }

    fn limits_now(&self) -> Limits {
        self.shared.live.limits_now()
    }

    fn now(&self) -> Tick {
        self.shared.now()
    }

    fn keys(&self, claim: &Claim) -> Vec<LimitKey> {
        let _at = self.shared.begin();
        self.shared.live.keys(claim)
    }

    fn claim(&self, claim: &Claim) -> Answer<Decision> {
        let shared = &self.shared;
        let mut state = match shared.begin_lasting() {
            Ok(state) => state,
            Err(error) => return Answer::Now(Err(error)),
        };
        let decision = now(shared.live.claim(claim));
        let Ok(Decision::Granted(grant)) = decision else {
            if shared.live.has_events() {
                shared.queue(&mut state, Op::Refused(claim.clone()));
            }
            return Answer::Now(decision);
        };
        let number = shared.live.number_of(&grant).unwrap_or_default();
        let op = Op::Claim {
            grant: number,
            row: 0,
            claim: claim.clone(),
        };
        let told = shared.queue_and_wait(&mut state, op, Vec::new());
        let granted = Granted {
            shared: shared.clone(),
            grant: Some(grant),
        };
        Answer::Later(Box::pin(granted.when(told)))
    }

    fn date(&self, grant: &mut Grant) {
        let state = &mut *self.shared.begin();
        if let Some(number) = self.shared.live.number_of(grant) {
            self.shared.live.date(grant);
            self.shared.queue(state, Op::Date(number));
        }
    }

    fn streamed(&self, grant: &mut Grant, output: u64) {
        self.shared.streamed(grant, output);
    }

    fn observe(&self, tags: &Tags, grant: &Grant, seen: &Observation) -> Answer<bool> {
        let state = &mut *self.shared.begin();
        let live = &self.shared.live;
        let answer = now(live.observe(tags, grant, seen));
        if !live.is_deaf_to(seen) && live.is_of(grant) {
            let number = live.number_of(grant).unwrap_or_default();
            let (tags, seen) = (Arc::new(tags.clone()), seen.clone());
            self.shared.queue(
                state,
                Op::Observe {
                    grant: number,
                    tags,
                    seen,
                },
            );
        }
        Answer::Now(answer)
    }

    fn settle(&self, grant: Grant, settlement: Settlement) -> Answer<()> {
        let shared = &self.shared;
        let state = &mut *shared.begin();
        let Some(number) = shared.live.number_of(&grant) else {
            return Answer::Now(Ok(()));
        };
        shared.end_stream(state, number);
        let settled = now(shared.live.settle(grant, settlement));
        let told = shared.queue_and_wait(state, Op::Settle(number, settlement), Vec::new());
        match settled {
            Ok(()) => Answer::Later(Box::pin(committed(told))),
            Err(error) => Answer::Now(Err(error)),
        }
    }

    fn release(&self, grant: Grant) -> Answer<()> {
        self.shared.release(grant);
        Answer::Now(Ok(()))
    }

    fn refuse(&self, claim: &Claim) -> Answer<()> {
        if !self.limits().count_refused() {
            return Answer::Now(Ok(()));
        }
        self.change(|store, _| {
            now(store.shared.live.refuse(claim))?;
            Ok(((), Op::Refuse(claim.clone()), Vec::new()))
        })
    }

    fn peek(&self, claim: &Claim) -> Answer<Vec<Standing>> {
        let _at = self.shared.begin();
        self.shared.live.peek(claim)
    }

    fn budgets(&self) -> Answer<Vec<BudgetStanding>> {
        let _at = self.shared.begin();
        self.shared.live.budgets()
    }

    fn record(&self, tags: &Tags, usage: Usage) -> Answer<()> {
        self.change(|store, _| {
            now(store.shared.live.record(tags, usage))?;
            Ok(((), Op::Record(Arc::new(tags.clone()), usage), Vec::new()))
        })
    }

    fn correct(&self, tags: &Tags, correction: Correction, reason: &str) -> Answer<()> {
        self.change(|store, _| {
            now(store.shared.live.correct(tags, correction, reason))?;
            let (tags, reason) = (tags.clone(), reason.to_owned());
            Ok((
                (),
                Op::Correct {
                    tags,
                    correction,
                    reason,
                },
                Vec::new(),
            ))
        })
    }

    fn reset(&self, tags: &Tags, reason: &str) -> Answer<u64> {
        self.change(|store, _| {
            let count = now(store.shared.live.reset(tags, reason))?;
            let (tags, reason) = (tags.clone(), reason.to_owned());
            Ok((count, Op::Reset { tags, reason }, Vec::new()))
        })
    }

    fn reconfigure(&self, limits: &Limits) -> Answer<()> {
        self.change(|store, by| {
            let live = &store.shared.live;
            let before = live.limits_now();
            now(live.reconfigure(limits))?;
            let notes = Note::of_limits(&before, &live.limits_now(), &by, "changed at run time");
            Ok(((), Op::Reconfigure(limits.iter().cloned().collect()), notes))
        })
    }

    fn events(&self) -> Vec<BudgetEvent> {
        self.shared.take_events()
    }
}

/// A grant that is not written yet. Where nobody wants it any more, or it cannot be written, it is given back.
struct Granted {
    shared: Arc<Shared>,
    grant: Option<Grant>,
}

impl Granted {
    async fn when(mut self, told: Told) -> Result<Decision, StoreError> {
        committed(told).await?;
        let grant = self.grant.take();
        grant
            .map(Decision::Granted)
            .ok_or_else(|| StoreError::new("the grant is gone"))
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        if let Some(grant) = self.grant.take() {
            self.shared.release(grant);
        }
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        // Nobody is left to hear of it: whoever wants to closes it first.
        let _ = self.close();
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.shared.path)
            .field("counts", &self.len())
            .finish_non_exhaustive()
    }
}
