//! Why a configuration cannot be used.

use std::path::PathBuf;

use crate::limit::LimitError;

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It cannot be read, or has a key or a value that does not belong there.
    #[error("{}{reason} (line {line}, column {column})", prefix(path))]
    Syntax {
        /// Where it stands: `rate_limiting.queue.aging`; empty if nothing can be read.
        path: String,
        /// What is wrong and what would be right. It contains the value that is wrong, and nothing else of the file.
        reason: String,
        /// The line, counted from 1; 0 if it is not known.
        line: u64,
        /// The column, counted from 1; 0 if it is not known.
        column: u64,
    },
    /// The file cannot be read, or its name does not say which format it has.
    #[error("{}: {reason}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it and what would be right.
        reason: String,
    },
    /// The store cannot be opened.
    #[error("{0}")]
    Store(String),
    /// A value can be read but makes no sense.
    #[error("{path}: {reason}")]
    Value {
        /// Where it stands: `rate_limiting.retry.max_attempts`.
        path: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A limit makes no sense.
    #[error("{path}: {}", of_limit(source))]
    Limit {
        /// Where it stands: `rate_limiting.providers.openai.gpt-4.requests_per_minute`.
        path: String,
        /// What is wrong with it.
        source: LimitError,
    },
}

/// What is wrong with a limit, by the names that its fields have in a file.
pub(super) fn of_limit(source: &LimitError) -> String {
    match source {
        LimitError::NoPeriod { place, limit } => {
            format!("limit {place} ({limit}): `every` is missing; write a length, as `every: 1m`")
        }
        other => other.to_string().replace("`period`", "`every`"),
    }
}

/// A place in front of what is said of it.
fn prefix(path: &str) -> String {
    if path.is_empty() {
        String::new()
    } else {
        format!("{path}: ")
    }
}
