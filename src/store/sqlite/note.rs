//! The audit log in the file.

use rusqlite::{Connection, params};

use super::Pruned;
use crate::store::{
    audit::{Note, instant},
    clock::told::At,
};

impl Note {
    /// Of attempts that were deleted because they are old.
    pub(super) fn of_retention(Pruned { attempts, hours }: Pruned, by: &str) -> Self {
        Note {
            what: "prune",
            subject: "the ledger".into(),
            old: Some(format!("{attempts} attempts, {hours} sums of an hour")),
            new: None,
            by: by.to_owned(),
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
        insert.execute(params![instant(at), what, subject, old, new, by, why])?;
        Ok(())
    }
}
