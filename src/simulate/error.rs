//! What keeps a simulation from running.

use std::io;

use crate::config::ConfigError;

/// Why a load cannot be read. The error does not name the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The input is missing, or reading it failed.
    #[error("cannot be read: {0}")]
    Input(#[from] io::Error),
    /// The file's ending does not say what is in it.
    #[error("is no trace by its name; it has to end in .csv, .jsonl, .ndjson or .json")]
    Ending,
    /// A line is invalid.
    #[error("line {line}: {reason}")]
    Line {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// An attempt of a ledger is invalid.
    #[cfg(feature = "sqlite")]
    #[error("attempt {id} of {at}: {reason}")]
    Attempt {
        /// Its `id` there.
        id: i64,
        /// When it was claimed.
        at: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no call in it.
    #[error("there is no call in it")]
    Empty,
    /// A population is invalid.
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
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The provider's limits are invalid.
    #[error("the provider's limits: {0}")]
    Provider(ConfigError),
    /// The configuration says `enabled: false`.
    #[error("the configuration is switched off (`enabled: false`): it does nothing to any call")]
    SwitchedOff,
    /// The population has no agents.
    #[error("the population has no agent: each of its groups has `agents: 0`")]
    NoAgent,
    /// The load is not a population: only made-up agents can be increased.
    #[error("how many agents fit can be asked of a population alone")]
    NoPopulation,
    /// The population has no such group.
    #[error("the population has no group `{group}`; its groups are {groups}")]
    NoGroup {
        /// The group that was asked for.
        group: String,
        /// The groups that there are.
        groups: String,
    },
    /// The system could not provide a thread or a runtime.
    #[error("no thread to run it on: {0}")]
    Thread(io::Error),
}
