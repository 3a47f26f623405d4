//! `tower-quota report`

#[cfg(feature = "sqlite")]
mod ledger;
mod online;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{failure::Failure, reach::ReachArgs};

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    reach: ReachArgs,
    /// Read this file of counts, which a configuration names as `sqlite:PATH`, instead of asking a gateway. It also
    /// knows what was before the gateway's start, and any tags and any span of time. The gateway may keep running
    /// meanwhile.
    #[cfg(feature = "sqlite")]
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// The tags to sum by, with a row for each combination of their values: model,agent. A gateway sums by provider,
    /// model, agent, user or team, by team with one of the others, and by the tags of each budget; the file sums by any
    /// tags.
    #[arg(
        long,
        value_name = "TAGS",
        value_delimiter = ',',
        default_value = "model"
    )]
    by: Vec<String>,
    /// When the report begins: today, yesterday, week or month, the current ones; hour, without `--ledger` only; or an
    /// instant, 2026-11-26T12:00:00Z, a day, 2026-11-26, or a time ago, 7d (with `--ledger` only).
    #[arg(long, value_name = "WHEN", default_value = "month")]
    since: String,
    /// When the report ends, in the forms of `--since`, where a day means its beginning (with `--ledger` only). Without
    /// it, the report ends now; `--since yesterday` ends with yesterday.
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Only calls with this value of a tag: team=search (with `--ledger` only). May be given several times.
    #[arg(long = "when", value_name = "TAG=VALUE", value_parser = super::admin::pair)]
    when: Vec<(String, String)>,
    /// The time zone of days, weeks and months, by its name in the IANA database (with `--ledger` only). A gateway's
    /// are in UTC.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Print each attempt on its own, whoever made it, as CSV or JSON, instead of sums (with `--ledger` only).
    #[arg(long, conflicts_with_all = ["when", "by"])]
    attempts: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Csv,
    Json,
}

/// Prints what was asked.
pub(crate) async fn run(args: &ReportArgs) -> Result<(), Failure> {
    match ledger(args) {
        #[cfg(feature = "sqlite")]
        Some(path) => ledger::run(args, &path),
        #[cfg(not(feature = "sqlite"))]
        Some(_) => Ok(()),
        None => online::run(args).await,
    }
}

fn ledger(args: &ReportArgs) -> Option<PathBuf> {
    #[cfg(feature = "sqlite")]
    return args.ledger.clone();
    #[cfg(not(feature = "sqlite"))]
    {
        let _ = args;
        None
    }
}
