//! Stores of counts, that in memory first of all.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/later.rs"]
mod later;

mod bounds;
mod contract;
mod edges;
mod snapshot;
