//! What is old is deleted, a little at a time.

use std::{collections::HashSet, sync::Arc, time::Duration};

use rusqlite::{Connection, TransactionBehavior, params};

use super::{
    Pruned,
    retention::Task,
    row::{EACH_MILLISECOND, HOUR},
};
use crate::store::{audit::Note, clock::told::At};

/// So many rows are deleted at a time, and so many looked at.
const AT_ONCE: i64 = 5_000;
const LOOKED_AT: i64 = 50_000;

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
    Hours,
    /// What is named by attempts up to this one.
    Names(i64, Named),
}

/// What attempts that are left name: runs, and tags where no hour has them yet.
#[derive(Debug, Default)]
struct Named {
    runs: HashSet<i64>,
    tags: HashSet<i64>,
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
                self.stage = Stage::Names(i64::MIN, Named::default());
                Ok(self.pruned == Pruned::default())
            }
            Stage::Names(last, named) => {
                if named.look(conn, last)? {
                    return Ok(false);
                }
                // Nobody writes between the last look and this.
                let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
                named.delete_others(&tx)?;
                Note::of_retention(self.pruned, &self.by).write(&tx, self.now)?;
                tx.commit()?;
                Ok(true)
            }
        }
    }

    fn delete_attempts(&mut self, conn: &mut Connection) -> rusqlite::Result<usize> {
        let Some(first) = self.attempts else {
            return Ok(0);
        };
        let before = first.saturating_mul(HOUR).saturating_mul(EACH_MILLISECOND);
        let delete = "DELETE FROM attempt WHERE id IN
            (SELECT id FROM attempt WHERE id < ? AND status <> 0 ORDER BY id LIMIT ?)";
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let deleted = tx.execute(delete, params![before, AT_ONCE])?;
        if deleted > 0 {
            // From then on reports go by whole hours there.
            let from = "INSERT INTO meta (key, value) VALUES ('attempts_from', ?)
                ON CONFLICT DO UPDATE SET value = max(value, excluded.value)";
            tx.execute(from, [first])?;
        }
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

impl Named {
    /// Looks at some more attempts. Returns whether there may be others.
    fn look(&mut self, conn: &Connection, last: &mut i64) -> rusqlite::Result<bool> {
        let some = "SELECT id, run, tags, status = 0 FROM attempt WHERE id > ? ORDER BY id LIMIT ?";
        let mut some = conn.prepare_cached(some)?;
        let (mut rows, mut count) = (some.query(params![*last, LOOKED_AT])?, 0);
        while let Some(row) = rows.next()? {
            (count, *last) = (count + 1, row.get(0)?);
            self.runs.extend(row.get::<_, Option<i64>>(1)?);
            if row.get(3)? {
                self.tags.insert(row.get(2)?);
            }
        }
        Ok(count == LOOKED_AT)
    }

    /// Deletes all that nothing names any more.
    fn delete_others(&self, conn: &Connection) -> rusqlite::Result<()> {
        let delete = |ids: &str, named: &HashSet<i64>, delete: &str| {
            let ids: Vec<i64> = conn
                .prepare_cached(ids)?
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            let mut delete = conn.prepare_cached(delete)?;
            let mut others = ids.iter().filter(|id| !named.contains(id));
            others.try_for_each(|id| delete.execute([id]).map(drop))
        };
        delete(
            "SELECT id FROM run",
            &self.runs,
            "DELETE FROM run WHERE id = ?",
        )?;
        let unused = "SELECT id FROM tag_set WHERE id NOT IN (SELECT tags FROM hour)";
        delete(unused, &self.tags, "DELETE FROM tag_set WHERE id = ?")
    }
}
