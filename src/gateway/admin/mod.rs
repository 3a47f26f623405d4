//! What operators can see and do while the gateway runs, under `/quota/`.
//!
//! | path | does | role |
//! |---|---|---|
//! | `GET /quota/` | the dashboard: a page that shows all this | anybody; for what it shows, viewer |
//! | `GET /quota/status` | limits, budgets, queues, pauses and calls at a glance | viewer |
//! | `GET /quota/costs?unit=day&by=model&last=7` | what was used and what it cost since the start, by hour, day, week or month, in UTC | viewer |
//! | `GET /quota/minutes?by=model` | the last two hours, minute by minute, by model, agent or team | viewer |
//! | `GET /quota/targets` | breakers, waits that providers asked for, and parked keys | viewer |
//! | `POST /quota/targets/unpark` | uses parked targets and their accounts again | admin |
//! | `GET /metrics` | [metrics](crate::metrics) for Prometheus | viewer |
//! | `GET /quota/keys` | the keys, without their tokens | admin |
//! | `POST /quota/keys` | makes a key; only this answer has its token | admin |
//! | `POST /quota/keys/{name}/disable`, `/enable` | disables a key, enables it again | admin |
//! | `DELETE /quota/keys/{name}` | deletes a key | admin |
//! | `GET /quota/budgets` | the state of every budget | viewer |
//! | `POST /quota/spend/correct` | corrects what is spent | admin |
//! | `POST /quota/circuits/reset` | closes circuits that are open | admin |
//! | `GET /quota/limits` | the limits that hold now, in words | viewer |
//! | `POST /quota/limits/amount` | changes the amount of a limit or a budget | admin |
//! | `GET /quota/pauses` | whose calls are refused | viewer |
//! | `POST /quota/pauses` | refuses calls with some tags: an agent, a run, a key | admin |
//! | `POST /quota/pauses/end` | accepts them again | admin |
//! | `GET /quota/calls` | the open calls, and what they wait for: the oldest 1 000 | viewer |
//! | `GET /quota/calls/{id}` | what has become of a call that is open or has ended recently | viewer |
//! | `POST /quota/calls/{id}/cancel` | ends an open call | admin |
//! | `GET /quota/refusals` | the latest refusals, and why; with `?tag=team=blue`, those of calls with this tag | viewer |
//! | `GET /quota/audit` | what was changed by hand, by whom, and why | viewer |
//!
//! A viewer whose key has tags sees only what has those tags: limits and budgets that are split by them or are for them
//! alone, and calls and costs. It is refused what cannot be split by tags: targets, metrics and the audit log.
//!
//! A call's number is in the header `x-quota-call` of its answer. [`Story`](crate::recent::Story) describes the answer
//! about a call, [`Refusal`](crate::recent::Refusal) that about a refusal.
//!
//! Bodies and answers are JSON, and errors are problem documents (RFC 9457). Every change is in the audit log under the
//! name of the key that made it. What was changed in the file of keys itself is noted when the gateway reads that
//! again, which it also does before each change of a key. Changed limits and pauses outlast a reload. If the store outlives the process, they
//! also outlast a restart, until the configuration says something else about that limit.

mod audit;
mod budgets;
mod calls;
mod client;
mod costs;
mod keys;
mod limits;
mod metrics;
mod pauses;
mod problem;
mod queues;
mod recent;
mod rights;
mod scope;
mod status;
mod targets;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::map_request,
    routing::{delete, get, post},
};

pub use client::{AdminClient, AdminError};

use super::{calls::Calls, dashboard, incoming::Incoming, minutes::Minutes, state::State};
use crate::{
    limiter::Limiter, metrics::Metrics, rate_limit::RateLimitLayer, recent::Recent,
    statistics::Statistics,
};

/// Nothing that is said to it is longer.
const BODY_CAP: usize = 64 << 10;

/// What is operated.
#[derive(Clone, Debug)]
pub(super) struct Operated {
    pub(super) state: Option<State>,
    pub(super) limiter: Limiter,
    /// For its targets.
    pub(super) layer: RateLimitLayer,
    pub(super) calls: Calls,
    pub(super) metrics: Metrics,
    pub(super) statistics: Statistics,
    /// When it began to record, in seconds since 1970.
    pub(super) since: f64,
    pub(super) minutes: Minutes,
    pub(super) recent: Recent,
}

pub(super) fn router(operated: Operated) -> Router {
    Router::new()
        .route("/quota/status", get(status::status))
        .route("/metrics", get(metrics::metrics))
        .route("/quota/keys", get(keys::list).post(keys::make))
        .route("/quota/keys/{name}", delete(keys::delete))
        .route("/quota/keys/{name}/disable", post(keys::disable))
        .route("/quota/keys/{name}/enable", post(keys::enable))
        .route("/quota/budgets", get(budgets::list))
        .route("/quota/spend/correct", post(budgets::correct))
        .route("/quota/circuits/reset", post(budgets::reset))
        .route("/quota/limits", get(limits::list))
        .route("/quota/limits/amount", post(limits::amount))
        .route("/quota/pauses", get(pauses::list).post(pauses::begin))
        .route("/quota/pauses/end", post(pauses::end))
        .route("/quota/calls", get(calls::list))
        .route("/quota/calls/{id}", get(recent::call))
        .route("/quota/calls/{id}/cancel", post(calls::cancel))
        .route("/quota/costs", get(costs::costs))
        .route("/quota/minutes", get(costs::minutes))
        .route("/quota/targets", get(targets::list))
        .route("/quota/targets/unpark", post(targets::unpark))
        .route("/quota/refusals", get(recent::refusals))
        .route("/quota/audit", get(audit::list))
        .merge(dashboard::router())
        .route("/quota/{*rest}", axum::routing::any(problem::unknown))
        .layer(DefaultBodyLimit::max(BODY_CAP))
        .layer(map_request(Incoming::of))
        .with_state(Arc::new(operated))
}
