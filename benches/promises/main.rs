//! The promises that are figures: what a call costs beside the peers, in time and in memory, what a chunk of a
//! stream costs, and how much comes through in a minute. What each line means stands in the README beside this directory.
//!
//! `cargo bench` prints a line for each: name, ours, peer, ratio, and OK or MISS against what was promised. A MISS
//! fails it.

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

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    let mut verdicts = measure::Verdicts::new();
    speed::run(&mut verdicts);
    threads::run(&mut verdicts);
    meter::run(&mut verdicts);
    // From here on time is paused: what asks for it takes longer, so what is compared with peers comes before.
    let paused = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    keys::run(&mut verdicts, &paused);
    waiters::run(&mut verdicts, &paused);
    worst::run(&mut verdicts, &paused);
    if verdicts.missed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
