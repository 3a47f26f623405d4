//! The command line of `tower-quota simulate`.

use std::{path::PathBuf, time::SystemTime};

use clap::{Args, ValueEnum};
use tower_quota::config::Span;

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// The configuration. A key in it may name a variable of the environment that is not set: `${OPENAI_API_KEY}`.
    #[arg(long, value_name = "FILE")]
    pub(super) config: PathBuf,
    #[command(flatten)]
    pub(super) load: LoadArgs,
    /// Only attempts of the ledger from then on: 2026-11-26T12:00:00Z.
    #[cfg(feature = "sqlite")]
    #[arg(long, value_name = "DATE", value_parser = date, requires = "ledger")]
    pub(super) since: Option<SystemTime>,
    /// Only earlier attempts of the ledger.
    #[cfg(feature = "sqlite")]
    #[arg(long, value_name = "DATE", value_parser = date, requires = "ledger")]
    pub(super) until: Option<SystemTime>,
    /// What the provider allows in truth, as another configuration, whose limits alone are looked at: what passes the first
    /// and not these is answered 429. They have no margin but the one that is said there.
    #[arg(long, value_name = "FILE")]
    pub(super) provider_limits: Option<PathBuf>,
    /// Say how many agents fit, of one group or, without a name, of all of them together.
    #[arg(long, value_name = "GROUP", num_args = 0..=1, default_missing_value = "", requires = "population")]
    pub(super) fit: Option<String>,
    /// They fit while 95 of 100 calls wait no longer.
    #[arg(long, value_name = "SPAN", default_value = "5s", requires = "fit")]
    pub(super) p95_wait: Span,
    /// They fit while no more calls are refused or fail.
    #[arg(long, value_name = "CALLS", default_value_t = 0, requires = "fit")]
    pub(super) max_refused: u64,
    /// The most agents to try.
    #[arg(
        long,
        value_name = "AGENTS",
        default_value_t = 10_000,
        requires = "fit"
    )]
    pub(super) most: u32,
    /// How to say it.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
    /// Write it to this file.
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// The seed of what is drawn, in place of the population's.
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// What the clock on the wall shows at the beginning, for budgets by the calendar: else when the first call of the trace
    /// came, where that has a date.
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(super) start: Option<SystemTime>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct LoadArgs {
    /// Calls as they were, as CSV or JSON lines.
    #[arg(long, value_name = "FILE")]
    pub(super) trace: Option<PathBuf>,
    /// Agents that are made up, in a file of YAML, JSON or TOML.
    #[arg(long, value_name = "FILE")]
    pub(super) population: Option<PathBuf>,
    /// The ledger of a store in a file. It does not know which caps on output calls named: they name none.
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
    /// A picture of what happened over time.
    Svg,
}

fn date(text: &str) -> Result<SystemTime, String> {
    let date: jiff::Timestamp = text
        .parse()
        .map_err(|error: jiff::Error| error.to_string())?;
    let nanos = u64::try_from(date.as_nanosecond()).map_err(|_| "is too early or too late")?;
    Ok(SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(nanos))
}
