//! The gateway under load, beside its peers, on one machine in one run: five levels of limits, and the ledger on.
//!
//! ```text
//! cargo build --release --all-features --bin tower-quota
//! cargo run --release --all-features --example gateway_load
//! cargo run --release --all-features --example gateway_load -- --liter /tmp/peers
//! cargo run --release --all-features --example gateway_load -- --ahead 16
//! cargo run --release --all-features --example gateway_load -- --quick
//! cargo run --release --all-features --example gateway_load -- --streams 10000
//! cargo run --release --all-features --example gateway_load -- --real
//! cargo run --release --all-features --example gateway_load -- --soak 20
//! ```
//!
//! Starts everything itself, on free ports, each in a process of its own, so that what it uses of the processor can be told
//! apart: an upstream that answers at once, a proxy of bare hyper that passes everything on, nginx where it is installed,
//! liter-llm's proxy where `--liter` names a folder to install it to, and `tower-quota serve`. Each is asked by turns, in many
//! short rounds, and the median of the rounds is shown: what else the machine does then is on all of them.
//!
//! The processor's time for a request is that of the proxy's process alone, user and system. Requests a second depend on what
//! the load and the upstream leave to it.
//!
//! Every run ends with the gateway told to stop, and its ledger held against what the upstream counted. The last line is JSON.

mod child;
mod cost;
mod judge;
mod load;
mod peers;
mod proxy;
mod real;
mod report;
mod said;
mod soak;
mod streams;
mod turns;
mod upstream;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// Sends the same calls through several proxies, and prints what that costs.
#[derive(Debug, Parser)]
pub(crate) struct Cli {
    /// A few seconds: whether every answer is right, and the ledger equals what the upstream counted.
    #[arg(long)]
    quick: bool,
    /// So many streams that are open and say nothing, and the memory that each takes.
    #[arg(long, value_name = "COUNT")]
    streams: Option<usize>,
    /// Load for so many minutes, and what becomes of the memory.
    #[arg(long, value_name = "MINUTES")]
    soak: Option<f64>,
    /// Calls of 200 ms: what the gateway adds to the slowest of a hundred.
    #[arg(long)]
    real: bool,
    /// Connections that send at once.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// How long each turn is.
    #[arg(long, value_name = "MS", default_value = "2000", value_parser = millis)]
    turn: Duration,
    /// How often each has its turn.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Where liter-llm's proxy is, or is installed to if it is not there: some minutes, once.
    #[arg(long, value_name = "FOLDER")]
    liter: Option<PathBuf>,
    /// The gateway's file, in place of one in a folder for temporary ones; not for the table.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// What the file's grants survive, outside of the table, which has both.
    #[arg(long, value_enum, default_value_t = Survives::Power)]
    survives: Survives,
    /// For how many claims of the same tags the gateways write down room ahead, so that they wait for nothing.
    #[arg(long, value_name = "CLAIMS", default_value_t = 0)]
    ahead: u32,
    /// The program, in place of the one beside this example.
    #[arg(long, value_name = "FILE")]
    gateway: Option<PathBuf>,
    /// This process is one of those that are started.
    #[arg(long, hide = true)]
    role: Option<Role>,
    /// Where a proxy sends what it gets.
    #[arg(long, hide = true, default_value = "")]
    to: String,
    /// How long the upstream takes for an answer.
    #[arg(long, hide = true, default_value = "0", value_parser = millis)]
    delay: Duration,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    Upstream,
    Proxy,
}

/// As the store has it: see `tower_quota::store::sqlite::Survives`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum Survives {
    Power,
    Kill,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateway_load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Error> {
    // A stream has four ends, of which no process has more than two.
    rlimit::increase_nofile_limit(u64::MAX)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let line = match cli.role {
        Some(Role::Upstream) => return runtime.block_on(upstream::serve(cli.delay)),
        Some(Role::Proxy) => return runtime.block_on(proxy::serve(&cli.to)),
        None if cli.quick => runtime.block_on(judge::run(cli))?,
        None if cli.real => runtime.block_on(real::run(cli))?,
        None => match (cli.streams, cli.soak) {
            (Some(count), _) => runtime.block_on(streams::run(cli, count))?,
            (None, Some(minutes)) => runtime.block_on(soak::run(cli, minutes))?,
            (None, None) => runtime.block_on(turns::run(cli))?,
        },
    };
    println!("{line}");
    Ok(())
}

fn millis(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_millis)
}
