//! Tower layers that keep programs calling LLM APIs inside their rate limits.

pub mod admission;
pub mod body;
mod call;
#[cfg(feature = "config")]
pub mod config;
pub mod error;
pub mod limit;
pub mod limiter;
pub mod rate_limit;
#[cfg(feature = "reqwest")]
pub mod reqwest;
pub mod retry;
#[cfg(feature = "sim")]
pub mod sim;
pub mod store;
pub mod tags;
pub mod usage;
pub mod wire;

pub use admission::AdmissionLayer;
pub use body::ResponseBody;
pub use call::{CallOptions, NotSent, RequestBody};
pub use error::{Rejection, Shortage, StoreError};
pub use limiter::Limiter;
pub use rate_limit::RateLimitLayer;
pub use retry::RetryLayer;
pub use tags::{Tag, Tags};
pub use usage::Usage;
