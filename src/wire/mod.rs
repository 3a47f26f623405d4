//! What providers say on the wire: facts of a request, usage and errors of a response, waits.
//!
//! Everything here is a pure function of bytes and headers. Nothing reads a clock, takes a lock,
//! waits, or does I/O; where the time matters it is an argument. Whatever a peer sends, nothing
//! panics, and what is kept of it is capped.

mod retry_after;
pub mod sse;

pub use self::retry_after::{go_duration, retry_after, should_retry};
