//! Where counts are kept, said in a text.

use std::{env, error::Error, fmt, path::PathBuf, str::FromStr, sync::Arc};

use super::{MemoryStore, Store};
#[cfg(feature = "sqlite")]
use super::{SqliteStore, sqlite::SqliteOptions};
use crate::limit::Limits;

/// Where counts are kept, said in a text: the one setting by which any program counts in any store.
///
/// | text | where | feature |
/// |---|---|---|
/// | `memory` | in this process: [`MemoryStore`] | |
/// | `sqlite:PATH` | in a file that outlives it: `SqliteStore` | `sqlite` |
///
/// A path is one from where the program runs, or an absolute one. A text may hold a password, which is in no error, nor in
/// `Display` and `Debug`.
///
/// ```
/// use tower_quota::{limit::{Limit, Limits}, store::StoreSetting};
///
/// let setting: StoreSetting = "memory".parse()?;
/// let store = setting.open(Limits::new([Limit::concurrency(8)])?)?;
/// assert_eq!(store.limits().len(), 1);
///
/// let error = "memroy".parse::<StoreSetting>().unwrap_err();
/// assert!(error.to_string().starts_with("this is no store; there are `memory`, "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StoreSetting(Kind);

#[derive(Clone, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Memory,
    Sqlite(PathBuf),
}

/// Why a text names no store, or the store cannot be had. It holds nothing of a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreSettingError {
    /// There is no such store.
    #[error("this is no store; there are {KNOWN}")]
    Unknown,
    /// A file is meant, and none is named.
    #[error("it names no file; write `sqlite:counts.db`, or `memory`")]
    NoFile,
    /// The program was built without it.
    #[error(
        "`{0}:` wants the feature `{0}`, which this program was built without; build it with --features {0}"
    )]
    FeatureOff(&'static str),
    /// It cannot be opened.
    #[error(transparent)]
    Open(Box<dyn Error + Send + Sync>),
}

const KNOWN: &str = "`memory`, `sqlite:PATH`";

/// A store, by its kind.
pub(crate) enum Opened {
    Memory(MemoryStore),
    #[cfg(feature = "sqlite")]
    Sqlite(SqliteStore),
}

/// What is said of a store beside where it is. What is not said is as the store has it.
#[derive(Default)]
pub(crate) struct Terms {
    pub(crate) max_counts: Option<usize>,
    pub(crate) absorb_counters: Option<bool>,
    /// Who changes limits, for an audit log.
    #[cfg(feature = "sqlite")]
    pub(crate) by: Option<&'static str>,
}

impl StoreSetting {
    /// The variable of the environment that [`from_env`](Self::from_env) reads.
    pub const VARIABLE: &str = "TOWER_QUOTA_STORE";

    /// What `TOWER_QUOTA_STORE` says; `memory` where it is not set, or empty.
    ///
    /// # Errors
    /// Where it names no store.
    pub fn from_env() -> Result<Self, StoreSettingError> {
        match env::var(Self::VARIABLE) {
            Ok(text) if !text.is_empty() => text.parse(),
            Ok(_) | Err(env::VarError::NotPresent) => Ok(Self::default()),
            Err(env::VarError::NotUnicode(_)) => Err(StoreSettingError::Unknown),
        }
    }

    /// In this file.
    ///
    /// # Errors
    /// Where the path names no file.
    pub fn in_file(path: impl Into<PathBuf>) -> Result<Self, StoreSettingError> {
        let path = path.into();
        // The second is one in memory, which ends like any.
        if path.as_os_str().is_empty() || path.as_os_str() == ":memory:" {
            return Err(StoreSettingError::NoFile);
        }
        Ok(StoreSetting(Kind::Sqlite(path)))
    }

    /// Opens the store, to count in it under these limits. A file is read and written, a server asked, and that is waited
    /// for: for a start of a program, not for a task among others. To close one, drop it.
    ///
    /// # Errors
    /// Where it cannot be had, or this program was built without it.
    pub fn open(&self, limits: Limits) -> Result<Arc<dyn Store>, StoreSettingError> {
        Ok(match self.open_by(limits, &Terms::default())? {
            Opened::Memory(store) => Arc::new(store),
            #[cfg(feature = "sqlite")]
            Opened::Sqlite(store) => Arc::new(store),
        })
    }

    pub(crate) fn open_by(
        &self,
        limits: Limits,
        terms: &Terms,
    ) -> Result<Opened, StoreSettingError> {
        Ok(match &self.0 {
            Kind::Memory => {
                let mut store = MemoryStore::new(limits);
                if let Some(most) = terms.max_counts {
                    store = store.max_counts(most);
                }
                if let Some(absorb) = terms.absorb_counters {
                    store = store.absorb_counters(absorb);
                }
                Opened::Memory(store)
            }
            #[cfg(not(feature = "sqlite"))]
            Kind::Sqlite(_) => return Err(StoreSettingError::FeatureOff("sqlite")),
            #[cfg(feature = "sqlite")]
            Kind::Sqlite(path) => {
                let mut options = SqliteOptions::new(path, limits);
                if let Some(most) = terms.max_counts {
                    options = options.max_counts(most);
                }
                if let Some(absorb) = terms.absorb_counters {
                    options = options.absorb_counters(absorb);
                }
                if let Some(by) = terms.by {
                    options = options.by(by);
                }
                Opened::Sqlite(
                    options
                        .open()
                        .map_err(|error| StoreSettingError::Open(error.into()))?,
                )
            }
        })
    }
}

impl FromStr for StoreSetting {
    type Err = StoreSettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "memory" => Ok(StoreSetting(Kind::Memory)),
            // `sqlite://counts.db` is written elsewhere.
            Some(("sqlite", path)) => Self::in_file(path.strip_prefix("//").unwrap_or(path)),
            _ => Err(StoreSettingError::Unknown),
        }
    }
}

impl fmt::Display for StoreSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Memory => f.write_str("memory"),
            Kind::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
        }
    }
}

impl fmt::Debug for StoreSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreSetting({self})")
    }
}
