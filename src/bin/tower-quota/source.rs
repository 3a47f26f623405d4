//! Where the configuration comes from.

use std::{
    fs,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString};
use tower_quota::{
    config::{self, ConfigError, LiteLlmConfig, RateLimiting},
    gateway::{self, GatewayConfig},
    store::{StoreSetting, StoreSettingError},
};

use super::{cli::ServeArgs, failure::Failure};

/// A file, and what the command line says in place of it.
pub(crate) struct Source {
    file: File,
    store: Option<StoreSetting>,
}

/// A file, of ours or of LiteLLM's.
enum File {
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
    ///
    /// # Errors
    /// Where the command line names no store.
    pub(crate) fn of(args: &ServeArgs) -> Result<Self, StoreSettingError> {
        Self::from_files(args.config.clone(), args.litellm.clone()).counted_in(args.store.as_ref())
    }

    /// The same, where the command line may say where counts are kept.
    ///
    /// # Errors
    /// Where it names no store.
    pub(crate) fn counted_in(
        self,
        store: Option<&SecretString>,
    ) -> Result<Self, StoreSettingError> {
        let store = store.map(|text| setting(text.expose_secret()));
        Ok(Source {
            store: store.transpose()?,
            ..self
        })
    }

    /// One of the two.
    pub(crate) fn from_files(config: Option<PathBuf>, litellm: Option<PathBuf>) -> Self {
        Source {
            file: match litellm {
                Some(path) => File::LiteLlm(path),
                None => File::Ours(config.unwrap_or_default()),
            },
            store: None,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        match &self.file {
            File::Ours(path) | File::LiteLlm(path) => path,
        }
    }

    /// Reads it.
    pub(crate) fn read(&self) -> Result<Said, ConfigError> {
        let mut said = self.file.read()?;
        if let Some(store) = &self.store {
            said.rate_limiting.store = store.clone();
        }
        Ok(said)
    }

    /// An error of it, with its name.
    pub(crate) fn failure(&self, error: ConfigError) -> Failure {
        match error {
            // It names the file itself.
            error @ ConfigError::File { .. } => Failure::File(error),
            error @ ConfigError::Store(_) => Failure::Store(error),
            source => Failure::Config {
                path: self.path().to_owned(),
                source: Box::new(source),
            },
        }
    }
}

/// Where the command line says that counts are kept: a path is that of a file, without `sqlite:` too.
fn setting(text: &str) -> Result<StoreSetting, StoreSettingError> {
    // `C:` is no scheme.
    let has_scheme = text
        .split_once(':')
        .is_some_and(|(scheme, _)| scheme.len() > 1);
    if has_scheme || text == "memory" {
        text.parse()
    } else {
        StoreSetting::in_file(text)
    }
}

impl File {
    fn read(&self) -> Result<Said, ConfigError> {
        match self {
            File::Ours(path) => {
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
            File::LiteLlm(path) => {
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
}
