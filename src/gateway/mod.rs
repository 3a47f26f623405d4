//! A reverse proxy with this crate's layers in it, for programs in any language.
//!
//! Point `OPENAI_BASE_URL` (or its like) at it and nothing else: calls are held back, repeated and refused
//! as the configuration says, and everything that the upstream offers is passed through. Streams pass chunk
//! by chunk.
//!
//! ```
//! use tower_quota::gateway::{Config, Gateway};
//!
//! let config = Config::from_yaml("
//! rate_limiting:
//!   providers: { openai: { gpt-4o: { rpm: 500, tpm: 150000 } } }
//! gateway:
//!   upstream: https://api.openai.com
//! ")?;
//! let stack = config.rate_limiting.build()?;
//! let gateway = Gateway::new(&stack.layer, &stack.limiter, &config.gateway)?;
//! let router: axum::Router = gateway.router();
//! # let _ = router;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Calls for a model that has a [route](crate::config::FailoverConfig) go to its targets, with their keys and none of the
//! caller's, wherever the upstream is. All others go to the upstream, with the caller's own; without an upstream they are
//! answered 404, with the models that have a route.
//!
//! `tower-quota serve --config quota.yaml` is this and [`bind`], [`serve`] and three signals: SIGHUP
//! has it [read its configuration again](crate::config::Stack::reload), whole or not at all.
//!
//! # What callers can say
//!
//! | header | meaning |
//! |---|---|
//! | `x-quota-agent`, `x-quota-user`, `x-quota-team`, `x-quota-run` | the call's [tags](crate::Tags) |
//! | `x-quota-priority` | how urgent it is: a whole number, 0 if absent |
//!
//! They are read and not sent on. Another header that begins with `x-quota-`, or one of these with a value
//! that makes no sense, is answered 400: a misspelt tag would silently be a limit less.
//!
//! `GET /healthz` is answered `ok`, whatever the upstream does.
//!
//! # What it changes
//!
//! The authority, the headers that concern one connection only (both ways), `Host`, `Expect`, and what the
//! layers change: `accept-encoding: identity` where usage is read from the answer. To the upstream `Authorization` passes
//! untouched, to targets of routes only their own; neither `Via` nor `Forwarded` is added. Where nobody answers, the
//! caller gets a 502 in the error shape of its API; with `x-should-retry: false` where it repeats calls itself, as the
//! official SDKs do, and the layers have repeated this one.
//!
//! # What it does not do
//!
//! It is thin. It gives callers no keys and so has no way to tell callers apart: who can reach it can say any
//! tag. Therefore [`bind`] takes loopback addresses only. It has one upstream beside its routes, no TLS towards callers, no
//! WebSockets, no dashboard, no metrics, no log of calls, and its counts end with the process. It goes
//! through no other proxy and trusts the certificate authorities that browsers trust, no others. Requests
//! are read into memory before they are sent, as the layers need; answers are not.
//!
//! To the upstream it speaks HTTP/1.1, a connection for every call in flight: with streams sharing a
//! connection, calls would wait for one another inside the client, where no limit sees them.

pub mod admin;
mod calls;
pub mod claims;
mod client;
mod config;
mod connector;
mod headers;
mod heartbeat;
mod incoming;
mod models;
mod path;
mod prepare;
mod proxy;
mod refusal;
mod running;
mod server;
mod state;
mod tags;
mod tls;
mod told;
mod unmetered;
mod upstreams;

pub use config::{Config, GatewayConfig};
pub use running::{Gateway, GatewayError};
pub use server::{BindError, bind};
pub use state::{
    State, StateError, StateFileError,
    keys::{BadKey, Claimable, Key, KeyState, NewKey, NoChance, Role},
};
pub use tls::{TlsConfig, TlsError};
pub use upstreams::{BadUpstream, Unmetered, Upstream, UpstreamConfig, UpstreamError};
