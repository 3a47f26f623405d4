//! Another target where one is out of room, out of money or unwell: two simulated providers, by paused time.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod asked;
mod bounded;
mod broken;
mod configured;
mod counts;
mod decisions;
mod degrade;
mod health;
mod keys;
mod money;
mod moves_on;
mod own_lack;
mod providers;
mod shown;
mod stays;
mod unpark;
mod waits;
