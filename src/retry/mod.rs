//! Repeats an attempt when the provider says that it may be repeated, and when.
//!
//! Repeated are answers of 429, 503 and 529 that tell how long to wait (`retry-after-ms`, `Retry-After`),
//! unless `x-should-retry: false` forbids it. So are streams that *begin* with an error which may pass and tells a
//! wait, though their status is 200: nothing of them was handed on. Not repeated: anything else, a refusal of our own, a wait
//! longer than [`RetryLayer::longest_wait`] or beyond the call's deadline, a body that was too long to keep.
//! The told wait is a floor; jitter only adds to it, so that callers told the same do not come back together.

mod layer;
mod policy;
mod service;

pub use layer::RetryLayer;
pub use service::Retry;
