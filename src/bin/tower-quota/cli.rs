//! The command line.

use std::{convert::Infallible, net::SocketAddr, num::NonZeroUsize, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;

#[cfg(feature = "demo")]
use super::demo::DemoArgs;
#[cfg(feature = "simulate")]
use super::simulate::SimulateArgs;
use super::{admin::AdminArgs, report::ReportArgs, status::StatusArgs};

/// Keeps programs in any language inside the rate limits of the LLM APIs they call.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Forwards calls to the upstreams and routes of a configuration, within its limits.
    ///
    /// Point OPENAI_BASE_URL at the printed address followed by /v1. Callers may say who they are in the headers
    /// x-quota-agent, -user, -team and -run, and how urgent a call is in x-quota-priority.
    ///
    /// On SIGHUP it reads its configuration again: changed limits, budgets, prices and webhooks take effect at once,
    /// and what counts under limits that stay goes on counting. A file that is invalid, or that changes anything else,
    /// is rejected as a whole, and what was in force stays in force. The certificate and the callers' keys are read again
    /// either way.
    ///
    /// On SIGTERM or SIGINT it takes no more calls, and ends when the open ones are answered, or after gateway.drain at
    /// the latest. A second signal ends it at once.
    Serve(ServeArgs),
    /// Checks whether a configuration can be served, and prints its limits, or which limits and prices model names lead
    /// to.
    Check(CheckArgs),
    /// Writes a first configuration for the providers whose keys are in the environment.
    Init(InitArgs),
    /// Shows how full limits and budgets are, what is waiting and what was refused: once, or again and again.
    Status(StatusArgs),
    /// Reports what calls cost, by model, agent, team or any other tag.
    Report(ReportArgs),
    /// Commands for the webhooks that receive alerts.
    Alerts {
        #[command(subcommand)]
        what: AlertsWhat,
    },
    /// Shows what a configuration does to a load: waits, refusals, cost, how many agents fit.
    ///
    /// It runs in virtual time: nothing is sent, no key is needed, and no store is opened. The same configuration, load
    /// and seed give the same result.
    #[cfg(feature = "simulate")]
    Simulate(SimulateArgs),
    /// Shows and changes what operators control: keys, limits, budgets, what is spent, open calls.
    Admin(AdminArgs),
    /// Runs a demonstration: simulated providers, a population of agents, and the dashboard. Needs no key and no
    /// network.
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum AlertsWhat {
    /// Sends one alert to each webhook of a configuration, and prints each answer. Fails if any webhook does not accept
    /// it.
    Test {
        /// The configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The configuration, with `rate_limiting:` and `gateway:`, in a file that ends in .yaml, .yml, .json or .toml.
    #[arg(long, value_name = "FILE", required_unless_present = "litellm")]
    pub(crate) config: Option<PathBuf>,
    /// A config.yaml of LiteLLM, instead of a configuration: its deployments and fallbacks become routes. Any part of
    /// it that has no effect here is reported on stderr.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub(crate) litellm: Option<PathBuf>,
    /// The address to listen on, instead of gateway.listen; port 0 means any free port.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where counts are kept, instead of rate_limiting.store: `memory`; a file, given as its path or as `sqlite:PATH`;
    /// or a server, `redis://HOST:PORT/DB?namespace=NAME`, shared by all processes that give the same value.
    ///
    /// A file outlives the process: it is created if there is none, and read again at the next start. It has a row for
    /// each attempt, which any tool that reads SQLite can query.
    ///
    /// A value with a password in it belongs in the configuration, as "${STORE}", because other users can see command
    /// lines.
    #[arg(long, value_name = "STORE", value_parser = hidden)]
    pub(crate) store: Option<SecretString>,
    /// The upstream for calls that have neither a route nor a named upstream, instead of gateway.upstream.
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: Option<String>,
    /// How many threads calls run on, instead of half the number of processors, or of TOKIO_WORKER_THREADS. One thread
    /// handles thousands of calls a second; with more threads, each call takes more processor time.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) threads: Option<NonZeroUsize>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["litellm", "schema"])]
    pub(crate) config: Option<PathBuf>,
    /// A config.yaml of LiteLLM, instead of a configuration.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub(crate) litellm: Option<PathBuf>,
    /// Where counts are to be kept, instead of rate_limiting.store, as `serve` takes it. It is not opened.
    #[arg(long, value_name = "STORE", value_parser = hidden)]
    pub(crate) store: Option<SecretString>,
    /// Model names as callers write them, to show which limits and which price each leads to: gpt-4o-2024-08-06,
    /// azure/my-deployment. Of a name that has a route, each target is shown.
    #[arg(value_name = "MODEL")]
    pub(crate) models: Vec<String>,
    /// Print the JSON Schema of a configuration.
    #[arg(long)]
    pub(crate) schema: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The file to write, in YAML: its name ends in .yaml or .yml.
    #[arg(long, value_name = "FILE", default_value = "quota.yaml")]
    pub(crate) output: PathBuf,
    /// Overwrite an existing file.
    #[arg(long)]
    pub(crate) force: bool,
}

/// An argument that may have a password in it: no message shows it.
#[allow(clippy::unnecessary_wraps, reason = "of the form that clap wants")]
fn hidden(text: &str) -> Result<SecretString, Infallible> {
    Ok(text.into())
}
