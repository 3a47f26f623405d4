//! Secrets are shown nowhere (F3, S8): API keys and callers' credentials are marked, everything that can be seen of calls
//! is gathered, and no mark is in it.
#![cfg(all(
    feature = "gateway",
    feature = "sim",
    feature = "reqwest",
    feature = "config",
    feature = "metrics",
    feature = "sqlite",
    unix
))]
#![allow(
    clippy::unwrap_used,
    reason = "the helpers of tests, too, fail by panicking"
)]

mod calls;
mod config;
#[path = "../support/folder.rs"]
mod folder;
mod gateway;
mod outputs;
#[path = "../support/ports.rs"]
mod ports;
#[path = "../gateway/process.rs"]
mod process;
mod stack;
mod texts;
mod words;
