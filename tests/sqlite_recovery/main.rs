//! A store in a file goes on after a crash as one that never stopped, and has settled what was in flight as unknown.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/folder.rs"]
mod folder;

mod clocks;
mod come_and_go;
mod limits;
mod property;
mod rules;
mod runs;
mod world;
