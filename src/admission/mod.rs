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

mod layer;
mod service;

pub use layer::AdmissionLayer;
pub use service::Admission;
