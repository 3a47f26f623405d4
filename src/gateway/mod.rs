//! A reverse proxy with this crate's layers in it, for programs in any language.
//!
//! Point `OPENAI_BASE_URL` (or its like) at it and nothing else: calls are held back, repeated and refused
//! as the configuration says. Streams pass chunk by chunk.
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
//! Calls for models that have a [route](crate::config::FailoverConfig) go to its targets, with their keys and none of the
//! caller's. All others go to an upstream: the one whose name their path begins with (`/mistral/v1/chat/completions`), else
//! the one whose API they speak (`/v1/messages` to `anthropic`, `/v1beta/…` to `gemini`, `/v1/…` to `openai`), else the one
//! that is for everything. Where there is none they are answered 404. An upstream with a key gets that and none of the
//! caller's credentials.
//!
//! `tower-quota serve --config quota.yaml` is this and [`bind`] and three signals: SIGHUP has it [read its configuration
//! again](crate::config::Stack::reload), whole or not at all, and its certificate, keys and webhooks with it.
//!
//! # Who calls
//!
//! Where [`GatewayConfig::state`] names a file, callers need a [`Key`]: a token that they show where their SDK shows the
//! provider's key, in `Authorization`, `x-api-key`, `api-key`, `x-goog-api-key` or the query's `key`; or in `x-quota-key`,
//! beside credentials of their own for an upstream without a key. It never goes on. The file has the hashes of tokens, not the
//! tokens. A key says which tags a call has and which its holder may claim; what may not be claimed is refused, with 403 in
//! the error shape of the caller's API, as a key that is unknown, disabled or expired is with 401. Calls have the key's name
//! as the tag `key`: limits on it are limits of keys. Without a file, [`bind`] takes loopback addresses only, and requests
//! that name another host, or come of another site's page in a browser of this machine, are refused.
//!
//! # What callers can say
//!
//! | header | meaning |
//! |---|---|
//! | `x-quota-agent`, `x-quota-user`, `x-quota-team`, `x-quota-run` | the call's [tags](crate::Tags) |
//! | `x-quota-priority` | how urgent it is: a whole number, 0 if absent |
//! | `x-quota-deadline` | how long it may wait for room, `30s`, or until when, `2026-11-26T12:00:00Z` |
//!
//! They are read and not sent on. Another header that begins with `x-quota-`, or one of these with a value
//! that makes no sense, is answered 400: a misspelt tag would silently be a limit less. Callers that say how long they wait
//! themselves, as the official SDKs do (`x-stainless-read-timeout`), wait no longer than nine tenths of that: they hear why,
//! and do not hang up and come again.
//!
//! # What answers tell
//!
//! | header | meaning |
//! |---|---|
//! | `x-quota-call` | the call's number, by which [operators](admin) know it |
//! | `x-quota-provider`, `x-quota-model` | who served it |
//! | `x-quota-attempts` | how often it was sent |
//! | `x-quota-wait` | how long it waited for room in all, in seconds |
//! | `x-quota-cost` | what the attempt that is answered cost, in dollars, where a budget looks at that; not of streams, whose cost is known when they end |
//! | `x-quota-remaining` | of each quantity that limits and budgets for this caller and target count, what is left under the one that has least of it, in dollars where it is `cost`: `requests=41, tokens=90000, cost=4.98`; by the amounts that are given, of which an adaptive limit may let through less, and as far as this process knows it, so the next call may be refused all the same. Not of refusals: they name the limit |
//!
//! A stream that waits for room longer than [`GatewayConfig::heartbeat`] is answered 200 and has comments until it begins, so
//! that nobody takes it for dead; a refusal is its last event then.
//!
//! `GET /healthz` is answered `ok`, whatever the upstream does, `GET /readyz` 503 where the store of counts does not answer.
//! `GET /metrics` has [metrics](crate::metrics) for Prometheus; with the feature `otlp`, and where the environment names an
//! endpoint (`OTEL_EXPORTER_OTLP_ENDPOINT`), `tower-quota serve` pushes them as well.
//! What somebody should know who looks at neither goes to the webhooks of [`GatewayConfig::alerts`], from
//! [`serve`](Gateway::serve) on; see [`alerts`](crate::alerts).
//! What operators see and do is under [`/quota/`](admin); programs that cannot be proxied [claim and settle](claims) there.
//!
//! # What it changes
//!
//! The authority, the headers that concern one connection only (both ways), `Host`, `Expect`, credentials, and what the
//! layers change: `accept-encoding: identity` where usage is read from the answer. Answers in JSON of up to a megabyte are
//! sent on when they are whole, all others as they come. Neither `Via` nor `Forwarded` is added. Where nobody answers, the
//! caller gets a 502 in the error shape of its API; with `x-should-retry: false` where it repeats calls itself, as the
//! official SDKs do, and the layers have repeated this one.
//!
//! # What it refuses
//!
//! - Paths that an upstream may read as one that is metered, and that are none as they stand: `/v1/chat/completions/`,
//!   `/v1/chat/%63ompletions`.
//! - Work whose cost cannot be known, as images, audio and batches, where there are budgets: see [`Unmetered`].
//! - Bodies of more than 32 MB, where they would be metered, and those that come more slowly than 10 KB a second after half a
//!   minute; more than 100 headers, or headers of more than 64 KB.
//!
//! # What it does not do
//!
//! No WebSockets, no HTTP/2 towards callers, no log of calls. Through a proxy (`HTTPS_PROXY`) it goes to `https` alone.
//! Requests are read into memory before they are sent, as the layers need. Keys are its own: several gateways on one store
//! share counts, pauses and changed limits, not keys.
//!
//! To the upstream it speaks HTTP/1.1, a connection for every call in flight: with streams sharing a
//! connection, calls would wait for one another inside the client, where no limit sees them.

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
mod headers;
mod heartbeat;
mod incoming;
mod local;
mod minutes;
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

pub use alerts::{FormName, KindName, WebhookConfig};
pub use config::{Config, GatewayConfig, MetricsConfig};
pub use running::{Gateway, GatewayError, Renewed};
pub use server::{BindError, bind};
pub use state::{
    State, StateError, StateFileError,
    keys::{BadKey, Claimable, Key, KeyState, NewKey, NoChance, Role},
};
pub use tls::{TlsConfig, TlsError};
pub use upstreams::{BadUpstream, Unmetered, Upstream, UpstreamConfig, UpstreamError};
