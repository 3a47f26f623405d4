//! Keeps programs in any language inside the rate limits of the LLM APIs they call.

mod admin;
mod check;
mod cli;
mod failure;
mod init;
#[cfg(feature = "otlp")]
mod push;
mod reload;
mod serve;
mod signals;
#[cfg(feature = "simulate")]
mod simulate;
mod source;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(args) => serve::run(args).await,
        Command::Check(args) => check::run(&args),
        Command::Init(args) => init::run(&args),
        #[cfg(feature = "simulate")]
        Command::Simulate(args) => simulate::run(&args),
        Command::Admin(args) => admin::run(args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("tower-quota: {failure}");
            failure.code()
        }
    }
}
