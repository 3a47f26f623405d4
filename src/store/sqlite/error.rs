//! Why a file cannot be counted in, or read.

use std::{io, path::PathBuf};

/// Why a store's file was not opened. The file is unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file cannot be created, read or written.
    #[error(
        "{} cannot be opened: {reason}; its directory has to exist, and this process has to be allowed to write there",
        path.display()
    )]
    Unreachable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// Another store already counts in it.
    #[error(
        "{} is in use by another store, in this process or another; stop that one, or give each a file of its own",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It belongs to another program.
    #[error(
        "{} is no file of this kind ({found}); say another path, or move it away: nothing of it was changed",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: String,
    },
    /// A newer version wrote it, in a form that this one cannot maintain.
    #[error(
        "{} is of schema {found} and wants a program that knows schema {wanted}; this one knows {known}: use the newer version, or a backup from before it",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The lowest schema that a program has to know to maintain it.
        wanted: i64,
        /// The schema that this version knows.
        known: i64,
    },
    /// Its contents are inconsistent.
    #[error(
        "{} is damaged: {reason}; restore it from a backup, or move it away with its -wal and begin anew, which forgets what was counted",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// SQLite refused something.
    #[error("{}: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What it said.
        reason: String,
    },
}

/// Why the ledger did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// It cannot be opened.
    #[error("the ledger cannot be opened: {0}")]
    Open(#[from] OpenError),
    /// SQLite refused something.
    #[error("the ledger cannot be read: {0}")]
    Read(String),
    /// What was read could not be written out.
    #[error("the report cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// What SQLite refused. No `From`, which would make its crate a part of our interface.
pub(super) fn unread(error: &rusqlite::Error) -> LedgerError {
    LedgerError::Read(error.to_string())
}
