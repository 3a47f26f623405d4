//! The promises that are figures: what a call costs beside the peers, in time and in memory, what a chunk of a
//! stream and what reading a request costs, and how much comes through in a minute. What each line means stands in
//! the README beside this directory.
//!
//! `cargo bench` prints a line for each: name, ours, peer, ratio, and OK or MISS against what was promised. A MISS
//! fails it. `cargo bench -- speed` measures one part: speed, threads, meter, stack,
//! inspect, keys, waiters, worst; stores where the feature sqlite or redis is on, and server where the latter is.

mod calls;
mod inspect;
mod keys;
mod measure;
mod meter;
#[cfg(feature = "redis")]
mod server;
#[cfg(feature = "redis")]
#[allow(clippy::unwrap_used, reason = "it is written for tests")]
#[path = "../../tests/support/redis/mod.rs"]
mod servers;
mod speed;
mod stack;
#[cfg(any(feature = "redis", feature = "sqlite"))]
mod stores;
mod threads;
mod waiters;
mod whole;
mod worst;

use std::{alloc::System, process::ExitCode};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    let only: Vec<String> = std::env::args().skip(1).collect();
    // Cargo says `--bench` as well.
    let only: Vec<&String> = only.iter().filter(|name| !name.starts_with('-')).collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|only| **only == name);
    let mut verdicts = measure::Verdicts::new();
    if wanted("speed") {
        speed::run(&mut verdicts);
    }
    if wanted("threads") {
        threads::run(&mut verdicts);
    }
    if wanted("meter") {
        meter::run(&mut verdicts);
    }
    if wanted("stack") {
        stack::run(&mut verdicts);
    }
    if wanted("inspect") {
        inspect::run(&mut verdicts);
    }
    #[cfg(any(feature = "redis", feature = "sqlite"))]
    if wanted("stores") {
        stores::run(&mut verdicts);
    }
    #[cfg(feature = "redis")]
    if wanted("server") {
        server::run(&mut verdicts);
    }
    // From here on time is paused: what asks for it takes longer, so what is compared with peers comes before.
    let paused = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    if wanted("keys") {
        keys::run(&mut verdicts, &paused);
    }
    if wanted("waiters") {
        waiters::run(&mut verdicts, &paused);
    }
    if wanted("worst") {
        worst::run(&mut verdicts, &paused);
    }
    if verdicts.missed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
