//! What is old is deleted, a little at a time.

use std::{sync::Arc, time::Duration};

use rusqlite::{Connection, TransactionBehavior, params};

use super::{
    Pruned, Retention,
    book::Book,
    named::Named,
    retention::Task,
    row::{EACH_MILLISECOND, HOUR},
};
use crate::store::{audit::Note, clock::told::At};

/// So many rows are deleted at a time.
const AT_ONCE: i64 = 5_000;

/// Deleting, a little at a time: in between others write.
#[derive(Debug)]
pub(super) struct Pruning {
    task: Task,
    retention: Retention,
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
    /// What is old is not said yet.
    Begin,
    Attempts,
    Hours,
    /// What nothing names any more.
    Names(Named),
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
        let by = by.clone();
        Ok(Pruning {
            task,
            retention,
            now,
            by,
            attempts: None,
            hours: None,
            stage: Stage::Begin,
            pruned: Pruned::default(),
        })
    }

    /// Does a little. Returns whether that was the last.
    pub(super) fn step(&mut self, conn: &mut Connection, book: &Book) -> rusqlite::Result<bool> {
        match &mut self.stage {
            Stage::Begin => {
                let latest = book.recorded().latest(conn, self.now.tick)?;
                self.begin(latest);
                Ok(false)
            }
            Stage::Attempts => {
                if self.delete_attempts(conn)? == 0 {
                    self.stage = Stage::Hours;
                }
                Ok(false)
            }
            Stage::Hours => {
                let first = self.hours.unwrap_or(i64::MIN);
                let delete = "DELETE FROM hour WHERE (hour, tags) IN
                    (SELECT hour, tags FROM hour WHERE hour < ? LIMIT ?)";
                let mut delete = conn.prepare_cached(delete)?;
                let deleted = delete.execute(params![first, AT_ONCE])?;
                self.pruned.hours += deleted as u64;
                if deleted > 0 {
                    return Ok(false);
                }
                self.stage = Stage::Names(Named::new());
                Ok(self.pruned == Pruned::default())
            }
            Stage::Names(named) => {
                let note = Note::of_retention(self.pruned, &self.by);
                named.step(conn, book.names(), |conn| note.write(conn, self.now))
            }
        }
    }

    /// Says what is old: by what the clock on the wall shows, or by `latest`, where it shows more.
    fn begin(&mut self, latest: Option<i64>) {
        let now = latest.map(|latest| latest.min(self.now.wall.div_euclid(1_000)));
        // The first hour that is kept.
        let from = |span: Option<Duration>| {
            let millis = i64::try_from(span?.as_millis()).ok()?;
            Some(now?.checked_sub(millis)?.div_euclid(HOUR))
        };
        self.hours = from(self.retention.hours);
        let attempts = from(self.retention.attempts);
        self.attempts = attempts.into_iter().chain(self.hours).max();
        self.stage = Stage::Attempts;
    }

    fn delete_attempts(&mut self, conn: &mut Connection) -> rusqlite::Result<usize> {
        let Some(first) = self.attempts else {
            return Ok(0);
        };
        let before = first.saturating_mul(HOUR).saturating_mul(EACH_MILLISECOND);
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let last = "SELECT max(id) FROM
            (SELECT id FROM attempt WHERE id < ? AND status <> 0 ORDER BY id LIMIT ?)";
        let last = tx.query_row(last, params![before, AT_ONCE], |row| row.get(0))?;
        let Some(last): Option<i64> = last else {
            return Ok(0);
        };
        let delete = "DELETE FROM attempt WHERE id <= ? AND status <> 0";
        let deleted = tx.execute(delete, [last])?;
        // Up to there reports go by whole hours from then on, and no further: what comes is told to the millisecond.
        let from = "INSERT INTO meta (key, value) VALUES ('attempts_from', ?)
            ON CONFLICT DO UPDATE SET value = max(value, excluded.value)";
        tx.execute(from, [last / EACH_MILLISECOND / HOUR + 1])?;
        tx.commit()?;
        self.pruned.attempts += deleted as u64;
        Ok(deleted)
    }

    pub(super) fn answer(self, done: rusqlite::Result<()>) {
        if let Task::Prune { result, .. } = &self.task {
            *result.lock() = self.pruned;
        }
        self.task.answer(done.map_err(|error| error.to_string()));
    }
}
