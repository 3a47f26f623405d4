//! The layers and tower's contract: what a service promises its caller, and what it owes to the one inside it.
//!
//! All in virtual time.
#![allow(
    clippy::unwrap_used,
    reason = "the helpers of tests, too, fail by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod body_cap;
mod cancel;
mod clones;
mod dating;
mod dialects;
mod errors;
mod foreign;
mod readiness;
mod rejections;
mod repeats;
mod slots;
mod streams;
