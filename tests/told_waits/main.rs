//! What an answer says of waiting, and what the retry layer makes of it: requirements R1 to R4, R7, form by form.
//!
//! All in virtual time: a provider answers first with the form, and then with 200.
#![allow(
    clippy::unwrap_used,
    reason = "the helpers of tests, too, fail by panicking"
)]

mod bodies;
mod cooldown;
mod deadlines;
mod form;
mod headers;
mod longest;
mod quotas;
mod resets;
mod spread;
mod statuses;
mod streams;
mod unreadable;
