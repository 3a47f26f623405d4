//! Four processes with 2 500 calls each, all at once, against one provider that allows 1 900 every six seconds. They share
//! its limits and a budget through a Redis server, and nothing else.
//!
//! ```text
//! cargo run --release --all-features --example fleet
//! cargo run --release --all-features --example fleet -- --processes 8 --calls 500
//! ```
//!
//! Starts a `redis-server` of its own on a free port, and ends it. Three runs: in the first each claim and each settlement is a
//! round trip, for comparison; in the second, as always, each process asks the server as soon as it has something to ask, and
//! for all that has come together; in the last it takes room ahead, and asks once in a `--lease`. Some calls are large: each takes a fifth of
//! the tokens of a whole window.
//!
//! Ends with one line of JSON. `over_limit`, `provider_429`, `least_s`, `makespan_s` and `billed` come from the simulator's
//! ledger, `round_trips` from the server's own count, and `spent` from the budget in the store, read by a process that has
//! made no call.

mod calls;
mod fleet;
mod provider;
mod report;
mod server;
mod worker;

use std::{process::ExitCode, time::Duration};

use clap::{Args, Parser};

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// Sends calls from several processes at once and prints what became of them.
#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    load: Load,
    /// In the last run each process takes room ahead for so long.
    #[arg(long, value_name = "MS", default_value = "2000", value_parser = millis)]
    lease: Duration,
    /// Each claim and each settlement has a round trip of its own.
    #[arg(long, hide = true)]
    each_alone: bool,
    /// This is one of the processes: where the provider is, and the store.
    #[arg(long, hide = true, num_args = 2)]
    worker: Option<Vec<String>>,
    /// Which one.
    #[arg(long, hide = true, default_value_t = 0)]
    number: usize,
}

/// What is sent, and within which limits.
#[derive(Clone, Debug, Args)]
pub(crate) struct Load {
    /// How many processes there are.
    #[arg(long, default_value_t = 4)]
    pub(crate) processes: usize,
    /// How many calls each process makes.
    #[arg(long, default_value_t = 2_500)]
    pub(crate) calls: usize,
    /// How many of them are large.
    #[arg(long, default_value_t = 2)]
    pub(crate) large: usize,
    /// The window of the provider's limits.
    #[arg(long, value_name = "MS", default_value = "6000", value_parser = millis)]
    pub(crate) window: Duration,
    /// How much later than that a charge expires here, for the jitter between our sends and the provider's clock.
    #[arg(long, value_name = "MS", default_value = "250", value_parser = millis)]
    pub(crate) margin: Duration,
    /// Requests in a window.
    #[arg(long, default_value_t = 1_900)]
    pub(crate) requests: u64,
    /// Tokens in a window.
    #[arg(long, default_value_t = 3_000_000)]
    pub(crate) tokens: u64,
}

fn main() -> ExitCode {
    let done = run(&Cli::parse());
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fleet: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Error> {
    // A connection has two ends, and those of the provider are all here.
    rlimit::increase_nofile_limit(4 * (cli.load.calls * cli.load.processes) as u64)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match cli.worker.as_deref() {
        Some([provider, store]) => {
            let line = runtime.block_on(worker::run(
                &cli.load,
                cli.number,
                (cli.lease, cli.each_alone),
                provider,
                store,
            ))?;
            println!("{line}");
            Ok(())
        }
        _ => {
            let line = runtime.block_on(fleet::run(&cli.load, cli.lease))?;
            println!("{line}");
            Ok(())
        }
    }
}

fn millis(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_millis)
}
