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
//! How many input tokens a call needs is estimated: four bytes of text per token, and a thousand tokens for a file in
//! base64. The estimate is adjusted with every call to what the model's answers report, to between half and four times
//! of itself. A call that declares what it needs ([`Call::tokens`](crate::limiter::Call::tokens)) is taken at its word.
//!
//! The layer listens to the answers to what it sent:
//!
//! - A *told wait* is how long a provider says to leave it alone. One that comes with a 429, 503 or 529 (in
//!   `retry-after-ms`, `Retry-After`, or the body) holds back every call with the same provider, API key and model
//!   until it is over, including calls that wait already. While more is left of it than a call
//!   [waits out](AdmissionLayer::longest_wait), calls are refused at once and told when it ends. A told wait that comes
//!   with an error that is not about the target, or to a call with none of these tags, holds back nobody; nor does one
//!   of more than a minute for a quota that is used up. When it is over, those who waited leave in groups that double
//!   every 50 ms, from one call on: so the first of them find out whether the provider has room again. If it tells the
//!   first group to wait once more, that is twice as large the next time.
//! - Rate headers (`x-ratelimit-*`, `anthropic-ratelimit-*` and others, see
//!   [`wire::rate_limits`](crate::wire::rate_limits)) show what everybody uses on the account. What this program did
//!   not use is left to others, in limits of the same quantity and period. What no counter shows is not seen: others
//!   who arrive while the account is idle, or within the second between two answers.
//! - A 429 cuts limits that are [adaptive](crate::limit::Limit::adaptive).

mod layer;
mod service;

pub use layer::AdmissionLayer;
pub use service::Admission;
pub(crate) use service::admit;
