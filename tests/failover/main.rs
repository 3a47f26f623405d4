//! Another target where one is out of room, out of money or unwell: two simulated providers, by paused time.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod asked;
mod broken;
mod configured;
mod counts;
mod degrade;
mod health;
mod keys;
mod moves_on;
mod providers;
mod shown;
mod unpark;
mod waits;
