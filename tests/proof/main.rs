//! The engine's promises, on random loads, against a naive log of everything.
//!
//! Each test prints how many claims were admitted, and where one fails, its seed. `PROOF_SEED=… cargo test --test
//! proof` repeats it. `PROOF_ADMISSIONS=…` says how many admissions there are to be; `scripts/test` has a million.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod callers;
mod judged;
mod log;
mod plan;
mod restore;
mod said;
mod traces;
mod world;

use std::future::Future;

/// How many admissions there are where nothing else is said: enough to find what is wrong for most seeds.
const ADMISSIONS: usize = 50_000;

/// Runs `trace` with one seed after another until there were so many thousandths of all admissions.
fn prove<F: Future<Output = usize>>(name: &str, share: usize, trace: impl Fn(u64) -> F) {
    let number = |name| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().unwrap())
    };
    let all = number("PROOF_ADMISSIONS").map_or(ADMISSIONS, |all| usize::try_from(all).unwrap());
    let wanted = all * share / 1_000;
    let first = number("PROOF_SEED").unwrap_or_else(|| fastrand::u64(..));
    let (mut admissions, mut traces) = (0, 0);
    while admissions < wanted {
        let seed = Seed(first.wrapping_add(traces));
        admissions += paused(trace(seed.0));
        traces += 1;
    }
    println!("{name}: {admissions} admissions in {traces} traces from seed {first} on");
}

/// Says which seed it was where a trace panics.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("PROOF_SEED={}", self.0);
        }
    }
}

fn paused<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(work)
}
