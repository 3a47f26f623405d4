//! What is asked of the thread that writes, besides writing: it alone changes the file.

use std::{collections::HashSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rusqlite::{Connection, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::{
    audit::Note,
    row::{EACH_MILLISECOND, HOUR},
};
use crate::{error::StoreError, store::clock::told::At};

/// So many rows are deleted at a time.
const AT_ONCE: i64 = 5_000;

/// For how long the ledger is kept. Without a word, for ever.
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
    attempts: Option<Duration>,
    hours: Option<Duration>,
}

impl Retention {
    /// Everything, for ever.
    pub fn new() -> Self {
        Self::default()
    }

    /// Attempts of hours that ended longer ago go. The sums of these hours stay, and reports that do not ask for runs go
    /// on to have them, in whole hours. Those that have not ended stay.
    pub fn attempts(mut self, span: Duration) -> Self {
        self.attempts = Some(span);
        self
    }

    /// Sums of hours that ended longer ago go, and the attempts of these hours with them.
    pub fn hours(mut self, span: Duration) -> Self {
        self.hours = Some(span);
        self
    }
}

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// Attempts.
    pub attempts: u64,
    /// Sums of an hour and a set of tags.
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
}

impl Task {
    /// What is asked of it is done, or will not be.
    pub(super) fn answer(self, done: Result<(), String>) {
        let (Task::Flush(waits) | Task::Prune { waits, .. }) = self;
        // Nobody may wait any more.
        let _ = waits.send(done.map_err(StoreError::new));
    }
}

/// Deleting, a little at a time: in between others write.
#[derive(Debug)]
pub(super) struct Pruning {
    task: Task,
    now: At,
    by: Arc<str>,
    /// The first hour whose attempts are kept, and the first whose sum is.
    attempts: Option<i64>,
    hours: Option<i64>,
    stage: Stage,
    pruned: Pruned,
}

#[derive(Debug)]
enum Stage {
    Attempts,
    /// Which runs are named by attempts up to this one.
    Runs(i64, HashSet<i64>),
    Hours,
}

impl Pruning {
    /// `None`: it is another task.
    pub(super) fn of(task: Task) -> Result<Self, Task> {
        let Task::Prune {
            retention,
            now,
            ref by,
            ..
        } = task
        else {
            return Err(task);
        };
        // The first hour that is kept.
        let from = |span: Option<Duration>| {
            let millis = i64::try_from(span?.as_millis()).ok()?;
            Some(
                now.wall
                    .div_euclid(1_000)
                    .checked_sub(millis)?
                    .div_euclid(HOUR),
            )
        };
        let (by, hours) = (by.clone(), from(retention.hours));
        let attempts = from(retention.attempts).into_iter().chain(hours).max();
        let (stage, pruned) = (Stage::Attempts, Pruned::default());
        Ok(Pruning {
            task,
            now,
            by,
            attempts,
            hours,
            stage,
            pruned,
        })
    }

    /// Does a little. Returns whether that was the last.
    pub(super) fn step(&mut self, conn: &mut Connection) -> rusqlite::Result<bool> {
        match &mut self.stage {
            Stage::Attempts => {
                let first = self.attempts.unwrap_or(i64::MIN);
                let before = first.saturating_mul(HOUR).saturating_mul(EACH_MILLISECOND);
                let delete = "DELETE FROM attempt WHERE id IN
                    (SELECT id FROM attempt WHERE id < ? AND status <> 0 ORDER BY id LIMIT ?)";
                let deleted = conn
                    .prepare_cached(delete)?
                    .execute(params![before, AT_ONCE])?;
                self.pruned.attempts += deleted as u64;
                if deleted == 0 {
                    self.stage = match self.pruned.attempts {
                        0 => Stage::Hours,
                        _ => Stage::Runs(i64::MIN, HashSet::new()),
                    };
                }
                Ok(false)
            }
            Stage::Runs(last, named) => {
                let some = "SELECT id, run FROM attempt WHERE id > ? ORDER BY id LIMIT ?";
                let mut count = 0;
                let mut some = conn.prepare_cached(some)?;
                let mut rows = some.query(params![*last, AT_ONCE * 10])?;
                while let Some(row) = rows.next()? {
                    (count, *last) = (count + 1, row.get(0)?);
                    named.extend(row.get::<_, Option<i64>>(1)?);
                }
                drop(rows);
                drop(some);
                // Nobody writes between the last look and this.
                if count < AT_ONCE * 10 {
                    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
                    let all: Vec<i64> = tx
                        .prepare_cached("SELECT id FROM run")?
                        .query_map([], |row| row.get(0))?
                        .collect::<Result<_, _>>()?;
                    for run in all.iter().filter(|run| !named.contains(run)) {
                        tx.prepare_cached("DELETE FROM run WHERE id = ?")?
                            .execute([run])?;
                    }
                    tx.commit()?;
                    self.stage = Stage::Hours;
                }
                Ok(false)
            }
            Stage::Hours => {
                let first = self.hours.unwrap_or(i64::MIN);
                let delete = "DELETE FROM hour WHERE (hour, tags) IN
                    (SELECT hour, tags FROM hour WHERE hour < ? LIMIT ?)";
                let deleted = conn
                    .prepare_cached(delete)?
                    .execute(params![first, AT_ONCE])?;
                self.pruned.hours += deleted as u64;
                if deleted == 0 {
                    self.note(conn)?;
                }
                Ok(deleted == 0)
            }
        }
    }

    fn note(&self, conn: &mut Connection) -> rusqlite::Result<()> {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(first) = self.attempts.filter(|_| self.pruned.attempts > 0) {
            let keep = "INSERT INTO meta (key, value) VALUES ('attempts_from', ?)
                ON CONFLICT DO UPDATE SET value = max(value, excluded.value)";
            tx.execute(keep, [first])?;
        }
        if self.pruned != Pruned::default() {
            Note::of_retention(self.pruned, &self.by).write(&tx, self.now)?;
        }
        tx.commit()
    }

    pub(super) fn answer(self, done: rusqlite::Result<()>) {
        if let Task::Prune { result, .. } = &self.task {
            *result.lock() = self.pruned;
        }
        self.task.answer(done.map_err(|error| error.to_string()));
    }
}
