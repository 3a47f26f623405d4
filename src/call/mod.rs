//! The call context: what our layers know of one call, shared by all of them.
//!
//! Whichever of our layers sees a request first makes a context and puts a handle on it into the request's
//! extensions. Gates register on it, repeaters start new attempts on it, and whoever sends settles.
//!
//! - A **gate** that needs room claims for every gate outside it as well, where their claims are missing,
//!   so that no attempt leaves unclaimed, and gives all of them back before it waits, so that nothing is
//!   held while waiting.
//! - The layer that calls a service which is none of ours is the **sender** of the attempt. It dates the
//!   claims and meters the answer. A layer does not know what is inside it; so each one presumes to be the
//!   sender, and one further in takes over.
//! - Where a foreign layer has taken the handle off, the call is found again by a mark on the request (`mark`).
//! - A handle that comes in a second time for an attempt that was sent (a foreign layer cloned the request)
//!   **forks**: it is a call of its own from there on, with claims of its own (`fork`).

mod attempt;
mod attempts;
mod calibrate;
mod claims;
mod context;
mod cover;
mod enter;
mod failure;
mod fork;
mod gate;
mod handle;
mod inward;
mod listen;
mod mark;
mod options;
mod output_cap;
mod priced;
mod read_body;
mod record;
mod repeat;
mod request_body;
mod send;
mod toward;
mod turned_away;
mod unfinished;
mod unfitted;
mod watch;

#[cfg(feature = "gateway")]
pub(crate) use attempt::next_id as next_attempt;
pub use attempts::{AttemptReport, Attempts, Outcome, PassedOver, PassedOverWhy, TargetName};
pub(crate) use context::Entry;
#[cfg(feature = "simulate")]
pub(crate) use context::tags_passed_on;
pub(crate) use enter::{Entered, Inspect, Refusal};
#[cfg(feature = "gateway")]
pub(crate) use failure::ClientError;
pub use failure::Failure;
pub(crate) use failure::by_type;
pub(crate) use gate::Gate;
pub(crate) use listen::{Listening, Opening};
pub use options::{CallOptions, NotSent};
pub(crate) use output_cap::OutputCap;
pub(crate) use priced::{Allowed, Ended, Input, Pricing};
#[cfg(feature = "gateway")]
pub(crate) use read_body::BODY_CAP;
pub(crate) use read_body::ReadBody;
pub(crate) use record::Places;
pub(crate) use repeat::Heard;
pub use request_body::RequestBody;
pub(crate) use send::{MakeRequest, Sent};
pub(crate) use toward::{Elsewhere, Failing, Toward};
pub(crate) use unfinished::Unfinished;
pub(crate) use watch::hands_on;
