//! What is asked of the thread that writes, besides writing: it alone changes the file.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{
    error::StoreError,
    store::{AuditEntry, clock::told::At},
};

/// How long the ledger is kept. Forever by default.
///
/// The wall clock says how old something is. But it may be years ahead for a minute, and what is deleted is gone for good:
/// so it is never taken to be more than a day later than the newest attempt was when the file was opened, and the time that
/// the file has been open since. Attempts that came meanwhile speak for the wall clock once the file has been open for a day:
/// what was last recorded long before that goes then, and not at once.
///
/// ```
/// use std::time::Duration;
/// use tower_quota::store::sqlite::Retention;
///
/// let day = Duration::from_secs(86_400);
/// let retention = Retention::new().attempts(day * 30).hours(day * 365);
/// # assert_ne!(retention, Retention::new());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Retention {
    pub(super) attempts: Option<Duration>,
    pub(super) hours: Option<Duration>,
}

impl Retention {
    /// Keeps everything, forever.
    pub fn new() -> Self {
        Self::default()
    }

    /// Deletes the attempts of hours that ended longer ago than this.
    ///
    /// The sums of these hours stay, and reports that do not ask for runs still include them, in whole hours. Attempts
    /// that have not ended stay.
    pub fn attempts(mut self, span: Duration) -> Self {
        self.attempts = Some(span);
        self
    }

    /// Deletes the sums of hours that ended longer ago than this, and the attempts of these hours with them.
    pub fn hours(mut self, span: Duration) -> Self {
        self.hours = Some(span);
        self
    }
}

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// How many attempts.
    pub attempts: u64,
    /// How many sums, each of an hour and a set of tags.
    pub hours: u64,
}

/// Something for the thread that writes.
#[derive(Debug)]
pub(super) enum Task {
    /// All that was queued before is to be written.
    Flush(oneshot::Sender<Result<(), StoreError>>),
    Prune {
        retention: Retention,
        now: At,
        by: Arc<str>,
        result: Arc<Mutex<Pruned>>,
        waits: oneshot::Sender<Result<(), StoreError>>,
    },
    /// The audit log, with all that was queued before.
    Audit {
        result: Arc<Mutex<Vec<AuditEntry>>>,
        waits: oneshot::Sender<Result<(), StoreError>>,
    },
}

impl Task {
    /// What is asked of it is done, or will not be.
    pub(super) fn answer(self, done: Result<(), String>) {
        let (Task::Flush(waits) | Task::Prune { waits, .. } | Task::Audit { waits, .. }) = self;
        // Nobody may wait any more.
        let _ = waits.send(done.map_err(StoreError::new));
    }
}
