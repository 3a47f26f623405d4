//! A simulated LLM provider: real HTTP, its own limits, its own ledger.
//!
//! | asked for | answer |
//! |---|---|
//! | `POST /v1/chat/completions`, `/v1/responses`, `/v1/embeddings` | OpenAI's |
//! | `POST /v1/messages` | Anthropic's |
//! | `POST /v1beta/models/{model}:generateContent` (or `/v1` with its key in `x-goog-api-key`), `:streamGenerateContent` (events with `?alt=sse`, else a list), `:embedContent`, `:batchEmbedContents` | Gemini's |
//! | `POST /v1/messages/count_tokens`, `…:countTokens` | the tokens of the text |
//! | `GET /v1/models`, `/v1beta/models` | the models that the configuration names, in the form of the provider whose headers the request has |
//!
//! Everything else is a 404 in the provider's form. Counting tokens and listing models are in no ledger and under no
//! limit.
//!
//! A request with tools is answered with a call of the first tool that is the caller's own, with the arguments that its
//! schema requires. It is answered with text if its choice of tools is none, or if its last message is the result of a
//! tool.
//!
//! What it is for: to see from the provider's side whether a caller keeps within limits. It
//! counts with its own arithmetic and shares no code with the rest of this crate, so that a
//! mistake in a limiter cannot hide behind the same mistake here.
//!
//! What it does not do: it generates no language and does not reason; it checks no API key and no `anthropic-version`;
//! it has no prompt cache; it ignores `n` and the format that an answer should have; it does not count the text of the
//! tools that it is given; and it limits neither the size of a request nor the length of its ledger.
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
mod dialect;
mod enforce;
mod faults;
mod ledger;
mod limit;
mod open;
mod route;
mod server;
mod service;
mod simulator;
mod stream;

pub use self::body::{SimBody, SimError};
pub use self::config::SimConfig;
pub use self::dialect::Dialect;
pub use self::faults::{FaultRule, Faults, UnknownFault};
pub use self::ledger::{Attempt, Billed, Ledger, Outcome};
pub use self::limit::{SimCharge, SimLimit, SimQuantity, SimShape};
pub use self::server::SimServer;
pub use self::service::{SimFuture, SimService};
pub use self::simulator::Simulator;
