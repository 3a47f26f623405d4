//! The command line of `tower-quota simulate`.

use std::{path::PathBuf, time::SystemTime};

use clap::{Args, ValueEnum};
use tower_quota::config::Span;

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// The configuration. A key in it may name an environment variable that is not set: `${OPENAI_API_KEY}`.
    #[arg(long, value_name = "FILE")]
    pub(super) config: PathBuf,
    #[command(flatten)]
    pub(super) load: LoadArgs,
    /// Only attempts of the ledger from this date on: 2026-11-26T12:00:00Z.
    #[cfg(feature = "sqlite")]
    #[arg(long, value_name = "DATE", value_parser = date, requires = "ledger")]
    pub(super) since: Option<SystemTime>,
    /// Only attempts of the ledger before this date.
    #[cfg(feature = "sqlite")]
    #[arg(long, value_name = "DATE", value_parser = date, requires = "ledger")]
    pub(super) until: Option<SystemTime>,
    /// What the provider really allows, as a second configuration, of which only the limits are used: an attempt that
    /// passes the first configuration's limits but not these is answered 429. These limits have no margin unless that
    /// file sets one.
    #[arg(long, value_name = "FILE")]
    pub(super) provider_limits: Option<PathBuf>,
    /// Report how many agents fit, of one group or, without a name, of all groups together.
    #[arg(long, value_name = "GROUP", num_args = 0..=1, default_missing_value = "", requires = "population")]
    pub(super) fit: Option<String>,
    /// Agents fit as long as 95 of 100 calls wait no longer than this.
    #[arg(long, value_name = "SPAN", default_value = "5s", requires = "fit")]
    pub(super) p95_wait: Span,
    /// Agents fit as long as no more calls than this are refused or fail.
    #[arg(long, value_name = "CALLS", default_value_t = 0, requires = "fit")]
    pub(super) max_refused: u64,
    /// The largest number of agents to try.
    #[arg(
        long,
        value_name = "AGENTS",
        default_value_t = 10_000,
        requires = "fit"
    )]
    pub(super) most: u32,
    /// The form of the result.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
    /// Write the result to this file.
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// The seed for what is drawn at random, instead of the population's.
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// The wall-clock time at the beginning, for calendar budgets. Without it, the date of the trace's first call or
    /// the population's `start` is used, if there is one.
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(super) start: Option<SystemTime>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct LoadArgs {
    /// Recorded calls, as CSV or JSON lines.
    #[arg(long, value_name = "FILE")]
    pub(super) trace: Option<PathBuf>,
    /// Made-up agents, described in a YAML, JSON or TOML file.
    #[arg(long, value_name = "FILE")]
    pub(super) population: Option<PathBuf>,
    /// The ledger of a store in a file. It does not record which output caps calls named, so they are taken to name
    /// none.
    #[cfg(feature = "sqlite")]
    #[arg(long, value_name = "FILE")]
    pub(super) ledger: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// A picture of what happens over time.
    Svg,
}

fn date(text: &str) -> Result<SystemTime, String> {
    let date: jiff::Timestamp = text
        .parse()
        .map_err(|error: jiff::Error| error.to_string())?;
    let nanos = u64::try_from(date.as_nanosecond()).map_err(|_| "is too early or too late")?;
    Ok(SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(nanos))
}
