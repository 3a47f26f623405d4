//! Counts that outlive the process, and a ledger of every attempt, in one file.
//!
//! [`SqliteStore`] decides as [`MemoryStore`](super::MemoryStore) does, and has written down what it grants before the
//! attempt leaves. After `kill -9` at any instant no attempt is missing that was settled, what was in flight counts as
//! reserved, the slots of the dead process are free, and the file opens as it is.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use tower_quota::{Limiter, Usage, limit::{Limit, Limits}, limiter::{Call, QueueOptions}, store::SqliteStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::env::temp_dir().join(format!("quota-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let path = folder.join("counts.db");
//! let limits = Limits::new([Limit::tokens(1_000).every(Duration::from_secs(3_600))])?;
//! let store = Arc::new(SqliteStore::open(&path, limits.clone())?);
//! let limiter = Limiter::build(store.clone(), QueueOptions::new());
//! let permit = limiter.acquire(Call::new().tokens(600, 100)).await?;
//! permit.settle(Usage::new(600, 50));
//! store.close()?;
//!
//! // In the next process:
//! let limiter = Limiter::with_store(SqliteStore::open(&path, limits)?);
//! let refused = limiter.try_acquire(Call::new().tokens(400, 0)).await.unwrap_err();
//! assert_eq!(refused.shortage().unwrap().in_use, 650);
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//! A claim is decided in memory, at once, and handed to a thread that writes. Everything that waits goes into one
//! transaction, and whoever waits for it is woken when it is on the disk. A commit therefore costs two to four
//! milliseconds, however many calls share it. A refusal waits for nothing. Of the claims of one attempt, the last waits
//! for all; what a call used is written with what is claimed next, a fiftieth of a second later at most. If
//! [`Survives::Kill`] is enough, a commit ends in the operating system and not on the disk, which takes a tenth of a
//! millisecond. With [`SqliteOptions::ahead`], most claims wait for neither. The file contains an image of all counts,
//! written from time to time, and what was done since the last one.
//!
//! # The ledger
//! Each attempt is a row: when it was made, under which tags, its tokens, its cost, and whether these were reported,
//! estimated, or are what was reserved. Read it with [`SqliteStore::ledger`], from another process with
//! [`Ledger::open`], or with any tool that reads SQLite, also while calls go on: the views `attempts` and `hours` have
//! names in plain columns, and `audit` has what was done by hand. Prompts and answers are never in it; tag values are,
//! unchanged.
//!
//! ```sql
//! SELECT model, agent, sum(cost_dollars) FROM hours WHERE hour >= '2026-11' GROUP BY 1, 2;
//! SELECT at, model, cost_dollars, tags ->> '$.tenant' AS tenant FROM attempts WHERE run = 'nightly-7';
//! ```
//!
//! An attempt takes about 50 bytes; the sum of its hour is shared. A month of ten million attempts, by model and agent,
//! is reported in half a second. Attempts stay until they are [pruned](SqliteStore::prune).
//!
//! # Limits that have changed
//! What is counted is matched by quantity, period, `when` and `per`, so amounts may differ when the file is opened
//! again. What counted under limits that it is not opened with is forgotten. What a budget passes because its amount is
//! less now is told as an [event](super::BudgetEvent), and may open its circuit.
//!
//! The limits that it is opened with, usually those of the configuration, are in force, whichever were added or removed
//! at run time: a limit that was [added](crate::Limiter::reconfigure) at run time is gone if it is not among them, and
//! one that was removed is there again, with nothing in use. An amount that was changed at run time stays in force as
//! long as the limit is opened with the same amount as before; if it is opened with another amount, that one takes its
//! place. The same goes for everything else about the limit: its charge, its thresholds. To keep a limit, add it to the
//! configuration too.
//!
//! # Versions
//! A file of an earlier version is converted to this version's form when it is opened. A file of a later version is
//! opened if that version has only added to the form, and is refused otherwise; see [`OpenError::Newer`].

mod ahead;
mod answers;
mod book;
mod brief;
mod commit;
mod error;
mod figures;
mod file;
mod ledger;
mod named;
mod names;
mod note;
mod op;
mod options;
mod pruning;
mod query;
mod recorded;
mod recover;
mod replica;
mod report;
mod retention;
mod row;
mod schema;
mod shared;
mod standing;
mod store;
mod sync;
mod writer;

pub use error::{LedgerError, OpenError};
pub use ledger::Ledger;
pub use options::{SqliteOptions, Survives};
pub use query::Query;
pub use report::{Report, Totals};
pub use retention::{Pruned, Retention};
pub use store::SqliteStore;

pub use super::AuditEntry;
