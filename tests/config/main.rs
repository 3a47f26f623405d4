//! What a configuration says is in force, or refused by its path.
#![cfg(feature = "config")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(feature = "sqlite")]
#[path = "../support/folder.rs"]
mod folder;

mod block;
mod doubts;
mod enforced;
mod errors;
mod failover;
mod formats;
mod idle;
mod junk;
mod limit_settings;
mod litellm;
mod reload;
mod reload_file;
mod schema;
mod store;
