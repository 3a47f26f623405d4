//! The gateway that a command asks.

use std::{env, path::PathBuf};

use clap::Args;
use secrecy::SecretString;
use tower_quota::gateway::{Upstream, admin::AdminClient};

use super::failure::Failure;

/// Where the key to ask with is.
const KEY: &str = "TOWER_QUOTA_KEY";

#[derive(Debug, Args)]
pub(crate) struct ReachArgs {
    /// The gateway to ask. The key to ask with is taken from the environment variable TOWER_QUOTA_KEY.
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        global = true
    )]
    pub(crate) url: String,
    /// A PEM file of authorities to trust for the gateway's certificate, in addition to those that browsers trust.
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) authorities: Option<PathBuf>,
}

impl ReachArgs {
    pub(crate) fn client(&self) -> Result<AdminClient, Failure> {
        let key = env::var(KEY).ok().map(|key| SecretString::from(key.trim()));
        // Why not is said in the words of an upstream, which this is not.
        let at: Upstream = self.url.parse().map_err(|_| Failure::Url)?;
        AdminClient::new(at, key.as_ref(), self.authorities.as_deref())
            .map_err(|error| Failure::Gateway(error.into()))
    }
}
