//! Where counts are kept, said in a text.

use std::{env, error::Error, fmt, path::PathBuf, str::FromStr, sync::Arc};

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Store,
    open::{self, Opened, Terms},
};
use crate::limit::Limits;

/// Where counts are kept, as a text: the one setting by which any program can count in any store.
///
/// | text | where | feature |
/// |---|---|---|
/// | `memory` | in this process: [`MemoryStore`](super::MemoryStore) | |
/// | `sqlite:PATH` | in a file that outlives the process: `SqliteStore` | `sqlite` |
/// | `sqlite:PATH?survives=kill` | the same, but calls do not wait for the disk; `Survives` says what that may cost, and only if the machine loses its power | `sqlite` |
/// | `sqlite:PATH?ahead=16` | the same, but most calls wait for nothing, because room for this many is written down ahead; `SqliteOptions::ahead` says what that may cost, and only after a crash. Both together are `?survives=kill&ahead=16` | `sqlite` |
/// | `redis://HOST:PORT/DB?namespace=NAME` | on a server, shared with all processes that have the same setting: `RedisStore`; for further settings see `RedisOptions::new` | `redis` |
/// | `rediss://…` | the same over TLS | `redis` |
///
/// A path is relative to the directory in which the program runs, or absolute. If a server asks for a password, write
/// `redis://USER:PASSWORD@HOST`; what precedes the `@` appears in no error, nor in `Display` and `Debug`.
///
/// ```
/// use tower_quota::{limit::{Limit, Limits}, store::StoreSetting};
///
/// let setting: StoreSetting = "memory".parse()?;
/// let store = setting.open(Limits::new([Limit::concurrency(8)])?)?;
/// assert_eq!(store.limits().iter().count(), 1);
///
/// let error = "memroy".parse::<StoreSetting>().unwrap_err();
/// assert!(error.to_string().starts_with("this is no store; there are `memory`, "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StoreSetting(Place);

/// What is said behind a path of what is written when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// What was granted may be gone where the machine loses its power.
    pub(super) survives_kill_alone: bool,
    /// For how many claims room is written down ahead.
    pub(super) ahead: u32,
}

impl Written {
    /// By what stands behind the `?`; `None`: that is part of a name.
    fn read(text: &str) -> Option<Self> {
        let mut written = Written::default();
        for setting in text.split('&') {
            match setting.split_once('=')? {
                ("survives", "kill") => written.survives_kill_alone = true,
                ("ahead", claims) => written.ahead = claims.parse().ok()?,
                _ => return None,
            }
        }
        Some(written)
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = '?';
        if self.survives_kill_alone {
            write!(f, "{before}survives=kill")?;
            before = '&';
        }
        match self.ahead {
            0 => Ok(()),
            ahead => write!(f, "{before}ahead={ahead}"),
        }
    }
}

#[derive(Clone, Default)]
pub(super) enum Place {
    #[default]
    Memory,
    File {
        path: PathBuf,
        written: Written,
    },
    /// The whole text.
    Server(SecretString),
}

/// Why a text names no store, or why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreSettingError {
    /// There is no such store.
    #[error(
        "this is no store; there are `memory`, `sqlite:PATH`, `redis://HOST:PORT/DB` and, over TLS, `rediss://HOST`"
    )]
    Unknown,
    /// A file is meant, but none is named.
    #[error("it names no file; write `sqlite:counts.db`, or `memory`")]
    NoFile,
    /// The program was built without the feature for this store.
    #[error(
        "`{0}:` wants the feature `{0}`, which this program was built without; build it with --features {0}"
    )]
    FeatureOff(&'static str),
    /// The store cannot be opened.
    #[error(transparent)]
    Open(Box<dyn Error + Send + Sync>),
}

impl StoreSetting {
    /// The environment variable that [`from_env`](Self::from_env) reads.
    pub const VARIABLE: &str = "TOWER_QUOTA_STORE";

    /// Reads the setting from `TOWER_QUOTA_STORE`; `memory` if the variable is not set, or empty.
    ///
    /// # Errors
    /// If it names no store.
    pub fn from_env() -> Result<Self, StoreSettingError> {
        match env::var(Self::VARIABLE) {
            Ok(text) if !text.is_empty() => text.parse(),
            Ok(_) | Err(env::VarError::NotPresent) => Ok(Self::default()),
            Err(env::VarError::NotUnicode(_)) => Err(StoreSettingError::Unknown),
        }
    }

    /// Creates the setting for a store in this file.
    ///
    /// # Errors
    /// If the path names no file.
    pub fn in_file(path: impl Into<PathBuf>) -> Result<Self, StoreSettingError> {
        let path = path.into();
        // The second is one in memory, which ends like any.
        if path.as_os_str().is_empty() || path.as_os_str() == ":memory:" {
            return Err(StoreSettingError::NoFile);
        }
        Ok(StoreSetting(Place::File {
            path,
            written: Written::default(),
        }))
    }

    /// In a file, by what stands behind `sqlite:`.
    fn file(text: &str) -> Result<Self, StoreSettingError> {
        // Others write `sqlite://counts.db`.
        let text = text.strip_prefix("//").unwrap_or(text);
        let settings = text
            .rsplit_once('?')
            .and_then(|(path, settings)| Some((path, Written::read(settings)?)));
        let (path, said) = settings.unwrap_or((text, Written::default()));
        let mut setting = Self::in_file(path)?;
        if let Place::File { written, .. } = &mut setting.0 {
            *written = said;
        }
        Ok(setting)
    }

    /// Returns whether the store is on a server, so that other processes count there too, by that server's time.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self.0, Place::Server(_))
    }

    /// Returns whether the store has a ledger, of which what is old can be deleted.
    #[must_use]
    pub fn has_ledger(&self) -> bool {
        matches!(self.0, Place::File { .. })
    }

    /// Checks whether this program can open such a store, as far as that can be told without opening it.
    ///
    /// # Errors
    /// If this program was built without it, or a server's address makes no sense.
    pub fn check(&self) -> Result<(), StoreSettingError> {
        open::check(&self.0)
    }

    /// Opens the store, to count in it under these limits.
    ///
    /// This reads and writes the file, or asks the server, and blocks meanwhile: it is for the start of a program, not
    /// for a task among others. When the store is dropped, that blocks until everything that was counted has been
    /// stored.
    ///
    /// # Errors
    /// If the store cannot be opened, or this program was built without it.
    pub fn open(&self, limits: Limits) -> Result<Arc<dyn Store>, StoreSettingError> {
        Ok(match self.open_by(limits, &Terms::default())? {
            Opened::Memory(store) => store,
            #[cfg(feature = "sqlite")]
            Opened::Sqlite(store) => store,
            #[cfg(feature = "redis")]
            Opened::Redis(store) => store,
        })
    }

    pub(crate) fn open_by(
        &self,
        limits: Limits,
        terms: &Terms,
    ) -> Result<Opened, StoreSettingError> {
        Opened::at(&self.0, limits, terms)
    }
}

impl StoreSettingError {
    #[cfg(any(feature = "redis", feature = "sqlite"))]
    pub(super) fn open(error: impl Error + Send + Sync + 'static) -> Self {
        StoreSettingError::Open(Box::new(error))
    }
}

impl FromStr for StoreSetting {
    type Err = StoreSettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "memory" => Ok(StoreSetting(Place::Memory)),
            Some(("sqlite", rest)) => Self::file(rest),
            Some(("redis" | "rediss", rest)) if rest.starts_with("//") => {
                Ok(StoreSetting(Place::Server(text.into())))
            }
            _ => Err(StoreSettingError::Unknown),
        }
    }
}

impl fmt::Display for StoreSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Memory => f.write_str("memory"),
            Place::File { path, written } => write!(f, "sqlite:{}{written}", path.display()),
            Place::Server(text) => {
                let text = text.expose_secret();
                let (scheme, rest) = text.split_once("//").unwrap_or_default();
                let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
                write!(f, "{scheme}//{host}")
            }
        }
    }
}

impl fmt::Debug for StoreSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreSetting({self})")
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Place::Memory, Place::Memory) => true,
            (
                Place::File { path, written },
                Place::File {
                    path: other,
                    written: others,
                },
            ) => (path, written) == (other, others),
            (Place::Server(one), Place::Server(other)) => {
                one.expose_secret() == other.expose_secret()
            }
            _ => false,
        }
    }
}

impl Eq for Place {}
