//! The store in a file.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/folder.rs"]
mod folder;

mod ahead;
mod contract;
mod export;
mod files;
mod images;
mod ledger;
mod retention;
