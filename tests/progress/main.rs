//! What people see of a call that waits or is under way.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod core;
mod expected;
#[path = "../support/later.rs"]
mod later;
mod layers;
#[path = "../support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "not every test needs all of it")]
mod support;

use tower_quota::limiter::{Awaited, CallState, Progress};

fn awaited(progress: &Progress) -> Awaited {
    match progress.state() {
        CallState::Waiting(awaited) => awaited,
        other => panic!("it does not wait: {other:?}"),
    }
}

/// Which attempt it is, and how much has streamed.
fn sent(progress: &Progress) -> (u32, u64) {
    match progress.state() {
        CallState::Sent {
            attempt, output, ..
        } => (attempt, output),
        other => panic!("it is not under way: {other:?}"),
    }
}

/// Lets everybody do what can be done at this instant.
async fn settle_down() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
