//! The `tower-quota` program from outside: callers before it, upstreams behind it.
#![cfg(all(feature = "gateway", feature = "sim"))]
#![allow(
    clippy::unwrap_used,
    reason = "the helpers of tests, too, fail by panicking"
)]

#[path = "../support/certificates.rs"]
mod certificates;

mod accounts;
mod admin;
mod alerts;
mod calls;
mod claims;
mod commands;
mod dashboard;
mod generic;
mod hostile;
mod keys;
mod limits;
mod live;
mod passing;
mod process;
mod recent;
mod refused_key;
mod reload;
#[cfg(all(feature = "sqlite", unix))]
mod retention;
mod retries;
mod routes;
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
mod upstream;
