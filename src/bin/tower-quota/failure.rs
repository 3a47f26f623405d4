//! Why the program ends without having done what it was asked.

use std::{io, path::PathBuf, process::ExitCode, time::Duration};

use tower_quota::{
    StoreError,
    config::{ConfigError, Span},
    gateway::{BindError, GatewayError, StateError, UpstreamError, admin::AdminError},
    store::StoreSettingError,
};

use super::source::Source;

/// One message for people.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A provider is the gateway itself.
    #[error(
        "rate_limiting.failover.providers.{0}: {1} is where this gateway listens, so that its calls would come back to it; \
             name the provider's own address, or unset the variable that leads there"
    )]
    Loop(String, String),
    /// It names the file itself.
    #[error(transparent)]
    File(ConfigError),
    /// It names the file itself.
    #[error(transparent)]
    Store(ConfigError),
    #[error("--store: {0}")]
    Setting(#[from] StoreSettingError),
    #[error("not all that was counted is kept: {0}")]
    Close(StoreError),
    #[error("{}: {source}", path.display())]
    Config {
        path: PathBuf,
        source: Box<ConfigError>,
    },
    #[error(
        "{}: no upstream and no route; say where calls go, as gateway.upstream or with --upstream, \
         for example https://api.openai.com, or by rate_limiting.failover", path.display()
    )]
    NoUpstream { path: PathBuf },
    #[error("--upstream: {0}")]
    Upstream(UpstreamError),
    /// It is not repeated: there may be a password in it.
    #[error(
        "--url: it is no address of a gateway, which begins with http:// or https:// and has neither a user nor a query; \
         write it as http://localhost:8080"
    )]
    Url,
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Gateway(GatewayError),
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("{0}")]
    Argument(String),
    #[cfg(feature = "simulate")]
    #[error("{}: {source}", path.display())]
    Load {
        path: PathBuf,
        source: Box<tower_quota::simulate::LoadError>,
    },
    #[cfg(feature = "simulate")]
    #[error(transparent)]
    Simulate(Box<tower_quota::simulate::SimulateError>),
    #[cfg(feature = "simulate")]
    #[error("{}: {source}", path.display())]
    Output { path: PathBuf, source: io::Error },
    #[cfg(feature = "otlp")]
    #[error(transparent)]
    Otlp(tower_quota::metrics::otlp::OtlpError),
    #[error("cannot print: {0}")]
    Print(io::Error),
    #[error("of {of} webhooks {failed} did not take an alert")]
    NotTaken { failed: usize, of: usize },
    #[error("no threads could be started: {0}")]
    Threads(io::Error),
    #[error("cannot listen for signals: {0}")]
    Signals(io::Error),
    #[error("serving failed: {0}")]
    Serve(io::Error),
    #[error("calls were still open {} s after the signal, and were cut off; gateway.drain says how long they may take", Duration::from(*.0).as_secs())]
    TooLong(Span),
    #[error("ended by a second signal; open calls were cut off")]
    CutOff,
}

impl Failure {
    /// Why there is no gateway by this file.
    pub(crate) fn gateway(source: &Source, error: GatewayError) -> Self {
        let path = source.path().to_owned();
        match error {
            GatewayError::Nowhere => Failure::NoUpstream { path },
            error => Failure::Gateway(error),
        }
    }

    /// 2 for what somebody wrote wrongly, as on the command line; 1 for everything else.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            #[cfg(feature = "simulate")]
            Failure::Load { .. } | Failure::Simulate(_) => 2,
            Failure::File(_)
            | Failure::Setting(_)
            | Failure::Config { .. }
            | Failure::NoUpstream { .. }
            | Failure::Upstream(_)
            | Failure::Url
            | Failure::Gateway(_)
            | Failure::Argument(_)
            | Failure::Bind(BindError::NotLoopback(_)) => 2,
            _ => 1,
        })
    }
}
