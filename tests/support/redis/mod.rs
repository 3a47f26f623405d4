//! Real servers of Redis for tests, and what goes wrong between them and a program.
#![allow(dead_code, unused_imports, reason = "not every test needs all of it")]

mod cluster;
#[path = "../folder.rs"]
mod folder;
mod proxy;
mod pump;
mod resp;
mod server;

use std::time::Duration;

pub(crate) use cluster::Cluster;
pub(crate) use folder::Folder;
pub(crate) use proxy::{Fault, Proxy};
pub(crate) use resp::{Connection, Reply};
pub(crate) use server::Server;

/// Waits until something is so in another process: a minute at most, and says what was waited for.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..6_000 {
        if is_so() {
            return;
        }
        nap();
    }
    panic!("it takes too long: {what}");
}

#[allow(
    clippy::disallowed_methods,
    reason = "another process is waited for, whatever the time of the test"
)]
fn nap() {
    std::thread::sleep(Duration::from_millis(10));
}
