//! A row of the ledger.

use hashbrown::HashMap;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

use super::{
    figures::{Figures, Sum, add_to_hours},
    replica::Kept,
};
use crate::store::Settlement;

/// Row ids are milliseconds times this.
pub(super) const EACH_MILLISECOND: i64 = 1 << 20;
/// In milliseconds.
pub(super) const HOUR: i64 = 3_600_000;

/// How an attempt stands, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Open = 0,
    Settled = 1,
    Lost = 2,
    Recorded = 3,
}

/// An attempt that has not ended, or has in the present transaction.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) tags: i64,
    pub(super) run: Option<i64>,
    /// How many of its grants are open.
    pub(super) open: u32,
    pub(super) status: Status,
    pub(super) figures: Figures,
    pub(super) ended: i64,
    /// Whether it stands in the file.
    pub(super) stored: bool,
}

/// Ends the rows of attempts that nobody will settle. Says how many there were.
pub(super) fn lose<'k>(
    conn: &Connection,
    kept: impl Iterator<Item = &'k Kept>,
) -> rusqlite::Result<usize> {
    let mut rows: HashMap<i64, Vec<&Kept>> = HashMap::new();
    kept.for_each(|kept| rows.entry(kept.row).or_default().push(kept));
    let mut hours = HashMap::new();
    let count = rows.len();
    let mut write = Rows::of(conn)?;
    for (id, kept) in rows {
        let found = conn.query_row("SELECT * FROM attempt WHERE id = ?", [id], read_row);
        let Some(mut row) = found.optional()? else {
            continue;
        };
        row.status = if row.figures.is_settled() {
            Status::Settled
        } else {
            Status::Lost
        };
        for kept in kept {
            row.figures.settle(kept, &Settlement::Unknown);
        }
        write.write(&row)?;
        sum_up(&mut hours, &row);
    }
    add_to_hours(conn, &hours)?;
    Ok(count)
}

pub(super) fn sum_up(hours: &mut HashMap<(i64, i64), Sum>, row: &Row) {
    if row.status != Status::Open {
        let hour = row.id / EACH_MILLISECOND / HOUR;
        hours.entry((hour, row.tags)).or_default().add(&row.figures);
    }
}

/// Writes rows, by statements that are looked up once for all of them.
pub(super) struct Rows<'c> {
    conn: &'c Connection,
    insert: CachedStatement<'c>,
    update: CachedStatement<'c>,
}

impl<'c> Rows<'c> {
    pub(super) fn of(conn: &'c Connection) -> rusqlite::Result<Self> {
        let insert = "INSERT INTO attempt (tags, run, status, usage, took, input, cache_read, cache_write, output, reasoning,
            cost, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let update = "UPDATE attempt SET tags = ?, run = ?, status = ?, usage = ?, took = ?, input = ?, cache_read = ?,
            cache_write = ?, output = ?, reasoning = ?, cost = ? WHERE id = ?";
        Ok(Rows {
            conn,
            insert: conn.prepare_cached(insert)?,
            update: conn.prepare_cached(update)?,
        })
    }

    pub(super) fn write(&mut self, row: &Row) -> rusqlite::Result<()> {
        if row.open == 0 && row.status == Status::Open {
            // Its claims were given back: there was no attempt.
            if row.stored {
                let mut delete = self
                    .conn
                    .prepare_cached("DELETE FROM attempt WHERE id = ?")?;
                delete.execute([row.id])?;
            }
            return Ok(());
        }
        let took = (row.status != Status::Open)
            .then(|| row.ended.saturating_sub(row.id / EACH_MILLISECOND).max(0));
        let f = &row.figures;
        let values = params![
            row.tags,
            row.run,
            row.status as i64,
            f.usage(),
            took,
            f.input,
            f.cache_read,
            f.cache_write,
            f.output,
            f.reasoning,
            f.cost(),
            row.id
        ];
        let statement = if row.stored {
            &mut self.update
        } else {
            &mut self.insert
        };
        statement.execute(values)?;
        Ok(())
    }
}

fn read_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let id = row.get("id")?;
    Ok(Row {
        id,
        tags: row.get("tags")?,
        run: row.get("run")?,
        open: 0,
        status: Status::Open,
        figures: Figures::read(row)?,
        ended: id / EACH_MILLISECOND,
        stored: true,
    })
}
