//! The core without HTTP.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/later.rs"]
mod later;

mod as_data;
mod cancellation;
mod claims_ahead;
mod count_refused;
mod deadlines;
mod edges;
mod estimates;
mod explain;
mod explain_settings;
mod fairness;
mod goodput;
mod late_answers;
mod lost;
mod newcomers;
mod panics;
mod pins;
mod queue_steps;
mod queue_threads;
mod races;
mod reconfigure;
mod shares;
mod shares_property;
mod sub_agents;
mod to_response;
mod turned;
mod waiting;
mod windows_property;
mod work_conserving;
