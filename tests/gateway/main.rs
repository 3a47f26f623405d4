//! The `tower-quota` program from outside: callers before it, upstreams behind it.
#![cfg(all(feature = "gateway", feature = "sim"))]
#![allow(
    clippy::unwrap_used,
    reason = "the helpers of tests, too, fail by panicking"
)]

#[path = "../support/certificates.rs"]
mod certificates;
#[path = "../support/ports.rs"]
mod ports;

mod accounts;
mod admin;
mod alerts;
mod calls;
mod claims;
mod claims_money;
mod commands;
mod dashboard;
mod disguised;
mod generic;
mod google;
mod hostile;
mod key_ends;
mod keys;
mod limits;
mod live;
mod one_key;
mod pages;
mod passing;
mod process;
mod recent;
mod refused_key;
mod reload;
#[cfg(all(feature = "sqlite", unix))]
mod retention;
mod retries;
mod routes;
#[cfg(all(feature = "redis", unix))]
mod shared;
mod shutdown;
mod silent;
mod startup;
mod status;
#[cfg(all(feature = "sqlite", unix))]
mod store;
mod tls;
mod told;
mod under_load;
mod unpark;
mod unread;
mod unsent;
mod upstream;
