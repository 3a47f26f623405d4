//! Sets of tags and runs that nothing in the ledger names any more are deleted: first all that names one is looked at, a
//! little at a time, while others write; then what was not met is deleted. What came to be named meanwhile is told by who
//! writes it.

use std::collections::HashSet;

use rusqlite::{Connection, TransactionBehavior, params};

use super::names::Names;

/// So many rows are looked at in one step.
const LOOKED_AT: i64 = 50_000;
/// So many may be deleted in one.
const AT_ONCE: i64 = 5_000;

const RUNS: Table = Table {
    list: "SELECT id FROM run WHERE id > ? ORDER BY id LIMIT ?",
    delete: "DELETE FROM run WHERE id = ?",
};
const SETS: Table = Table {
    list: "SELECT id FROM tag_set WHERE id > ? ORDER BY id LIMIT ?",
    delete: "DELETE FROM tag_set WHERE id = ?",
};

struct Table {
    list: &'static str,
    delete: &'static str,
}

/// What is named.
#[derive(Debug)]
pub(super) struct Named {
    runs: HashSet<i64>,
    sets: HashSet<i64>,
    next: Next,
}

/// What comes next: what is behind this.
#[derive(Clone, Copy, Debug)]
enum Next {
    Attempts(i64),
    /// The sums of hours: behind that of this hour and this set.
    Hours(i64, i64),
    Runs(i64),
    Sets(i64),
}

impl Named {
    pub(super) fn new() -> Self {
        Named {
            runs: HashSet::new(),
            sets: HashSet::new(),
            next: Next::Attempts(i64::MIN),
        }
    }

    /// Does a little; `names` were used since the step before. Returns whether that was the last, with which `note` is
    /// written.
    pub(super) fn step(
        &mut self,
        conn: &mut Connection,
        names: &Names,
        note: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<bool> {
        let (sets, runs) = names.known();
        self.sets.extend(sets);
        self.runs.extend(runs);
        self.next = match self.next {
            Next::Attempts(last) => match self.look_at_attempts(conn, last)? {
                Some(last) => Next::Attempts(last),
                None => Next::Hours(i64::MIN, i64::MIN),
            },
            Next::Hours(hour, set) => match self.look_at_hours(conn, (hour, set))? {
                Some((hour, set)) => Next::Hours(hour, set),
                None => Next::Runs(i64::MIN),
            },
            Next::Runs(last) => {
                let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let last = RUNS.delete_others(&tx, last, &self.runs)?;
                tx.commit()?;
                last.map_or(Next::Sets(i64::MIN), Next::Runs)
            }
            Next::Sets(last) => {
                let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let last = SETS.delete_others(&tx, last, &self.sets)?;
                if last.is_none() {
                    note(&tx)?;
                }
                tx.commit()?;
                match last {
                    Some(last) => Next::Sets(last),
                    None => return Ok(true),
                }
            }
        };
        Ok(false)
    }

    /// Looks at some attempts behind this one. The last of them, where there may be others.
    fn look_at_attempts(&mut self, conn: &Connection, last: i64) -> rusqlite::Result<Option<i64>> {
        let some = "SELECT id, run, tags FROM attempt WHERE id > ? ORDER BY id LIMIT ?";
        let mut some = conn.prepare_cached(some)?;
        let (mut rows, mut count, mut last) = (some.query(params![last, LOOKED_AT])?, 0, last);
        while let Some(row) = rows.next()? {
            (count, last) = (count + 1, row.get(0)?);
            self.runs.extend(row.get::<_, Option<i64>>(1)?);
            self.sets.insert(row.get(2)?);
        }
        Ok((count == LOOKED_AT).then_some(last))
    }

    /// The same of the sums of hours.
    fn look_at_hours(
        &mut self,
        conn: &Connection,
        mut last: (i64, i64),
    ) -> rusqlite::Result<Option<(i64, i64)>> {
        let some = "SELECT hour, tags FROM hour WHERE (hour, tags) > (?, ?)
            ORDER BY hour, tags LIMIT ?";
        let mut some = conn.prepare_cached(some)?;
        let (mut rows, mut count) = (some.query(params![last.0, last.1, LOOKED_AT])?, 0);
        while let Some(row) = rows.next()? {
            (count, last) = (count + 1, (row.get(0)?, row.get(1)?));
            self.sets.insert(last.1);
        }
        Ok((count == LOOKED_AT).then_some(last))
    }
}

impl Table {
    /// Deletes those of some rows behind this one that are not named. The last of them, where there may be others.
    fn delete_others(
        &self,
        conn: &Connection,
        last: i64,
        named: &HashSet<i64>,
    ) -> rusqlite::Result<Option<i64>> {
        let mut list = conn.prepare_cached(self.list)?;
        let ids = list.query_map(params![last, AT_ONCE], |row| row.get(0))?;
        let ids: Vec<i64> = ids.collect::<rusqlite::Result<_>>()?;
        let mut delete = conn.prepare_cached(self.delete)?;
        for id in ids.iter().filter(|id| !named.contains(*id)) {
            delete.execute([id])?;
        }
        let is_full = i64::try_from(ids.len()).is_ok_and(|count| count == AT_ONCE);
        Ok(ids.last().copied().filter(|_| is_full))
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::{super::schema, *};
    use crate::tags::{Tag, Tags};

    fn ledger(rows: &str) -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        let tx = conn.transaction().unwrap();
        schema::migrate(&tx, 0, schema::SCHEMA).unwrap();
        tx.execute_batch(rows).unwrap();
        tx.commit().unwrap();
        conn
    }

    fn ids(conn: &Connection, table: &str) -> Vec<i64> {
        let query = format!("SELECT id FROM {table} ORDER BY id");
        let mut query = conn.prepare(&query).unwrap();
        let ids = query.query_map([], |row| row.get(0)).unwrap();
        ids.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn however_many_hours_there_are_no_step_looks_at_more_than_it_may() {
        // Each of a set of its own: what is met tells how many were looked at.
        let hours = 2 * LOOKED_AT + 7;
        let gone = hours + 1;
        let mut conn = ledger(&format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {hours})
             INSERT INTO hour SELECT 400000 + i % 3, i, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM n;
             INSERT INTO tag_set VALUES (1, 'one'), ({hours}, 'two'), ({gone}, 'three');"
        ));
        let (mut named, mut steps, most) = (Named::new(), 0, usize::try_from(LOOKED_AT).unwrap());
        loop {
            let before = named.sets.len();
            let is_last = named.step(&mut conn, &Names::default(), |_| Ok(()));
            assert!(named.sets.len() - before <= most);
            steps += 1;
            if is_last.unwrap() {
                break;
            }
        }
        // The attempts, the hours, the runs, the sets.
        assert_eq!(steps, 1 + 3 + 1 + 1);
        assert_eq!(ids(&conn, "tag_set"), [1, hours]);
        // While nobody else may write.
        for table in [RUNS, SETS] {
            for query in [table.list, table.delete] {
                let query = conn.prepare_cached(query).unwrap();
                assert_eq!(query.get_status(StatementStatus::FullscanStep), 0);
            }
        }
    }

    #[test]
    fn what_comes_to_be_named_meanwhile_stays() {
        let mut conn = ledger("");
        let tags = |name: &str| Tags::new().with(Tag::Agent, name).with(Tag::Run, name);
        let mut names = Names::default();
        for used_after in 0..3 {
            let [(kept, kept_run), _] =
                ["kept", "gone"].map(|name| names.of(&conn, &tags(name)).unwrap());
            names.forget();
            let (mut named, mut steps) = (Named::new(), 0);
            while !named.step(&mut conn, &names, |_| Ok(())).unwrap() {
                names.forget();
                if steps == used_after {
                    assert_eq!(names.of(&conn, &tags("kept")).unwrap().0, kept);
                }
                steps += 1;
            }
            assert_eq!(ids(&conn, "tag_set"), [kept], "after step {used_after}");
            assert_eq!(ids(&conn, "run"), Vec::from_iter(kept_run));
        }
    }
}
