//! Up to when the ledger goes. What is deleted because it is old is gone for good, and the clock on the wall may be years
//! ahead for a minute: it alone does not say what is old.

use rusqlite::Connection;

use super::row::{EACH_MILLISECOND, HOUR};
use crate::limit::Tick;

const DAY: i64 = 24 * HOUR;

/// What was recorded when the file was opened. In milliseconds, as all that is dated.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    /// By the store's own clock, which nobody sets while it is open.
    opened: Tick,
    newest: Option<i64>,
}

impl Recorded {
    pub(super) fn open(conn: &Connection, opened: Tick) -> rusqlite::Result<Self> {
        Ok(Recorded {
            opened,
            newest: newest(conn)?,
        })
    }

    /// The latest that it may be now: a day after the newest that is recorded, or would be, had something been recorded
    /// all the time. What came since the file was opened says so only when that is a day ago: by then somebody has set a
    /// clock that was wrong. `None`: there is nothing.
    pub(super) fn latest(&self, conn: &Connection, now: Tick) -> rusqlite::Result<Option<i64>> {
        let passed = now.since(self.opened).as_millis();
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        let then = self.newest.map(|newest| newest.saturating_add(passed));
        let latest = match then {
            Some(_) if passed < DAY => then,
            _ => then.max(newest(conn)?),
        };
        Ok(latest.map(|latest| latest.saturating_add(DAY)))
    }
}

/// The newest attempt, or, where attempts are gone, the hour of the newest sum.
fn newest(conn: &Connection) -> rusqlite::Result<Option<i64>> {
    let greatest = |query| conn.query_row(query, [], |row| row.get::<_, Option<i64>>(0));
    let attempt = greatest("SELECT max(id) FROM attempt")?;
    let hour = greatest("SELECT max(hour) FROM hour")?;
    let attempt = attempt.map(|id| id / EACH_MILLISECOND);
    Ok(attempt.max(hour.map(|hour| hour.saturating_mul(HOUR))))
}
