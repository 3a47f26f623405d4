//! The ledger as it is written: a row an attempt, and sums of an hour, in the transaction of what they are about.

use std::sync::Arc;

use hashbrown::{HashMap, hash_map::Entry as Place};
use rusqlite::Connection;

use super::{
    figures::{Figures, add_to_hours},
    names::Names,
    op::Op,
    recorded::Recorded,
    replica::Kept,
    row::{EACH_MILLISECOND, Row, Rows, Status, sum_up},
};
use crate::{
    store::{Claim, Settlement, clock::told::At},
    tags::Tags,
    usage::Usage,
};

/// Which claims are of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Whose {
    Attempt(u32),
    Grant(u64),
}

/// What the ledger knows of attempts that have not ended.
#[derive(Debug, Default)]
pub(super) struct Book {
    rows: HashMap<Whose, Row>,
    grants: HashMap<u64, (Whose, Kept)>,
    /// What the present transaction has changed, as it was.
    rows_before: HashMap<Whose, Option<Row>>,
    grants_before: Vec<(u64, Option<(Whose, Kept)>)>,
    /// What was recorded without a claim, and what another row has come in place of.
    aside: Vec<Row>,
    names: Names,
    number: i64,
    /// The latest millisecond of any row, and the same when the file was opened.
    latest: i64,
    latest_before: i64,
    recorded: Recorded,
}

impl Book {
    /// Of a file that is opened now.
    pub(super) fn open(conn: &Connection, at: At) -> rusqlite::Result<Self> {
        let latest: Option<i64> =
            conn.query_row("SELECT max(id) FROM attempt", [], |row| row.get(0))?;
        let latest = latest.map_or(-1, |id| id / EACH_MILLISECOND);
        Ok(Book {
            latest,
            latest_before: latest,
            recorded: Recorded::open(conn, at.tick)?,
            ..Book::default()
        })
    }

    /// Takes in what was done; of a claim it says which row it has.
    pub(super) fn take(&mut self, conn: &Connection, at: At, op: &mut Op) -> rusqlite::Result<()> {
        let now = at.wall.div_euclid(1_000);
        match op {
            Op::Claim { grant, row, asked } => {
                *row = self.claimed(conn, now, *grant, &asked.claim)?;
            }
            Op::Settle(grant, settlement) => self.ended(*grant, Some(settlement), now),
            Op::Release(grant) => self.ended(*grant, None, now),
            Op::Record(tags, usage) => self.record(conn, now, tags, usage)?,
            _ => {}
        }
        Ok(())
    }

    fn claimed(
        &mut self,
        conn: &Connection,
        now: i64,
        grant: u64,
        claim: &Claim,
    ) -> rusqlite::Result<i64> {
        let (tags, run) = self.names.of(conn, &claim.tags)?;
        let mut whose = match claim.attempt {
            0 => Whose::Grant(grant),
            attempt => Whose::Attempt(attempt),
        };
        let same = |row: &Row| row.status == Status::Open && (row.tags, row.run) == (tags, run);
        let known = self.rows.get(&whose);
        if known.is_some_and(|row| row.open > 0 && !same(row)) {
            whose = Whose::Grant(grant);
        }
        self.change(whose);
        let id = match self.rows.get_mut(&whose).filter(|row| same(row)) {
            Some(row) => {
                row.open += 1;
                row.id
            }
            None => {
                let row = Row {
                    tags,
                    run,
                    open: 1,
                    ..self.row(conn, now)?
                };
                let id = row.id;
                // One that was given back whole, or has ended in this transaction.
                self.aside.extend(self.rows.insert(whose, row));
                id
            }
        };
        let kept = Kept {
            row: id,
            demand: claim.demand,
            quantities: claim.quantities,
        };
        self.set_grant(grant, Some((whose, kept)));
        Ok(id)
    }

    fn ended(&mut self, grant: u64, settlement: Option<&Settlement>, now: i64) {
        let Some((whose, kept)) = self.grants.get(&grant).copied() else {
            return;
        };
        self.set_grant(grant, None);
        self.change(whose);
        if let Some(row) = self.rows.get_mut(&whose) {
            row.open = row.open.saturating_sub(1);
            row.ended = now;
            if let Some(settlement) = settlement {
                row.figures.settle(&kept, settlement);
            }
            if row.open == 0 && row.figures.is_settled() {
                row.status = Status::Settled;
            }
        }
    }

    fn record(
        &mut self,
        conn: &Connection,
        now: i64,
        tags: &Tags,
        usage: &Usage,
    ) -> rusqlite::Result<()> {
        let (tags, run) = self.names.of(conn, tags)?;
        let mut row = Row {
            tags,
            run,
            status: Status::Recorded,
            ..self.row(conn, now)?
        };
        row.figures = Figures::used(usage);
        self.aside.push(row);
        Ok(())
    }

    /// What was written down ahead and is lost: a row for all that is of the same tags.
    pub(super) fn lose(
        &mut self,
        conn: &Connection,
        at: At,
        used: &[(Arc<Tags>, Kept)],
    ) -> rusqlite::Result<()> {
        let mut rows = HashMap::<_, Figures>::new();
        for (tags, kept) in used {
            let figures = rows.entry(self.names.of(conn, tags)?).or_default();
            figures.settle(kept, &Settlement::Unknown);
        }
        for ((tags, run), figures) in rows {
            let row = Row {
                tags,
                run,
                status: Status::Lost,
                figures,
                ..self.row(conn, at.wall.div_euclid(1_000))?
            };
            self.aside.push(row);
        }
        Ok(())
    }

    /// One with an id of its own.
    fn row(&mut self, conn: &Connection, now: i64) -> rusqlite::Result<Row> {
        let now = now.clamp(0, i64::MAX / EACH_MILLISECOND - 1);
        let mut id = self.next_id(now);
        // Where the clock was set back, or stands still, others may have it.
        if now < self.latest || now == self.latest_before {
            let mut find = conn.prepare_cached("SELECT 1 FROM attempt WHERE id = ?")?;
            while find.exists([id])? {
                id = self.next_id(now);
            }
        }
        self.latest = self.latest.max(now);
        Ok(Row {
            id,
            tags: 0,
            run: None,
            open: 0,
            status: Status::Open,
            figures: Figures::default(),
            ended: now,
            stored: false,
        })
    }

    fn next_id(&mut self, now: i64) -> i64 {
        self.number = (self.number + 1) % EACH_MILLISECOND;
        now * EACH_MILLISECOND + self.number
    }

    fn change(&mut self, whose: Whose) {
        let row = self.rows.get(&whose);
        self.rows_before
            .entry(whose)
            .or_insert_with(|| row.cloned());
    }

    fn set_grant(&mut self, grant: u64, new: Option<(Whose, Kept)>) {
        let before = match new {
            Some(new) => self.grants.insert(grant, new),
            None => self.grants.remove(&grant),
        };
        self.grants_before.push((grant, before));
    }

    /// Writes what the present transaction has changed.
    pub(super) fn write(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let (mut hours, mut rows) = (HashMap::new(), Rows::of(conn)?);
        let changed = self.rows_before.keys();
        let changed = changed.filter_map(|whose| self.rows.get(whose));
        for row in changed.chain(&self.aside) {
            rows.write(row)?;
            sum_up(&mut hours, row);
        }
        add_to_hours(conn, &hours)
    }

    /// It is in the file.
    pub(super) fn committed(&mut self) {
        for whose in self.rows_before.drain().map(|(whose, _)| whose) {
            if let Place::Occupied(mut row) = self.rows.entry(whose) {
                row.get_mut().stored = true;
                if row.get().open == 0 {
                    row.remove();
                }
            }
        }
        self.grants_before.clear();
        self.aside.clear();
    }

    /// What is known of grants that have not ended.
    pub(super) fn kept(&self) -> std::collections::HashMap<u64, Kept> {
        let grants = self.grants.iter();
        grants.map(|(number, (_, kept))| (*number, *kept)).collect()
    }

    /// What was looked up since it was forgotten last: whatever has come to be named since then is among it.
    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// What was looked up may be gone.
    pub(super) fn forget_names(&mut self) {
        self.names.forget();
    }

    /// Forgets what was looked up, where that is much.
    pub(super) fn bound_names(&mut self) {
        self.names.bound();
    }

    /// Up to when the ledger goes.
    pub(super) fn recorded(&self) -> &Recorded {
        &self.recorded
    }

    /// It is not, and will be tried again.
    pub(super) fn rolled_back(&mut self) {
        for (whose, before) in self.rows_before.drain() {
            match before {
                Some(row) => self.rows.insert(whose, row),
                None => self.rows.remove(&whose),
            };
        }
        for (grant, before) in self.grants_before.drain(..).rev() {
            match before {
                Some(known) => self.grants.insert(grant, known),
                None => self.grants.remove(&grant),
            };
        }
        self.aside.clear();
        self.names.forget();
    }
}
