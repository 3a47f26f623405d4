//! Sends a call to the first target of its route that can serve it: another model, provider or API key where one is out of
//! room, out of money or unwell.
//!
//! A [target](Target) is a model of a [provider](Provider) with one of its keys; a [route](Route) is the list of targets
//! for a model name. Calls for models without a route, calls whose body was too long to read, and calls that are signed
//! as they are (AWS) go on as they came, or are [refused](FailoverLayer::routed_only).
//!
//! # When a call goes on to the next target
//! See [`Trigger`]; each can be switched. A refusal of our own is one only where the limit that refused looks at the
//! target, or it is a budget: another target may have room, or cost less. A told wait is not waited for while there are
//! other targets, but for [`FailoverLayer::patience`]. Nothing is sent elsewhere once a part of an answer was handed on.
//!
//! When every target was tried, the call waits for the one that has room first, or was told the shortest wait, as long as
//! it may, and for a told wait no longer than [`FailoverLayer::longest_wait`]. One target is asked three times at most. To
//! come back to one that failed (5xx, overload) costs of a [retry budget](FailoverLayer::retry_budget). When there
//! is none, the last answer of a provider is handed on, else the error of the inner service, else the
//! refusal with the shortest wait. Where all were passed over, it is refused with
//! [`NoTarget`](crate::Rejection::NoTarget); and where they refused our own keys: what a provider says of those is not for
//! the caller.
//!
//! # What is passed over
//! A target that was told to wait; one whose [breaker](BreakerOptions) is open, while there are others; an account whose
//! money or quota is used up, until the time that the provider names, or for an [hour](FailoverLayer::park_for); one whose
//! key was refused, for a minute: by a 401 the account, by a 403 that target alone. What is said of a key that is the
//! caller's own holds for that call alone. No target is tried twice in a round. Which ones and why, and who served, is in the
//! response's extensions, as [`Attempts`](crate::retry::Attempts).
//!
//! # What is rewritten
//! URL, `Host`, the model in body or path, `Content-Length`, and every credential: those of the caller are taken off, the
//! target's are put in. What a credential is goes by its name: headers and parameters that speak of a key, a token, a
//! secret, a cookie, an organization and the like, and whatever header a provider of the routes takes its keys in; rather
//! one too many. `Idempotency-Key` stays. Only where a provider has no key of its own, and the call came for its very
//! address, all of them do. All other headers are the same on each attempt. Limits, budgets and prices follow the target: the tags `provider`,
//! `model` and `api_key` are its own.
//!
//! The API stays: a call in OpenAI's chat goes to targets that have OpenAI's chat. Nothing is translated. Most providers
//! offer it: give their base URL for that.
//!
//! # What it does not do
//! It looks at no body of an answer beyond errors and the beginning of streams: what breaks off later is the caller's to
//! repeat. Breakers and parked accounts are known to this process alone.
//!
//! # Cancel safety
//! As [`retry`](crate::retry).

mod breaker;
mod candidate;
mod event;
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
#[cfg(feature = "gateway")]
pub(crate) use rewrite::hide;
pub use route::{Route, RouteError, Routes, Target};
pub use service::Failover;
pub use trigger::Trigger;
pub(crate) use {run::Run, service::Settings};
