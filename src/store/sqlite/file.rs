//! The file: who may have it, and how it is opened.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::{
    OpenError, Survives,
    schema::{self, APPLICATION, SCHEMA, Versions},
};

/// How long a write waits for somebody else's, who has opened the file with another tool.
const PATIENCE: Duration = Duration::from_secs(2);
/// The write-ahead log is cut to this after something large.
const LONG_LOG: i64 = 16 << 20;
/// After so many pages of the log they are copied into the file, each once, however often it was written.
const COPIED_AFTER: i64 = 3_000;

/// An open file that nobody else counts in.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) conn: Connection,
    pub(super) lock: Lock,
    /// Where it is, whatever links lead there: what is beside it has this name in front.
    pub(super) path: PathBuf,
}

/// That this store alone counts in the file. The system lets go of it when the process ends, however it does.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// `None`: somebody else has it.
    fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = private(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for Lock {
    /// Closing the file would not do: a program that is just being started from this process has a copy of it, and with it the
    /// lock, until it runs.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Opens the file to count in it, making it where there is none, and brings it to this version's schema.
pub(super) fn open(path: &Path, survives: Survives) -> Result<Opened, OpenError> {
    let unreachable = |reason| OpenError::Unreachable {
        path: path.to_owned(),
        reason,
    };
    let real = real(path).map_err(unreachable)?;
    let lock = Lock::take(&lock_path(&real)).map_err(unreachable)?;
    let lock = lock.ok_or_else(|| OpenError::InUse {
        path: path.to_owned(),
    })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn =
        Connection::open_with_flags(&real, flags).map_err(|error| refused(path, &error))?;
    prepare(&mut conn, path, survives)?;
    Ok(Opened {
        conn,
        lock,
        path: real,
    })
}

/// Opens the file to read its ledger, beside whoever counts in it.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if let Err(reason) = path.metadata() {
        return Err(OpenError::Unreachable {
            path: path.to_owned(),
            reason,
        });
    }
    let conn = Connection::open_with_flags(path, flags).map_err(|error| refused(path, &error))?;
    conn.busy_timeout(PATIENCE)
        .map_err(|error| refused(path, &error))?;
    let found = ours(&conn, path)?;
    let versions = found.ok_or_else(|| OpenError::Foreign {
        path: path.to_owned(),
        found: "an empty file".into(),
    })?;
    readable(path, versions)?;
    Ok(conn)
}

fn prepare(conn: &mut Connection, path: &Path, survives: Survives) -> Result<(), OpenError> {
    let failed = |error: rusqlite::Error| refused(path, &error);
    conn.busy_timeout(PATIENCE).map_err(failed)?;
    let found = ours(conn, path)?;
    if let Some(versions) = found {
        readable(path, versions)?;
    }
    let mode: String = conn
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(failed)?;
    if mode != "wal" {
        let reason =
            format!("its file system has no write-ahead log (`{mode}`): put it on a local disk");
        return Err(OpenError::Refused {
            path: path.to_owned(),
            reason,
        });
    }
    let synchronous = match survives {
        Survives::Power => "FULL",
        // The file stays whole, and the log is brought to the disk apart.
        Survives::Kill => "NORMAL",
    };
    conn.pragma_update(None, "synchronous", synchronous)
        .map_err(failed)?;
    conn.pragma_update(None, "temp_store", "MEMORY")
        .map_err(failed)?;
    conn.pragma_update_and_check(None, "journal_size_limit", LONG_LOG, |_| Ok(()))
        .map_err(failed)?;
    conn.pragma_update_and_check(None, "wal_autocheckpoint", COPIED_AFTER, |_| Ok(()))
        .map_err(failed)?;
    conn.set_prepared_statement_cache_capacity(32);
    let from = found.map_or(0, |versions| versions.schema);
    if from < SCHEMA {
        let tx = conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        tx.pragma_update(None, "application_id", APPLICATION)
            .map_err(failed)?;
        schema::migrate(&tx, from, SCHEMA).map_err(failed)?;
        tx.commit().map_err(failed)?;
    }
    Ok(())
}

/// The schema of a file of ours; `None`: there is nothing in it yet.
fn ours(conn: &Connection, path: &Path) -> Result<Option<Versions>, OpenError> {
    let failed = |error: rusqlite::Error| refused(path, &error);
    let application: i64 = conn
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(failed)?;
    let tables: i64 = conn
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    match (application, tables) {
        (0, 0) => Ok(None),
        (APPLICATION, 0) => Ok(None),
        (APPLICATION, _) => schema::versions(conn)
            .map(Some)
            .map_err(|error| OpenError::Damaged {
                path: path.to_owned(),
                reason: error.to_string(),
            }),
        _ => Err(OpenError::Foreign {
            path: path.to_owned(),
            found: "another program's database".into(),
        }),
    }
}

fn readable(path: &Path, versions: Versions) -> Result<(), OpenError> {
    if versions.min_reader > SCHEMA {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found: versions.schema,
            wanted: versions.min_reader,
            known: SCHEMA,
        });
    }
    Ok(())
}

fn refused(path: &Path, error: &rusqlite::Error) -> OpenError {
    let (path, reason) = (path.to_owned(), error.to_string());
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::Foreign {
            path,
            found: "no SQLite database".into(),
        },
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged { path, reason },
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            OpenError::Unreachable {
                path,
                reason: io::Error::other(reason),
            }
        }
        _ => OpenError::Refused { path, reason },
    }
}

/// The file behind all links, made where there is none: by us, so that nobody else may read it; what SQLite puts beside it is as
/// private as it is. One that is there is never opened but by SQLite: its locks of this process would go with us.
fn real(path: &Path) -> io::Result<PathBuf> {
    let is_missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    match path.canonicalize() {
        Err(error) if is_missing(&error) => {}
        found => return found,
    }
    match options().create_new(true).open(path) {
        // Somebody else has just made it, or it is a link to what is not there yet.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => drop(made?),
    }
    match path.canonicalize() {
        Err(error) if is_missing(&error) => {}
        found => return found,
    }
    drop(options().create(true).open(path)?);
    path.canonicalize()
}

/// What is locked: not the file itself, which has locks of SQLite's on it that go when anybody in the process closes it.
fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-lock");
    name.into()
}

/// A file for its owner alone, made where there is none.
fn private(path: &Path) -> io::Result<File> {
    options().create(true).open(path)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_the_open_file_does_not_keep_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counts.db-lock");
        let take = || Lock::take(&path).unwrap();
        let first = take().expect("nobody has it");
        let copy = first.0.try_clone().unwrap();
        assert!(take().is_none());
        drop(first);
        let second = take().expect("it is free, copy or not");
        drop(copy);
        assert!(take().is_none(), "nor does the copy free what others have");
        drop(second);
    }
}
