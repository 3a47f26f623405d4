//! Why a configuration cannot be used.

use std::path::PathBuf;

use crate::limit::LimitError;

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It does not read, or has a key or a value that does not belong there.
    #[error("{}{reason} (line {line}, column {column})", prefix(path))]
    Syntax {
        /// Where it stands: `rate_limiting.queue.aging`; empty where nothing reads.
        path: String,
        /// What is wrong and what would be right. Holds the value that is wrong, and nothing else of the file.
        reason: String,
        /// The line, from 1; 0 where it is not known.
        line: u64,
        /// The column, from 1; 0 where it is not known.
        column: u64,
    },
    /// The file cannot be read, or its name does not say in which format it is.
    #[error("{}: {reason}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it and what would be right.
        reason: String,
    },
    /// The store cannot be had.
    #[error("{0}")]
    Store(String),
    /// A value is understood and makes no sense.
    #[error("{path}: {reason}")]
    Value {
        /// Where it stands: `rate_limiting.retry.max_attempts`.
        path: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A limit makes no sense.
    #[error("{path}: {source}")]
    Limit {
        /// Where it stands: `rate_limiting.providers.openai.gpt-4.requests_per_minute`.
        path: String,
        /// What is wrong with it.
        source: LimitError,
    },
}

/// A place in front of what is said of it.
fn prefix(path: &str) -> String {
    if path.is_empty() {
        String::new()
    } else {
        format!("{path}: ")
    }
}
