//! The layers around a service.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/http_stack.rs"]
mod http_stack;
#[path = "../support/later.rs"]
mod later;
#[cfg(feature = "sim")]
#[path = "../support/recording.rs"]
mod recording;
#[allow(dead_code, unused_imports, reason = "not all of it is used here")]
#[path = "../support/mod.rs"]
mod support;

mod asked_usage;
mod deadlines;
mod delegation;
mod edges;
mod gate_around;
mod given;
mod orders;
mod output_cap;
mod paved;
mod preambles;
mod recent;
mod settings;
mod spike;
mod switched_off;
mod unread;
mod wakers;
