//! Where the configuration comes from.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tower_quota::{
    config::{self, ConfigError, LiteLlmConfig, RateLimiting},
    gateway::{self, GatewayConfig},
};

use super::{cli::ServeArgs, failure::Failure};

/// A file, of ours or of LiteLLM's.
pub(crate) enum Source {
    Ours(PathBuf),
    LiteLlm(PathBuf),
}

/// What it says.
pub(crate) struct Said {
    pub(crate) gateway: GatewayConfig,
    pub(crate) rate_limiting: RateLimiting,
    /// What of it is not in force, in words.
    pub(crate) not_understood: Vec<String>,
}

impl Source {
    /// The file that is named on the command line: one of the two is.
    pub(crate) fn of(args: &ServeArgs) -> Self {
        match &args.litellm {
            Some(path) => Source::LiteLlm(path.clone()),
            None => Source::Ours(args.config.clone().unwrap_or_default()),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Source::Ours(path) | Source::LiteLlm(path) => path,
        }
    }

    /// Reads it.
    pub(crate) fn read(&self) -> Result<Said, ConfigError> {
        match self {
            Source::Ours(path) => {
                let gateway::Config {
                    gateway,
                    rate_limiting,
                    ..
                } = gateway::Config::from_path(path)?;
                Ok(Said {
                    gateway,
                    rate_limiting,
                    not_understood: Vec::new(),
                })
            }
            Source::LiteLlm(path) => {
                let text = fs::read_to_string(path).map_err(|error| ConfigError::File {
                    file: path.clone(),
                    reason: format!("cannot be read: {error}"),
                })?;
                let read = LiteLlmConfig::from_yaml(&text)?;
                let config::Config { rate_limiting, .. } = read.config;
                Ok(Said {
                    gateway: GatewayConfig::default(),
                    rate_limiting,
                    not_understood: read
                        .not_understood
                        .iter()
                        .map(ToString::to_string)
                        .collect(),
                })
            }
        }
    }

    /// An error of it, with its name.
    pub(crate) fn failure(&self, error: ConfigError) -> Failure {
        match error {
            // It names the file itself.
            error @ ConfigError::File { .. } => Failure::File(error),
            error @ ConfigError::Store(_) => Failure::Store(error),
            source => Failure::Config {
                path: self.path().to_owned(),
                source,
            },
        }
    }
}
