//! Repeats an attempt when that may help, and when the provider says that it may.
//!
//! Up to three attempts are made in all, unless set otherwise. The following are repeated:
//!
//! - Answers with status 408, 409, 429, 500, 502, 503, 504 and 529, other 5xx except 501 and 505, and Groq's 498. If
//!   `x-should-retry` is sent, it decides instead. What the answer says counts for more than its status: whatever their
//!   status, answers that say that a quota or money is used up, or that the call is larger than the limit, are not
//!   repeated.
//! - Streams that *begin* with such an error although their status is 200: nothing of them was handed on. So are streams
//!   that break before anything was generated, within the second (and 64 KiB) for which their beginning is held back, if
//!   [`RetryLayer::repeats_uncertain`] allows it.
//! - Errors of the inner service: a connection that could not be made and, if [`RetryLayer::repeats_uncertain`] allows
//!   it, one that broke before the answer, or before anything of it was generated. That attempt may have been billed,
//!   and is charged what was reserved for it.
//!
//! With an API that is not known (batches, files), a `POST` is repeated only if that cannot do a thing twice: it was
//! refused (429, 498, 503, 529), it did not leave, or it carries an `Idempotency-Key`.
//!
//! Never repeated: what this crate's own layers refuse; anything of which a part was handed on; a call whose body was
//! too long to keep.
//!
//! # Waits
//! A *told wait* is how long a provider says to leave it alone: by `retry-after-ms`, by `Retry-After` in seconds or as
//! a date, or else in the body, such as Google's `RetryInfo` or "try again in 1.146s". Told waits are a minimum. Jitter
//! only adds to them, up to a tenth, or up to a tenth of a second if that is more, so that callers who were told the
//! same wait do not come back together. If no wait is told, waits are exponential with full jitter: up to half a second
//! before the first repeat, up to twice as much before each further one, and never more than eight seconds.
//!
//! A told wait that is longer than [`RetryLayer::longest_wait`], or that ends after the call's deadline, is not begun.
//! The answer is handed on at once instead, with the wait in `retry-after-ms` and `Retry-After`, wherever the provider
//! put it. Until no more than `longest_wait` is left of it, the
//! [`AdmissionLayer`](crate::AdmissionLayer::longest_wait) refuses further calls to that target at once. The deadline
//! covers all attempts, whoever makes them; it is the call's own, or that of the limiters whose gates it has passed
//! ([`QueueOptions::max_wait`](crate::limiter::QueueOptions::max_wait)) if that is earlier.
//!
//! # No storm
//! Repeats of anything but a 429 are taken out of a [`RetryBudget`], so that an outage is not multiplied. A caller that
//! says by `x-stainless-retry-count` that it repeats calls itself, as the official SDKs of OpenAI and Anthropic do, is
//! told `x-should-retry: false`, which they obey, with the last answer and with an answer that repeating cannot help.
//! If it repeats a call all the same, that is tried once.
//!
//! If there are several [`RetryLayer`]s around one call, the outermost repeats.
//!
//! What became of each attempt is in the response's extensions, as [`Attempts`]. An answer is kept while the call waits, in
//! case that it is the last one after all: of a body that is longer than 64 KiB or takes longer than a second only the
//! beginning, as [`ResponseBody`](crate::ResponseBody) says.
//!
//! # Cancel safety
//! Dropping a call while it waits loses nothing, because it holds nothing. Dropping it while an attempt is in flight
//! settles that attempt.

pub(crate) mod asked;
pub(crate) mod backoff;
pub(crate) mod classifier;
mod layer;
mod policy;
mod repeating;
mod retry_budget;
mod service;

pub use crate::call::{
    AttemptReport, Attempts, Failure, Outcome, PassedOver, PassedOverWhy, TargetName,
};
pub use layer::RetryLayer;
pub use retry_budget::RetryBudget;
pub use service::Retry;
pub(crate) use {repeating::Repeating, service::Settings};
