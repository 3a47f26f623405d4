//! Repeats an attempt when that may help, and when the provider says that it may.
//!
//! Repeated are, three attempts in all where nothing else is said:
//!
//! - answers of 408, 409, 429, 500, 502, 503, 504 and 529, and other 5xx but 501 and 505, and Groq's 498; where
//!   `x-should-retry` is sent, it decides instead. What the answer says counts for more than its status: a quota or
//!   money that is used up is not repeated, nor is a call that is larger than the limit, whatever their status.
//! - streams that *begin* with such an error, though their status is 200: nothing of them was handed on.
//! - errors of the inner service: a connection that was not made; and, where [`RetryLayer::repeats_uncertain`] allows
//!   it, one that broke before the answer. That attempt may have been billed, and is charged what was reserved for it.
//!
//! Of an API that is not known (batches, files) a `POST` is repeated only where that cannot do a thing twice: where it
//! was refused (429, 498, 503, 529) or did not leave, or carries an `Idempotency-Key`.
//!
//! Never repeated: what our own layers refuse; anything of which a part was handed on; a body that was too long to keep.
//!
//! # Waits
//! Told waits are a floor: `retry-after-ms`, `Retry-After` in seconds or as a date, else what the body says, as Google's
//! `RetryInfo` and "try again in 1.146s". Jitter only adds to them, up to a tenth and at least up to a tenth of a second,
//! so that callers told the same do not come back together. Where nothing is told the waits are exponential with full
//! jitter: up to half a second before the first repeat, twice as much before each further one, eight seconds at most.
//!
//! A told wait that is longer than [`RetryLayer::longest_wait`], or ends after the call's deadline, is not begun: the
//! answer is handed on at once, and says when in `retry-after-ms` and `Retry-After`, whoever has told it where. The
//! deadline is over all attempts, whoever makes them.
//!
//! # No storm
//! Repeats of what is no 429 come out of a [`RetryBudget`], so that an outage is not multiplied. A caller that says by
//! `x-stainless-retry-count`, as the official SDKs of OpenAI and Anthropic do, that it repeats its calls itself is told
//! `x-should-retry: false` with the last answer, and with one that no repeating helps, which they obey; where it repeats
//! a call all the same, that is tried once.
//!
//! Of several [`RetryLayer`]s around one call the outermost repeats.
//!
//! What became of each attempt is in the response's extensions, as [`Attempts`].
//!
//! # Cancel safety
//! Dropping a call while it waits loses nothing: it holds nothing. Dropping it while an attempt is in flight settles
//! that one.

pub(crate) mod asked;
pub(crate) mod backoff;
pub(crate) mod classifier;
mod layer;
mod policy;
mod repeating;
mod retry_budget;
mod service;

pub use crate::call::{AttemptReport, Attempts, Outcome, PassedOver, PassedOverWhy, TargetName};
pub use classifier::Failure;
pub use layer::RetryLayer;
pub use retry_budget::RetryBudget;
pub use service::Retry;
pub(crate) use {repeating::Repeating, service::Settings};
