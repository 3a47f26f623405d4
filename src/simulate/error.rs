//! What keeps a simulation from running.

use std::io;

use crate::config::ConfigError;

/// Why a load cannot be read. It does not name the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It is not there, or breaks off.
    #[error("cannot be read: {0}")]
    Input(#[from] io::Error),
    /// The file's ending does not say what it is.
    #[error("is no trace by its name; it has to end in .csv, .jsonl, .ndjson or .json")]
    Ending,
    /// A line makes no sense.
    #[error("line {line}: {reason}")]
    Line {
        /// Which, from 1 on.
        line: u64,
        /// Why not.
        reason: String,
    },
    /// An attempt of a ledger makes no sense.
    #[cfg(feature = "sqlite")]
    #[error("attempt {id} of {at}: {reason}")]
    Attempt {
        /// Its `id` there.
        id: i64,
        /// When it was claimed.
        at: String,
        /// Why not.
        reason: String,
    },
    /// There is no call in it.
    #[error("there is no call in it")]
    Empty,
    /// A population makes no sense.
    #[error(transparent)]
    Population(ConfigError),
    /// The ledger cannot be read.
    #[cfg(feature = "sqlite")]
    #[error(transparent)]
    Ledger(#[from] crate::store::sqlite::LedgerError),
}

/// Why a simulation does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulateError {
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The provider's limits make no sense.
    #[error("the provider's limits: {0}")]
    Provider(ConfigError),
    /// The configuration says `enabled: false`.
    #[error("the configuration is switched off (`enabled: false`): it does nothing to any call")]
    SwitchedOff,
    /// There is nobody who calls.
    #[error("the population has no agent: each of its groups has `agents: 0`")]
    NoAgent,
    /// Only agents that are made up can be made more.
    #[error("how many agents fit can be asked of a population alone")]
    NoPopulation,
    /// The population has no such group.
    #[error("the population has no group `{group}`; its groups are {groups}")]
    NoGroup {
        /// Which was asked for.
        group: String,
        /// Those that there are.
        groups: String,
    },
    /// The system gives no thread or no runtime.
    #[error("no thread to run it on: {0}")]
    Thread(io::Error),
}
