//! Whatever is sent, it is read or refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod errors;
mod junk;
mod streams;
