//! Holds a call back until every limit that it touches has room.
//!
//! ```
//! use std::time::Duration;
//! use tower_layer::Layer;
//! use tower_quota::{AdmissionLayer, Limiter, limit::{Limit, Limits}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let limits = Limits::new([Limit::requests(500).every(Duration::from_secs(60))])?;
//! let layer = AdmissionLayer::new(Limiter::new(limits));
//! # let client = tower::service_fn(|_: http::Request<http_body_util::Full<bytes::Bytes>>| async {
//! #     Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
//! # });
//! let client = layer.layer(client);
//! # fn is_service<S: tower_service::Service<http::Request<http_body_util::Full<bytes::Bytes>>>>(_: S) {}
//! # is_service(client);
//! # Ok(())
//! # }
//! ```
//!
//! What a call needs of input tokens is an estimate: four bytes of text a token, and a thousand tokens for a file in
//! base64. It follows what the model's answers report, between half and four times of itself, call by call; a call that
//! declares what it needs ([`Call::tokens`](crate::limiter::Call::tokens)) is taken at its word.
//!
//! It listens to the answers of what it sent:
//!
//! - A wait told with a 429, 503 or 529 (`retry-after-ms`, `Retry-After`, or the body) holds back every call
//!   with the same provider, API key and model until then, those that wait already too. A wait that comes with
//!   an error that is not about the target, or without one of these tags, holds back nobody.
//! - Rate headers (`x-ratelimit-*`, `anthropic-ratelimit-*` and others: [`wire::rate_limits`](crate::wire::rate_limits))
//!   show what everybody uses on the account. What is not ours is left to others, in limits of the same
//!   quantity and period. Not seen is what no counter shows: others who come while the account is idle, or
//!   within the second between two answers.
//! - A 429 cuts limits that are [adaptive](crate::limit::Limit::adaptive).

mod layer;
mod service;

pub use layer::AdmissionLayer;
pub use service::Admission;
pub(crate) use service::admit;
