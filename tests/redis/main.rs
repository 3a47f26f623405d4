//! The store on a server that processes share.
#![cfg(all(feature = "redis", unix))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/certificates.rs"]
mod certificates;
#[path = "../support/redis/mod.rs"]
mod servers;

mod access;
mod contract;
mod harness;
mod images;
mod lease;
mod left;
mod line;
mod set_back;
mod shared;
mod silence;
mod versions;
