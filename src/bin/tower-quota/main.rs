//! Keeps programs in any language inside the rate limits of the LLM APIs they call.

mod cli;
mod failure;
mod reload;
mod serve;
mod signals;
mod source;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Serve(args) = Cli::parse().command;
    match serve::run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("tower-quota: {failure}");
            failure.code()
        }
    }
}
