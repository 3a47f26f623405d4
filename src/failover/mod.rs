//! Sends a call to the first target of its route that can serve it: another model, provider or API key if one is out of
//! room, out of money or unwell.
//!
//! A [target](Target) is a model of a [provider](Provider) with one of its keys; a [route](Route) is the list of
//! targets for a model name. Calls for models without a route, calls whose body was too long to read, and calls that
//! are already signed (AWS) go on unchanged, or are [refused](FailoverLayer::routed_only).
//!
//! # When a call goes on to the next target
//! [`Trigger`] lists the reasons; each can be switched on and off. A refusal by this crate is a reason only if the
//! limit that refused looks at the target, or is a budget: another target may have room, or cost less. While there are
//! other targets, a call spends no longer on a [told wait](crate::retry#waits) than [`FailoverLayer::patience`]; one that is
//! told to wait is another target if that wait is waited out. What is no reason to go on is repeated by a
//! [`RetryLayer`](crate::RetryLayer) inside at the same target, as if there were no other. Nothing is sent elsewhere once a
//! part of an answer was handed on.
//!
//! When every target was tried, the call waits for the one that has room first or was told the shortest wait: as long
//! as it may, but for a told wait no longer than [`FailoverLayer::longest_wait`]. While others may serve later, it spends
//! no longer on a told wait than until then. One target is asked three times at most, or, if there is a
//! [`RetryLayer`](crate::RetryLayer) inside, as often as that [says](crate::RetryLayer::max_attempts), its repeats included.
//! Coming back to one that failed (5xx, overload) is charged to a [retry budget](FailoverLayer::retry_budget).
//! When nothing is left to try, the caller gets the last answer of a provider, or else the error of the inner service,
//! or else the refusal with the shortest wait. If all targets were passed over, the call is refused with
//! [`NoTarget`](crate::Rejection::NoTarget); so it is if providers refused the keys of the routes, because what they
//! say of those is not for the caller. An answer that is kept while others are tried is cut off after 64 KiB or a second,
//! as [`ResponseBody`](crate::ResponseBody) says.
//!
//! # What is passed over
//! - A target that was told to wait.
//! - A target whose [breaker](BreakerOptions) is open, while there are others.
//! - An account whose money or quota is used up, until the time that the provider names, or for an
//!   [hour](FailoverLayer::park_for).
//! - For a minute, whatever uses a key that was refused: with a 401 the whole account, with a 403 that target alone. A 403
//!   that speaks of something else than the key is the call's own: nothing is passed over because of it.
//!
//! What is parked is used again before that if an operator [says so](FailoverLayer::unpark), who has topped the account
//! up or put the key right.
//!
//! What is said of a key that is the caller's own holds for that call alone. No target is tried twice in a round. Which
//! targets were passed over and why, and which one served, is in the response's extensions, as
//! [`Attempts`](crate::retry::Attempts).
//!
//! # What is rewritten
//! The URL, `Host`, the model in the body or path, `Content-Length`, and every credential: those of the caller are
//! removed, and the target's are put in. What counts as a credential is decided by its name: headers and parameters
//! that speak of a key, a token, a secret, a cookie, an organization and the like, and any header in which a provider
//! of the routes takes its keys; in doubt, it is removed. `Idempotency-Key` stays. The caller's credentials stay only
//! if a provider has no key of its own and the call came for exactly its address. All other headers are the same on
//! each attempt. Limits, budgets and prices follow the target: the tags `provider`, `model` and `api_key` are its own.
//!
//! The API stays the same: a call in OpenAI's chat API goes to targets that have OpenAI's chat API. Nothing is
//! translated. Most providers offer it: give their base URL for that API.
//!
//! # What it does not do
//! It looks at no response body beyond errors and the beginning of streams: what breaks off later is the caller's to
//! repeat. Breakers and parked accounts are known to this process alone.
//!
//! # Cancel safety
//! As for [`retry`](crate::retry).

mod ahead;
mod breaker;
mod caller_key;
mod candidate;
mod event;
mod give_up;
mod health;
mod key;
mod layer;
mod learn;
mod order;
mod outcome;
mod provider;
mod rewrite;
mod rotation;
mod route;
mod run;
mod service;
mod trigger;

pub use breaker::BreakerOptions;
pub use event::FailoverEvent;
pub use key::ApiKey;
pub use layer::FailoverLayer;
pub use provider::{Auth, Pool, Provider};
pub use route::{Route, RouteError, Routes, Target};
pub use service::Failover;
pub use trigger::Trigger;
#[cfg(feature = "gateway")]
pub(crate) use {key::shows, rewrite::hide};
pub(crate) use {run::Run, service::Settings};
