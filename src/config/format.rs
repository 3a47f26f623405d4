//! The formats of a configuration.

use std::path::Path;

use super::ConfigError;

/// A format that a configuration can be written in. Keys and values are the same in all formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// YAML 1.2.
    Yaml,
    /// JSON.
    Json,
    /// TOML 1.1.
    Toml,
}

impl Format {
    /// The format that the ending of a file's name says.
    ///
    /// # Errors
    /// Where it is none of `.yaml`, `.yml`, `.json` and `.toml`, in whatever case.
    pub fn of_path(path: &Path) -> Result<Self, ConfigError> {
        let ending = path.extension().and_then(|ending| ending.to_str());
        let ending = ending.map(str::to_ascii_lowercase);
        match ending.as_deref() {
            Some("yaml" | "yml") => Ok(Format::Yaml),
            Some("json") => Ok(Format::Json),
            Some("toml") => Ok(Format::Toml),
            _ => Err(ConfigError::File {
                file: path.to_owned(),
                reason: "its name does not say in which format it is; \
                         a configuration ends in .yaml, .yml, .json or .toml"
                    .to_owned(),
            }),
        }
    }
}
