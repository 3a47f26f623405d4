//! What is asked of a ledger, and where in the file that is.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use rusqlite::{Connection, params};

use super::{
    Totals,
    row::{EACH_MILLISECOND, HOUR},
};
use crate::tags::Tag;

/// A query of a [ledger](super::Ledger): everything, unless it is narrowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Query {
    pub(super) by: Vec<Tag>,
    pub(super) when: Vec<(Tag, String)>,
    from: Option<SystemTime>,
    until: Option<SystemTime>,
}

impl Query {
    /// Creates a query for everything, in one sum.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a sum for each value of these tags.
    pub fn by(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.by = tags.into_iter().collect();
        self
    }

    /// Asks only for attempts with this value of a tag. An empty value stands for attempts without the tag.
    pub fn when(mut self, tag: impl Into<Tag>, value: impl Into<String>) -> Self {
        self.when.push((tag.into(), value.into()));
        self
    }

    /// Asks only for attempts that were claimed at this instant or later, to the millisecond.
    pub fn from(mut self, instant: SystemTime) -> Self {
        self.from = Some(instant);
        self
    }

    /// Asks only for attempts that were claimed before this instant.
    pub fn until(mut self, instant: SystemTime) -> Self {
        self.until = Some(instant);
        self
    }

    /// Whether the sums of hours do not tell it.
    pub(super) fn wants_runs(&self) -> bool {
        let when = self.when.iter().map(|(tag, _)| tag);
        self.by.iter().chain(when).any(|tag| *tag == Tag::Run)
    }
}

/// Sums of hours, and attempts where they are asked for one by one. They are added up here: SQLite would sort them.
const OF_HOURS: &str =
    "SELECT tags, NULL, attempts, estimated, unknown, unpriced, input, cache_read, cache_write,
    output, reasoning, cost FROM hour WHERE hour >= ? AND hour < ?";
const OF_ATTEMPTS: &str =
    "SELECT tags, NULL, 1, usage = 2, usage = 0, cost IS NULL, input, cache_read, cache_write,
    output, reasoning, cost FROM attempt WHERE id >= ? AND id < ? AND status <> 0";

/// Sums by the numbers of a set of tags and a run.
pub(super) type Sums = HashMap<(i64, Option<i64>), Totals>;

impl Query {
    /// What attempts came to, by the numbers of their tags.
    pub(super) fn sums(&self, conn: &Connection) -> rusqlite::Result<Sums> {
        let (from, until) = (
            self.from.map_or(0, millis),
            self.until.map_or(i64::MAX / EACH_MILLISECOND, millis),
        );
        let mut sums = Sums::new();
        if until <= from {
            return Ok(sums);
        }
        if self.wants_runs() {
            let each = OF_ATTEMPTS.replace("tags, NULL", "tags, run");
            gather(
                conn,
                &each,
                (
                    from * EACH_MILLISECOND,
                    until.saturating_mul(EACH_MILLISECOND),
                ),
                &mut sums,
            )?;
            return Ok(sums);
        }
        // Where attempts are gone, only whole hours are known.
        let gone = conn.query_row(
            "SELECT ifnull(max(value), 0) FROM meta WHERE key = 'attempts_from'",
            [],
            |row| row.get::<_, i64>(0),
        )?;
        let (mut first, mut last) = (
            from.div_euclid(HOUR) + i64::from(from % HOUR > 0),
            until.div_euclid(HOUR),
        );
        if from.div_euclid(HOUR) < gone {
            first = from.div_euclid(HOUR);
        }
        if until % HOUR > 0 && last < gone {
            last += 1;
        }
        if first > last {
            gather(
                conn,
                OF_ATTEMPTS,
                (
                    from * EACH_MILLISECOND,
                    until.saturating_mul(EACH_MILLISECOND),
                ),
                &mut sums,
            )?;
            return Ok(sums);
        }
        gather(conn, OF_HOURS, (first, last), &mut sums)?;
        for (from, until) in [(from, first * HOUR), (last.saturating_mul(HOUR), until)] {
            if from < until {
                let ids = (
                    from * EACH_MILLISECOND,
                    until.saturating_mul(EACH_MILLISECOND),
                );
                gather(conn, OF_ATTEMPTS, ids, &mut sums)?;
            }
        }
        Ok(sums)
    }
}

fn gather(
    conn: &Connection,
    sql: &str,
    (from, until): (i64, i64),
    sums: &mut Sums,
) -> rusqlite::Result<()> {
    let mut query = conn.prepare_cached(sql)?;
    let mut rows = query.query(params![from, until])?;
    while let Some(row) = rows.next()? {
        sums.entry((row.get(0)?, row.get(1)?))
            .or_default()
            .add(&Totals::read(row)?);
    }
    Ok(())
}

pub(super) fn millis(instant: SystemTime) -> i64 {
    let span = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    let millis = instant
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, span);
    millis.min(i64::MAX / EACH_MILLISECOND - 1)
}
