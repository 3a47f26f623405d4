//! The audit log in the file.

use std::borrow::Cow;

use rusqlite::{Connection, params};

use super::Pruned;
use crate::store::{
    AuditEntry,
    audit::{Note, instant},
    clock::told::At,
};

/// All of it, the oldest entry first.
pub(super) fn audit(conn: &Connection) -> rusqlite::Result<Vec<AuditEntry>> {
    let mut query =
        conn.prepare("SELECT at, what, subject, old, new, by, why FROM audit ORDER BY id")?;
    let entries = query.query_map([], |row| {
        Ok(AuditEntry {
            at: row.get(0)?,
            what: row.get(1)?,
            subject: row.get(2)?,
            old: row.get(3)?,
            new: row.get(4)?,
            by: row.get(5)?,
            why: row.get(6)?,
        })
    })?;
    entries.collect()
}

impl Note {
    /// Of attempts that were deleted because they are old.
    pub(super) fn of_retention(Pruned { attempts, hours }: Pruned, by: &str) -> Self {
        Note {
            what: Cow::Borrowed("prune"),
            subject: "the ledger".into(),
            old: Some(format!("{attempts} attempts, {hours} sums of an hour")),
            new: None,
            by: by.to_owned().into(),
            why: "older than they are kept".into(),
        }
    }

    pub(super) fn write(&self, conn: &Connection, at: At) -> rusqlite::Result<()> {
        let Note {
            what,
            subject,
            old,
            new,
            by,
            why,
        } = self;
        let insert =
            "INSERT INTO audit (at, what, subject, old, new, by, why) VALUES (?, ?, ?, ?, ?, ?, ?)";
        let mut insert = conn.prepare_cached(insert)?;
        insert.execute(params![
            instant(at.shown()),
            what,
            subject,
            old,
            new,
            by,
            why
        ])?;
        Ok(())
    }
}
