//! A reverse proxy with this crate's layers in it, for programs in any language.
//!
//! Point `OPENAI_BASE_URL` (or its equivalent) at it; nothing else has to change. Calls are held back, repeated and
//! refused as the configuration says. Streams pass through chunk by chunk.
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
//! Calls for models that have a [route](crate::config::FailoverConfig) go to the route's targets, with the targets'
//! keys and none of the caller's. All other calls go to an upstream: the one whose name their path begins with
//! (`/mistral/v1/chat/completions`), else the one whose API they speak (`/v1/messages` to `anthropic`, `/v1beta/…` to
//! `gemini`, `/v2/…` to `cohere`, `/v1/…` to `openai`), else the default one. If there is none, they are answered 404.
//! An upstream that has a key is sent that key and none of the caller's credentials.
//!
//! `tower-quota serve --config quota.yaml` is this, [`bind`] and three signals. On SIGHUP it [reads its configuration
//! again](crate::config::Stack::reload), with its webhooks, and applies all of it or nothing. The certificate and the callers' keys are read again
//! either way. If the file of keys is gone, that is said, its keys stay in force, and all else is applied.
//!
//! # Who calls
//!
//! If [`GatewayConfig::state`] names a file, callers need a [`Key`]: a token that they show where their SDK shows the
//! provider's key, in `Authorization`, `x-api-key`, `api-key`, `x-goog-api-key` or the query's `key`. Callers with
//! credentials of their own, for an upstream without a key, show the token in `x-quota-key` beside them. Tokens are
//! never sent on, and the file has only their hashes. A key says which tags a call has and which tags its holder may
//! set. A call that sets a tag it may not set is refused with 403, and one whose key is unknown, disabled or expired
//! with 401, both in the error shape of the caller's API. Calls have the key's name as the tag `key`, so limits on that
//! tag are limits of keys. Without a file, [`bind`] takes loopback addresses only, and the gateway refuses requests
//! that name another host, or that come from another site's page in a browser on this machine.
//!
//! # Headers
//!
//! [The guide](crate::guide::headers) lists what callers can say in headers, and what answers tell in them.
//!
//! `GET /healthz` is answered `ok`, whatever the upstream does; `GET /readyz` is answered 503 if the store of counts
//! does not answer, or cannot write what it grants. `GET /metrics` has [metrics](crate::metrics) for Prometheus; with
//! the feature `otlp`, and if the environment names an endpoint (`OTEL_EXPORTER_OTLP_ENDPOINT`), `tower-quota serve`
//! pushes them as well. What somebody should know who looks at neither is sent to the webhooks of
//! [`GatewayConfig::alerts`] once [`serve`](Gateway::serve) runs; see [`alerts`](crate::alerts). What operators can see
//! and do is under [`/quota/`](admin). Programs that cannot be proxied [claim and settle](claims) there too.
//!
//! # What it changes
//!
//! It changes the authority, the headers that concern one connection only (in both directions), `Host`, `Expect`,
//! credentials, and what the layers change: `accept-encoding: identity` where usage is read from the answer, and where the
//! upstream has a key, which no error may repeat. HTML and XML get a policy by which nothing in them runs. A JSON
//! answer to a call that is metered is sent on when it is complete, if it has at most a megabyte and arrives within a
//! second; all other answers are sent on as they come. Neither `Via` nor `Forwarded` is added. If nobody answers, the
//! caller gets a 502 in the error shape of its API. If both the caller, as the official SDKs do, and the layers repeat
//! calls, that 502 has `x-should-retry: false`.
//!
//! # What it refuses
//!
//! - Paths that are not metered as they are written, but that an upstream may read as one that is:
//!   `/v1/chat/completions/`, `/v1/chat/%63ompletions`; and paths with `..` in them.
//! - What tells an upstream that the call is of another method (`x-http-method-override`), and what would take the usage
//!   out of an answer of Google's (`fields`, `callback`, `alt` other than `json` and `sse`, `x-goog-fieldmask`).
//! - What a browser wants to show as a page, or to run in one: the dashboard is of the same origin.
//! - Work whose cost cannot be known, such as images, audio and batches, if there are budgets: see [`Unmetered`].
//! - WebSockets; and bodies with a `content-encoding`, if they would be metered.
//! - Bodies of more than 32 MB, if they would be metered, and bodies that fall behind 10 KB a second by more than half a
//!   minute; more than 100 headers, or headers of more than 64 KB.
//!
//! # What it does not do
//!
//! No HTTP/2 towards callers, no log of calls. It uses a proxy (`HTTPS_PROXY`) for `https` only.
//! Requests that are metered are read into memory before they are sent, because the layers need that. Keys belong to one gateway:
//! several gateways on one store share counts, pauses and changed limits, but not keys.
//!
//! To upstreams it speaks HTTP/1.1, with one connection for every call in flight: if streams shared a connection, calls
//! would wait for one another inside the client, where no limit sees them.

// They panic where nobody reads, and a call would be cut off.
#![deny(clippy::print_stderr, clippy::print_stdout)]

mod abreast;
pub mod admin;
mod alerts;
mod answers;
mod bodies;
mod calls;
pub mod claims;
mod client;
mod config;
mod connector;
mod dashboard;
mod disguise;
mod found;
mod google_parameters;
mod headers;
mod heartbeat;
mod incoming;
mod key_refused;
mod local;
mod minutes;
mod models;
mod page;
mod path;
mod prepare;
mod proxy;
mod refusal;
mod rest;
mod retention;
mod running;
mod server;
mod state;
mod tags;
mod tls;
mod told;
mod unmetered;
mod upstreams;

pub use alerts::{FormName, KindName, WebhookConfig};
pub use config::{Config, GatewayConfig, MetricsConfig};
pub use retention::RetentionConfig;
pub use running::{Gateway, GatewayError, Renewed};
pub use server::{BindError, bind};
pub use state::{
    State, StateError, StateFileError,
    keys::{BadKey, Claimable, Key, KeyState, NewKey, NoChance, Role},
};
pub use tls::{TlsConfig, TlsError};
pub use upstreams::{BadUpstream, Unmetered, Upstream, UpstreamConfig, UpstreamError};
