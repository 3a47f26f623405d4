//! Tower layers that keep programs calling LLM APIs inside their rate limits and their budgets.
//!
//! [`RateLimitLayer`] wraps any `Service<http::Request<B>>`. A call that finds no room under the limits that it touches
//! waits for its turn; a call that fails is repeated when that may help; and if its route has other targets, it goes
//! there.
//!
//! ```
//! use std::{convert::Infallible, time::Duration};
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{ServiceBuilder, ServiceExt as _, service_fn};
//! use tower_quota::{Limiter, RateLimitLayer, Tag, limit::{Limit, Limits}};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In a program this is a client of hyper or reqwest.
//! let client = service_fn(|_: Request<Full<Bytes>>| async {
//!     Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
//! });
//!
//! let minute = Duration::from_secs(60);
//! let limits = Limits::new([
//!     Limit::requests(500).every(minute),
//!     Limit::tokens(30_000).every(minute).when(Tag::Model, "gpt-4o"),
//! ])?;
//! let client = ServiceBuilder::new().layer(RateLimitLayer::new(Limiter::new(limits))).service(client);
//!
//! let body = r#"{"model": "gpt-4o", "max_tokens": 500, "messages": []}"#;
//! let request = Request::post("https://api.openai.com/v1/chat/completions").body(Full::from(body))?;
//! let response = client.clone().oneshot(request).await?;
//! assert!(response.status().is_success());
//!
//! // A call that can never fit is refused at once: as a response, with the reason in its extensions.
//! let body = r#"{"model": "gpt-4o", "max_tokens": 50000, "messages": []}"#;
//! let request = Request::post("https://api.openai.com/v1/chat/completions").body(Full::from(body))?;
//! let response = client.oneshot(request).await?;
//! assert_eq!(response.status(), 413);
//! assert_eq!(response.extensions().get::<tower_quota::Rejection>().unwrap().kind(), "never_fits");
//! # Ok(())
//! # }
//! ```
//!
//! # In a server
//!
//! Use `AdmissionLayer::new(limiter).reject_when_full()` around a router: [`RateLimitLayer`] has callers wait, and runs a
//! handler again that answers 503. A handler that asks a [`Limiter`] itself answers with [`Rejection::to_response`].
//!
//! # Runtime
//!
//! The layers and the limiter need a tokio runtime whose timer is enabled (`enable_time`, or `enable_all`). Without one
//! they panic as soon as a call waits for anything.
//!
//! # The main types
//!
//! - [`limit::Limit`]: an amount of one quantity per period, for calls `when` tags match, counted `per` tag value.
//! - [`Limiter`]: the engine, with or without HTTP. It [explains](Limiter::explain) what it does.
//! - [`limiter::Delegation`]: what calls inside other calls inherit, so that they do not wait for each other.
//! - [`Statistics`]: what was used and refused, by time and tags; and when budgets end.
//! - [`AdmissionLayer`], [`BudgetLayer`], [`RetryLayer`], [`FailoverLayer`]: the layers, each usable alone and in any
//!   order. [`RateLimitLayer`] is all of them.
//! - [`event`]: what becomes of calls, told to observers as it happens. Metrics and spans are made from it.
//! - [`Recent`](recent::Recent): recent refusals, and the story of each call that is open or ended recently.
//! - `alerts::Alerts` (with the feature `alerts`): webhooks that are told of budgets, breakers and parked keys.
//! - [`retry::Attempts`]: what became of each attempt of a call, in the extensions of its response.
//! - [`Tags`] and [`CallOptions`]: who calls and how urgently, in the extensions of a request. With [`scope`], every
//!   call made inside a future inherits tags.
//! - [`Rejection`]: why a call was refused here. Its [`help`](Rejection::help) links to the guide's entry.
//! - [`guide`]: how to begin, in any language; recipes, every key of a configuration, what refusals mean, security,
//!   migration.
//! - [`RequestBody`]: the way in for bodies that cannot be made of bytes.
//!
//! # Terms
//!
//! A *call* is what the user asked for; an *attempt* is one HTTP exchange for it. A *claim* is what an attempt needs of
//! every limit that its tags touch; it is granted whole or not at all. A *permit* is the handle on a granted claim: it
//! is *settled* with what was really used, or *released* because nothing was sent. A *told wait* is how long a provider
//! says to leave it alone, by `Retry-After` or its like.
//!
//! # What it does not do
//!
//! It does not see redirects and retries inside a client: switch them off.
//!
//! A foreign layer between the layers of this crate may clone a request, remove its extensions, and move it to another
//! task. If it builds a new request from what it reads in the first one, these layers see two calls, and the outer ones
//! do not count what the inner ones repeat. If it sends a request twice, that makes two attempts, each with its own
//! claims, provided that one of these layers is inside it; a foreign layer inside all of them is like a part of the
//! client. If it changes the body or the model of a request, the layers inside it go by what the outermost one has read:
//! put such a layer outside of all of these.
//!
//! Processes share state only through a store on a server. A body that is longer than the cap passes unread, under
//! those limits that need no knowledge of it.
//!
//! # Features
//!
//! None is on by default.
//!
//! - `config` reads YAML, JSON and TOML.
//! - `reqwest` brings the bridge to `reqwest::Client`, of `reqwest` 0.13.
//! - `hyper-util` knows from the errors of hyper-util's client whether an attempt left.
//! - `sim` brings a simulated provider.
//! - `simulate` runs a configuration in virtual time. It turns on tokio's feature `test-util`, in the whole program.
//! - `gateway` brings the binary `tower-quota`.
//! - `demo` adds the command `tower-quota demo`: the gateway with simulated providers and agents.
//! - `tiktoken` counts input by the tokenizers of OpenAI's models.
//! - `sqlite` keeps counts and a ledger in a file (`store::SqliteStore`).
//! - `redis` keeps counts that processes share (`store::RedisStore`).
//! - `metrics` and `otlp` bring metrics, to be read and to be pushed.
//! - `alerts` brings webhooks that are told what happens.
//! - `tracing` makes a span for each call.
//! - `mimalloc` makes mimalloc the allocator of the binary.
//! - `full` is all of them, `simulate` and so tokio's `test-util` included.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod admission;
#[cfg(feature = "alerts")]
pub mod alerts;
pub mod body;
pub mod budget;
mod call;
mod clock;
#[cfg(feature = "config")]
pub mod config;
pub mod error;
pub mod event;
pub mod failover;
#[cfg(feature = "gateway")]
pub mod gateway;
pub mod guide;
pub mod limit;
pub mod limiter;
#[cfg(feature = "metrics")]
pub mod metrics;
pub mod money;
pub mod pricing;
pub mod rate_limit;
pub mod recent;
#[cfg(feature = "reqwest")]
pub mod reqwest;
pub mod retry;
#[cfg(feature = "sim")]
pub mod sim;
#[cfg(feature = "simulate")]
pub mod simulate;
pub mod statistics;
pub mod store;
pub mod tags;
pub mod usage;
pub mod wire;

pub use admission::AdmissionLayer;
pub use body::ResponseBody;
pub use budget::BudgetLayer;
pub use call::{CallOptions, NotSent, RequestBody};
pub use error::{Rejection, Shortage, StoreError};
pub use failover::FailoverLayer;
pub use limiter::Limiter;
pub use money::Money;
pub use rate_limit::RateLimitLayer;
pub use retry::RetryLayer;
pub use statistics::Statistics;
pub use tags::{Tag, Tags, scope};
pub use usage::Usage;

/// The code in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
