//! The handle on a file that is counted in.

use std::{fmt, path::Path, sync::Arc, thread::JoinHandle};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{
    Ledger, LedgerError, OpenError, Pruned, Retention, SqliteOptions,
    commit::{Told, committed},
    recover,
    retention::Task,
    shared::Shared,
};
use crate::{
    error::StoreError,
    limit::Limits,
    store::{Reason, Snapshot},
};

/// Counts in a file that outlives the process; see the [module](crate::store::sqlite).
///
/// # Answers
/// Whatever takes room or changes what is counted is answered when it is on the disk; refusals, and whatever gives
/// back, at once. If the disk accepts no writes (because it is full, for example), claims are refused with an error
/// that says so, and what was granted but not written is given back. Settlements are kept, and written as soon as that
/// is possible. What is [recorded](crate::store::Store::record) or changed by hand is refused then too; if it was
/// already under way, it counts in this process, and its error says that it is not written yet.
///
/// # What is on the disk when
/// A claim is on the disk before its attempt leaves. When the attempt left, and what streamed of it, follow a little
/// later: after a crash they count from the restart on, which is longer and never shorter. For attempts that are lost
/// in flight, what was reserved counts, and what was seen to stream beyond that, except in the last second. Ages go by
/// the wall clock while the process is down; if that went back, no time has passed.
///
/// # The end
/// [`close`](Self::close) the store at the end of a program, or drop it: both wait until everything is written. A
/// limiter that is dropped lives on for a moment, and its store with it, while a settlement is under way; `close` does
/// not wait for that. Claims that are in flight at that point are lost to the next process, as after a crash: end them
/// first.
pub struct SqliteStore {
    pub(super) shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<Result<(), String>>>>,
    lost: usize,
}

impl SqliteStore {
    /// Opens a file to count in it under `limits`, creating it if there is none; see [`SqliteOptions`].
    ///
    /// # Errors
    /// If the file cannot be opened, or is not what it should be; see [`OpenError`].
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

    /// Returns how many attempts were in flight when the process before this one ended. They count as reserved.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.lost
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Returns the ledger, for reading.
    ///
    /// # Errors
    /// If the file cannot be opened once more.
    pub fn ledger(&self) -> Result<Ledger, LedgerError> {
        Ledger::open(&self.shared.path)
    }

    /// Waits until everything that was done so far is on the disk.
    ///
    /// # Errors
    /// If it cannot be written for now. It is tried again automatically.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let told = self.ask(Task::Flush);
        committed(told).await
    }

    /// Deletes what is older than it is to be kept. This takes a while, and calls go on meanwhile.
    ///
    /// # Errors
    /// If it cannot be written.
    ///
    /// # Cancel safety
    /// Once the future has been polled it is done, even if the future is dropped.
    pub async fn prune(&self, retention: &Retention) -> Result<Pruned, StoreError> {
        let (retention, pruned, by) = (
            *retention,
            Arc::new(Mutex::new(Pruned::default())),
            Reason::default().who(&self.shared.by),
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

    /// Returns what is counted now, as data; see [`MemoryStore::snapshot`](crate::store::MemoryStore::snapshot).
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let _at = self.shared.begin();
        self.shared.live.snapshot()
    }

    /// Returns how many counts are kept: one for each tag value that limits are split by.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.live.len()
    }

    /// Returns whether nothing is counted at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shared.live.is_empty()
    }

    /// Writes what is left, and closes the file. Whatever is asked of this store from then on is an error.
    ///
    /// # Errors
    /// If something could not be written; the counts in the file are then those from before it.
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

    pub(super) fn ask(
        &self,
        task: impl FnOnce(oneshot::Sender<Result<(), StoreError>>) -> Task,
    ) -> Told {
        let (waits, told) = oneshot::channel();
        let mut state = self.shared.lock();
        if !state.gone {
            state.tasks.push(task(waits));
        }
        self.shared.work.notify_one();
        told
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
