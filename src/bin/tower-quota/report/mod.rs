//! `tower-quota report`

#[cfg(feature = "sqlite")]
mod ledger;
mod online;

use std::{io, path::PathBuf};

use clap::{Args, ValueEnum};

use super::{failure::Failure, reach::ReachArgs};

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    reach: ReachArgs,
    /// Read this file of counts, `sqlite:PATH` of a configuration, in place of asking a gateway: it knows what was before the
    /// gateway's start, any tags, and any span of time. The gateway may run meanwhile.
    #[cfg(feature = "sqlite")]
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// The tags that there is a sum for each value of: model,agent. Of a gateway one, or those of a budget.
    #[arg(
        long,
        value_name = "TAGS",
        value_delimiter = ',',
        default_value = "model"
    )]
    by: Vec<String>,
    /// From when on: an instant, 2026-11-26T12:00:00Z, a day, 2026-11-26, a time ago, 7d, or today, yesterday, week, month.
    #[arg(long, value_name = "WHEN", default_value = "month")]
    since: String,
    /// Until when; till now, where nothing is said. `--since yesterday` ends with yesterday.
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Only calls with this value of a tag: team=search. As often as need be.
    #[arg(long = "when", value_name = "TAG=VALUE", value_parser = super::admin::pair)]
    when: Vec<(String, String)>,
    /// The zone whose days and months are meant, of the IANA database; a gateway's are in UTC.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Every attempt by itself, whoever made it, as CSV or JSON, in place of sums. Of a file alone.
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
    let printed = match ledger(args) {
        #[cfg(feature = "sqlite")]
        Some(path) => ledger::run(args, &path),
        #[cfg(not(feature = "sqlite"))]
        Some(_) => Ok(()),
        None => online::run(args).await,
    };
    match printed {
        // Nobody reads any more.
        Err(Failure::Print(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
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
