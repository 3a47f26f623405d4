//! The ledger as it is read.

use std::{io::Write, path::Path, sync::Mutex, time::SystemTime};

use rusqlite::{Connection, Statement, params, types::ValueRef};
use serde_json::Value;

use super::{
    AuditEntry, LedgerError, Query, Report, error::unread, file, note::audit, query::millis,
    report::line, row::EACH_MILLISECOND,
};

/// So many attempts are read at a time.
const PAGE: usize = 1_000;

/// The ledger of a [`SqliteStore`](super::SqliteStore), for reading, also while that store counts, and from another
/// process.
///
/// Its methods block: use it on a thread that may block.
///
/// ```
/// use tower_quota::{Limiter, Tag, Tags, Usage, Money, limit::Limits, limiter::Call};
/// use tower_quota::store::{SqliteStore, sqlite::{Ledger, Query}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = std::env::temp_dir().join(format!("quota-ledger-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("counts.db");
/// let limiter = Limiter::with_store(SqliteStore::open(&path, Limits::new([])?)?);
/// for (model, cents) in [("large", 3), ("small", 1), ("large", 4)] {
///     let mut usage = Usage::new(1_000, 100);
///     usage.cost = Some(Money::from_nanos(cents * 10_000_000));
///     limiter.record(&Tags::new().with(Tag::Model, model), usage).await?;
/// }
///
/// let report = Ledger::open(&path)?.report(&Query::new().by([Tag::Model]))?;
/// assert_eq!(report.rows[0].0, ["large"]);
/// assert_eq!(report.rows[0].1.cost.to_string(), "$0.07");
/// assert_eq!(report.totals.attempts, 3);
/// # drop(limiter);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Ledger(Mutex<Connection>);

impl Ledger {
    /// Opens the ledger in a file.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LedgerError> {
        Ok(Ledger(Mutex::new(file::open_to_read(path.as_ref())?)))
    }

    /// Returns what attempts came to.
    ///
    /// A query that does not ask for runs is answered from sums of hours: a month of ten million attempts takes less
    /// than two seconds.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn report(&self, query: &Query) -> Result<Report, LedgerError> {
        Report::of(&self.conn(), query)
    }

    /// Writes every attempt that was claimed between two instants as CSV (RFC 4180), beginning with a line of names.
    ///
    /// They are read a thousand at a time, and while these are written out nothing of the file is held: `to` may take
    /// its time. So attempts that begin, end or are pruned meanwhile may be in it or not, and as they are by then.
    ///
    /// # Errors
    /// If the ledger cannot be read, or the output cannot be written.
    pub fn attempts_to_csv(
        &self,
        from: SystemTime,
        until: SystemTime,
        to: &mut impl Write,
    ) -> Result<(), LedgerError> {
        self.attempts(from, until, |names, values| {
            let Some(values) = values else {
                return Ok(line(to, names.iter().cloned())?);
            };
            line(
                to,
                values.iter().map(|value| match value {
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                }),
            )?;
            Ok(())
        })
    }

    /// Writes the same attempts as JSON, one object per line, and reads them in the same way.
    ///
    /// # Errors
    /// If the ledger cannot be read, or the output cannot be written.
    pub fn attempts_to_json(
        &self,
        from: SystemTime,
        until: SystemTime,
        to: &mut impl Write,
    ) -> Result<(), LedgerError> {
        self.attempts(from, until, |names, values| {
            let Some(values) = values else {
                return Ok(());
            };
            let object: serde_json::Map<_, _> = names.iter().cloned().zip(values).collect();
            serde_json::to_writer(&mut *to, &object).map_err(std::io::Error::from)?;
            Ok(to.write_all(b"\n")?)
        })
    }

    /// Returns the audit log, oldest entry first.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn audit(&self) -> Result<Vec<AuditEntry>, LedgerError> {
        audit(&self.conn()).map_err(|error| unread(&error))
    }

    /// Shows the names of what is known of an attempt, then every attempt, from the oldest on.
    ///
    /// Nothing is read while they are shown: as long as somebody reads, the log of whoever writes only grows.
    fn attempts(
        &self,
        from: SystemTime,
        until: SystemTime,
        mut show: impl FnMut(&[String], Option<Vec<Value>>) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let failed = |error: rusqlite::Error| unread(&error);
        let conn = self.conn();
        let select =
            format!("SELECT * FROM attempts WHERE id >= ? AND id < ? ORDER BY id LIMIT {PAGE}");
        let mut query = conn.prepare(&select).map_err(failed)?;
        let names: Vec<String> = query.column_names().map(str::to_owned).collect();
        let (mut first, until) = (
            millis(from) * EACH_MILLISECOND,
            millis(until) * EACH_MILLISECOND,
        );
        show(&names, None)?;
        loop {
            let attempts = page(&mut query, (first, until)).map_err(failed)?;
            let is_full = attempts.len() == PAGE;
            for (id, values) in attempts {
                first = id + 1;
                show(&names, Some(values))?;
            }
            if !is_full {
                return Ok(());
            }
        }
    }

    fn conn(&self) -> std::sync::MutexGuard<'_, Connection> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Some attempts between two ids, each with its own. The query is over then, and with it the reading.
fn page(
    query: &mut Statement<'_>,
    (first, until): (i64, i64),
) -> rusqlite::Result<Vec<(i64, Vec<Value>)>> {
    let columns = query.column_count();
    let attempts = query.query_map(params![first, until], |row| {
        let values = (0..columns).map(|place| row.get_ref(place).map(value));
        let values: rusqlite::Result<Vec<Value>> = values.collect();
        Ok((row.get("id")?, values?))
    })?;
    attempts.collect()
}

fn value(of: ValueRef<'_>) -> Value {
    match of {
        ValueRef::Integer(figure) => figure.into(),
        ValueRef::Real(figure) => figure.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Null | ValueRef::Blob(_) => Value::Null,
    }
}
