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
    /// What is named by attempts.
    Names(Named),
}

/// What attempts that are left name: runs, and tags where no hour has them yet.
#[derive(Debug)]
struct Named {
    runs: HashSet<i64>,
    tags: HashSet<i64>,
    /// The attempts up to this one were looked at.
    last: i64,
    /// The runs and the sets of tags up to these are there because something names them.
    last_run: i64,
    last_tags: i64,
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
                self.stage = Stage::Names(Named::new());
                Ok(self.pruned == Pruned::default())
            }
            Stage::Names(named) => {
                if named.look(conn)? {
                    return Ok(false);
                }
                // Nobody writes between the last look and this.
                let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let is_last = !named.delete_others(&tx)?;
                if is_last {
                    Note::of_retention(self.pruned, &self.by).write(&tx, self.now)?;
                }
                tx.commit()?;
                Ok(is_last)
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
    fn new() -> Self {
        Named {
            runs: HashSet::new(),
            tags: HashSet::new(),
            last: i64::MIN,
            last_run: i64::MIN,
            last_tags: i64::MIN,
        }
    }

    /// Looks at some more attempts. Returns whether there may be others.
    fn look(&mut self, conn: &Connection) -> rusqlite::Result<bool> {
        let some = "SELECT id, run, tags, status = 0 FROM attempt WHERE id > ? ORDER BY id LIMIT ?";
        let mut some = conn.prepare_cached(some)?;
        let (mut rows, mut count) = (some.query(params![self.last, LOOKED_AT])?, 0);
        while let Some(row) = rows.next()? {
            (count, self.last) = (count + 1, row.get(0)?);
            self.runs.extend(row.get::<_, Option<i64>>(1)?);
            if row.get(3)? {
                self.tags.insert(row.get(2)?);
            }
        }
        Ok(count == LOOKED_AT)
    }

    /// Deletes some of what nothing names any more. Returns whether there may be others.
    fn delete_others(&mut self, conn: &Connection) -> rusqlite::Result<bool> {
        let runs = "SELECT id FROM run WHERE id > ? ORDER BY id LIMIT ?";
        let (runs, last_run) = some(conn, runs, self.last_run, AT_ONCE)?;
        let others = runs.iter().filter(|id| !self.runs.contains(id));
        delete(conn, "DELETE FROM run WHERE id = ?", others)?;
        if let Some(last) = last_run {
            self.last_run = last;
            return Ok(true);
        }
        // It looks at all hours each time, and there are fewer of these.
        let unused = "SELECT id FROM tag_set WHERE id > ? AND id NOT IN (SELECT tags FROM hour) ORDER BY id LIMIT ?";
        let (unused, last_tags) = some(conn, unused, self.last_tags, LOOKED_AT)?;
        let others = unused.iter().filter(|id| !self.tags.contains(id));
        delete(conn, "DELETE FROM tag_set WHERE id = ?", others)?;
        self.last_tags = last_tags.unwrap_or(self.last_tags);
        Ok(last_tags.is_some())
    }
}

/// Some ids behind this one; the last of them, if there may be others.
fn some(
    conn: &Connection,
    query: &str,
    after: i64,
    most: i64,
) -> rusqlite::Result<(Vec<i64>, Option<i64>)> {
    let mut query = conn.prepare_cached(query)?;
    let ids = query.query_map(params![after, most], |row| row.get(0))?;
    let ids: Vec<i64> = ids.collect::<rusqlite::Result<_>>()?;
    let last = ids.last().copied();
    let is_full = i64::try_from(ids.len()).is_ok_and(|count| count == most);
    Ok((ids, last.filter(|_| is_full)))
}

fn delete<'i>(
    conn: &Connection,
    delete: &str,
    mut ids: impl Iterator<Item = &'i i64>,
) -> rusqlite::Result<()> {
    let mut delete = conn.prepare_cached(delete)?;
    ids.try_for_each(|id| delete.execute([id]).map(drop))
}
