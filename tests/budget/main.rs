//! Money: what is spent, what it is priced at, what is told and noted of it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(feature = "sqlite")]
#[path = "../support/folder.rs"]
mod folder;

mod answered;
mod audit;
mod billed;
mod events;
mod iterations;
mod modes;
mod prices;
mod refused;
mod served;
mod spent;
mod total;
mod unread;
