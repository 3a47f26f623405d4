//! The engine listens (A16): told waits, the provider's counters, refusals. In virtual time; the simulated
//! provider's ledger is the judge.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod adaptive;
#[cfg(feature = "config")]
mod config;
mod cooldown;
mod counters;
mod foreign;
mod hearing;
#[path = "../support/later.rs"]
mod later;
mod opening;
mod upstream;
mod waiting;
mod work;
