//! A simulated LLM provider: real HTTP, its own limits, its own ledger.
//!
//! It speaks OpenAI chat (`POST /v1/chat/completions`) and Anthropic messages (`POST
//! /v1/messages`), whole and streamed, and lists models (`GET /v1/models`). Everything else is a
//! 404 in the shape of the dialect.
//!
//! What it is for: to see from the provider's side whether a caller keeps within limits. It
//! counts with its own arithmetic and shares no code with the rest of this crate, so that a
//! mistake in a limiter cannot hide behind the same mistake here.
//!
//! What it does not do: it generates no language, checks no API key and no `anthropic-version`,
//! knows no prompt cache, ignores `n` and tools, and bounds neither the size of a request nor the
//! length of its ledger.
//!
//! ```
//! # use std::time::Duration;
//! use tower_quota::sim::{SimConfig, SimLimit, Simulator};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let server = Simulator::start(SimConfig {
//!     limits: vec![SimLimit::requests(100, Duration::from_secs(60))],
//!     ..SimConfig::default()
//! })
//! .await?;
//! // Point a client at `server.base_url()`, then ask what it did:
//! let ledger = server.ledger();
//! assert_eq!(ledger.refused(), 0);
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod answer;
mod ask;
mod body;
mod clock;
mod config;
mod core;
mod enforce;
mod faults;
mod ledger;
mod limit;
mod open;
mod server;
mod service;
mod simulator;
mod stream;

pub use self::ask::Dialect;
pub use self::body::{SimBody, SimError};
pub use self::config::SimConfig;
pub use self::faults::{FaultRule, Faults, UnknownFault};
pub use self::ledger::{Attempt, Billed, Ledger, Outcome};
pub use self::limit::{SimCharge, SimLimit, SimQuantity, SimShape};
pub use self::server::SimServer;
pub use self::service::{SimFuture, SimService};
pub use self::simulator::Simulator;
