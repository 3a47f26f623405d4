//! Keeps programs in any language inside the rate limits of the LLM APIs they call.

// They panic where nobody reads; `output` does not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

mod admin;
mod alerts;
mod check;
mod cli;
#[cfg(feature = "demo")]
mod demo;
mod failure;
mod init;
mod output;
#[cfg(feature = "otlp")]
mod push;
mod reach;
mod reload;
mod report;
mod serve;
mod signals;
#[cfg(feature = "simulate")]
mod simulate;
mod source;
mod status;
mod targets;
mod threads;

use std::{io, process::ExitCode};

use clap::Parser;

use cli::{AlertsWhat, Cli, Command};
use failure::Failure;
use output::complain;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let threads = match &command {
        Command::Serve(args) => args.threads,
        _ => None,
    };
    let runtime = match threads::runtime(threads) {
        Ok(runtime) => runtime,
        Err(error) => return failed(&Failure::Threads(error)),
    };
    // It is said before the runtime ends, which waits for what cannot be given up.
    match runtime.block_on(run(command)) {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody reads any more.
        Err(Failure::Print(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(failure) => failed(&failure),
    }
}

fn failed(failure: &Failure) -> ExitCode {
    complain(format_args!("{failure}"));
    failure.code()
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::run(args).await,
        Command::Check(args) => check::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Status(args) => status::run(args).await,
        Command::Report(args) => report::run(&args).await,
        Command::Alerts {
            what: AlertsWhat::Test { config },
        } => alerts::test(config).await,
        #[cfg(feature = "simulate")]
        Command::Simulate(args) => simulate::run(&args),
        Command::Admin(args) => admin::run(args).await,
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::run(args).await,
    }
}
