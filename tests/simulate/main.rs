//! `simulate`: a load against a configuration, in virtual time.
#![cfg(feature = "simulate")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fits;
#[cfg(feature = "sqlite")]
mod ledgers;
mod loads;
mod money;
mod populations;
mod properties;
mod provider;
mod reports;

use std::time::Duration;

use tower_quota::{
    config::{Config, RateLimiting},
    simulate::{Load, Population, Report, Simulation},
};

/// The block of this configuration.
fn config(yaml: &str) -> RateLimiting {
    let config = Config::from_yaml(&format!("rate_limiting:\n{yaml}"));
    config.unwrap().rate_limiting
}

/// A trace: `at,agent,input,output,max_tokens`, each call of gpt-4o and a second long.
fn trace(lines: &[(f64, &str, u64, u64, u64)]) -> Load {
    let mut csv = String::from("at,agent,input_tokens,output_tokens,max_tokens,model,latency\n");
    for (at, agent, input, output, cap) in lines {
        csv += &format!("{at},{agent},{input},{output},{cap},gpt-4o,1\n");
    }
    Load::from_csv(csv.as_bytes()).unwrap()
}

fn population(yaml: &str) -> Load {
    Population::from_yaml(yaml).unwrap().into()
}

fn run(config: &RateLimiting, load: Load) -> Report {
    Simulation::new(config, load).run().unwrap()
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
