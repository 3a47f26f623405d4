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
    /// Passes calls on to one upstream, or along the routes of a configuration, within its limits.
    ///
    /// Point OPENAI_BASE_URL at the printed address with /v1 behind it. Callers may say who they are in the
    /// headers x-quota-agent, -user, -team and -run, and how urgent a call is in x-quota-priority.
    ///
    /// SIGHUP has it read its configuration again: other limits, budgets, prices and webhooks hold at once, and what counts under
    /// limits that stay goes on counting. A file that makes no sense, or changes anything else, is refused whole, and what
    /// was in force stays.
    ///
    /// SIGTERM and SIGINT end it when the calls that came are answered; a second one ends it at once.
    Serve(ServeArgs),
    /// Says whether a configuration can be served, what it comes to, and what names of models lead to.
    Check(CheckArgs),
    /// Writes a first configuration, of the keys of providers that are in the environment.
    Init(InitArgs),
    /// Shows how every limit and budget stands, what waits and what was refused: once, or as it changes.
    Status(StatusArgs),
    /// Says what calls cost, by model, agent, team or any other tag.
    Report(ReportArgs),
    /// Webhooks that alerts go to.
    Alerts {
        #[command(subcommand)]
        what: AlertsWhat,
    },
    /// Says what a configuration does to a load: waits, refusals, cost, how many agents fit.
    ///
    /// It runs in virtual time. Nothing is sent, no key is needed, no store is opened. The same
    /// configuration, load and seed give the same answer.
    #[cfg(feature = "simulate")]
    Simulate(SimulateArgs),
    /// Sees and changes what operators can: keys, budgets, what is spent.
    Admin(AdminArgs),
    /// Shows it at work: simulated providers, a population of agents, and the dashboard. Needs no key and no network.
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum AlertsWhat {
    /// Sends one alert to each webhook of a configuration, and prints what each answers. It fails where one does not take it.
    Test {
        /// The configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The configuration: `rate_limiting:` and `gateway:`, in a file that ends in .yaml, .yml, .json or .toml.
    #[arg(long, value_name = "FILE", required_unless_present = "litellm")]
    pub(crate) config: Option<PathBuf>,
    /// In place of a configuration, a config.yaml of LiteLLM's: its deployments and fallbacks are routes. What of it is not
    /// in force here is told on stderr.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub(crate) litellm: Option<PathBuf>,
    /// The address to listen on, in place of gateway.listen; port 0 is any free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where counts are kept, in place of rate_limiting.store: `memory`, a file, by its path or as `sqlite:PATH`, or
    /// `redis://HOST:PORT/DB?namespace=NAME`, a server, with all processes that say the same.
    ///
    /// A file outlives the process: it is made where there is none, and read again at the next start. It has a row for each
    /// attempt, to be asked with any tool that reads SQLite.
    ///
    /// What has a password in it belongs into the configuration, as "${STORE}": others see command lines.
    #[arg(long, value_name = "STORE", value_parser = hidden)]
    pub(crate) store: Option<SecretString>,
    /// Where calls go that have no route, in place of gateway.upstream.
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: Option<String>,
    /// How many threads calls run on, in place of half of the processors, or of TOKIO_WORKER_THREADS. One takes thousands of
    /// calls a second; with more of them each call takes more of the processor.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) threads: Option<NonZeroUsize>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["litellm", "schema"])]
    pub(crate) config: Option<PathBuf>,
    /// In place of it, a config.yaml of LiteLLM's.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub(crate) litellm: Option<PathBuf>,
    /// Names of models, as callers write them, to say which limits and which price they lead to: gpt-4o-2024-08-06,
    /// azure/my-deployment.
    #[arg(value_name = "MODEL")]
    pub(crate) models: Vec<String>,
    /// Print the JSON Schema of a configuration.
    #[arg(long)]
    pub(crate) schema: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The file to write.
    #[arg(long, value_name = "FILE", default_value = "quota.yaml")]
    pub(crate) output: PathBuf,
    /// Write over one that is there.
    #[arg(long)]
    pub(crate) force: bool,
}

/// An argument that may have a password in it: no message shows it.
#[allow(clippy::unnecessary_wraps, reason = "of the form that clap wants")]
fn hidden(text: &str) -> Result<SecretString, Infallible> {
    Ok(text.into())
}
