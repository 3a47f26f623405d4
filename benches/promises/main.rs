//! The promises that are figures: what a call costs beside the peers, in time and in memory, what a chunk of a
//! stream costs, and how much comes through in a minute. What each line means stands in the README beside this directory.
//!
//! `cargo bench` prints a line for each: name, ours, peer, ratio, and OK or MISS against what was promised. A MISS
//! fails it. `cargo bench -- speed` measures one part: speed, threads, meter, keys, waiters or worst.

mod calls;
mod keys;
mod measure;
mod meter;
mod speed;
mod threads;
mod waiters;
mod worst;

use std::{alloc::System, process::ExitCode};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    let only: Vec<String> = std::env::args().skip(1).filter(is_a_name).collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|only| only == name);
    let mut verdicts = measure::Verdicts::new();
    let parts: [(&str, fn(&mut measure::Verdicts)); 3] = [
        ("speed", speed::run),
        ("threads", threads::run),
        ("meter", meter::run),
    ];
    for (_, run) in parts.iter().filter(|(name, _)| wanted(name)) {
        run(&mut verdicts);
    }
    // From here on time is paused: what asks for it takes longer, so what is compared with peers comes before.
    let paused = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let parts: [(&str, fn(&mut measure::Verdicts, &Runtime)); 3] = [
        ("keys", keys::run),
        ("waiters", waiters::run),
        ("worst", worst::run),
    ];
    for (_, run) in parts.iter().filter(|(name, _)| wanted(name)) {
        run(&mut verdicts, &paused);
    }
    if verdicts.missed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Whether an argument is the name of a part: cargo says `--bench` as well.
fn is_a_name(argument: &String) -> bool {
    !argument.starts_with('-')
}
