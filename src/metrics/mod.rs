//! Metrics, made with OpenTelemetry, and read as Prometheus text or pushed by OTLP.
//!
//! [`Metrics`] is an [`Observer`](crate::event::Observer) with a set of instruments. An instrument has OpenTelemetry's
//! name if there is one; the names of all others begin with `tower_quota.`. In Prometheus, dots are underscores, and
//! units and `_total` are added.
//!
//! | instrument | what it is | labels of its own |
//! |---|---|---|
//! | `gen_ai.client.operation.duration` | seconds from when an attempt leaves to the end of its answer | `error.type`, `gen_ai.response.model` |
//! | `gen_ai.client.operation.time_to_first_chunk` | seconds from when an attempt leaves to the first output, for streams | |
//! | `gen_ai.client.token.usage` | input and output tokens of an attempt, if the provider reports them | `gen_ai.token.type`, `gen_ai.response.model` |
//! | `tower_quota.calls` | calls by their outcome: `ok`, `error`, `refused`, `failed`, `given_up` | `tower_quota.outcome`, `.kind` |
//! | `tower_quota.calls.active` | calls that are not over | |
//! | `tower_quota.call.duration` | seconds from when a call comes in to its end, waits and repeats included | `tower_quota.outcome` |
//! | `tower_quota.attempts` | attempts that left | `http.response.status_code`, `error.type` |
//! | `tower_quota.tokens` | tokens, including estimated ones; `cache_read`, `cache_write` and `reasoning` are parts of the others | `tower_quota.kind` |
//! | `tower_quota.cost.usd` | US dollars, by the prices of the budget layer | |
//! | `tower_quota.refusals` | attempts and calls that were refused here | `tower_quota.kind`, `.limit` |
//! | `tower_quota.waiting` | calls that wait for room | |
//! | `tower_quota.wait.duration` | seconds that calls waited | `tower_quota.limit`, `.has_room` |
//! | `tower_quota.retries`, `.failovers` | repeats; targets that a call moved on from | `tower_quota.cause` |
//! | `tower_quota.cooldowns`, `.cooldown.remaining` | waits that providers asked for; seconds that are left of them | |
//! | `tower_quota.breaker.open`, `.parked` | 1 for a target of a route that is passed over | |
//! | `tower_quota.limit.used`, `.reserved`, `.amount`, `.utilization` | the state of limits | `tower_quota.limit`, `.quantity` |
//! | `tower_quota.budget.spent.usd`, `.reserved.usd`, `.amount.usd`, `.utilization` | the state of budgets | `tower_quota.limit` |
//! | `tower_quota.budget.events` | thresholds that were passed, circuits that opened or were reset, changes by hand | `tower_quota.change` |
//! | `tower_quota.alerts` | in the gateway: what became of alerts at webhooks: `delivered`, sent `again`, `failed` or `dropped` | `tower_quota.outcome`, `.kind` |
//! | `tower_quota.store.errors` | questions that a store did not answer | `tower_quota.asked` |
//! | `tower_quota.store.unfinished` | settlements for which there is no runtime to carry them out | |
//!
//! # Labels
//! Provider and model are labels (`gen_ai.provider.name`, `gen_ai.request.model`), and so are those of the caller's
//! tags that [`Builder::tags`] names: none by default; `gen_ai.operation.name` is one of calls and attempts. What is of a
//! call as a whole has no provider and model: `calls.active`, `call.duration`, `waiting`, `wait.duration`; nor have
//! budgets' events. What is of a target has no tags of callers: `retries`, `failovers`, `cooldowns` and
//! `time_to_first_chunk`. Budgets also have `tower_quota.quantity`. The tag `agent` is the label `tower_quota.agent`. A tag whose label
//! would be one of those above, or `tower_quota.others`, has another one: `kind` is `tower_quota.tag.kind`. `run` is
//! never a label. Each label has at most [so many values](Builder::max_values), whoever makes them up; further values
//! become `other`, and so do those that only calls have had of which nothing left: refused ones, for example. Limits are
//! named as they were given. If a limit is split by tags that are not labels, its fullest count is shown.
//!
//! No label contains a key: the tag `api_key` cannot be a label.
//!
//! # What it does not do
//! Money is a float here, as all metrics are; for bills, use [`Statistics`](crate::Statistics) or the ledger. All
//! figures are those of this process: the next process begins at zero, as readers of counters expect.
//!
//! ```
//! use std::{convert::Infallible, time::Duration};
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::{BodyExt as _, Full};
//! use tower::{ServiceBuilder, ServiceExt as _, service_fn};
//! use tower_quota::{Limiter, RateLimitLayer, limit::{Limit, Limits}, metrics::Metrics};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let limiter = Limiter::new(Limits::new([Limit::requests(500).every(Duration::from_secs(60))])?);
//! let metrics = Metrics::new();
//! let layer = metrics.attach(RateLimitLayer::new(limiter.clone()), &limiter);
//! # let client = service_fn(|_: Request<Full<Bytes>>| async {
//! #     let body = r#"{"choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 200}}"#;
//! #     let answer = Response::builder().header("content-type", "application/json");
//! #     Ok::<_, Infallible>(answer.body(Full::<Bytes>::from(body)).unwrap())
//! # });
//! let client = ServiceBuilder::new().layer(layer).service(client);
//! let request = Request::post("https://api.openai.com/v1/chat/completions")
//!     .body(Full::from(r#"{"model": "gpt-4o", "max_tokens": 500, "messages": []}"#))?;
//! client.oneshot(request).await?.into_body().collect().await?;
//!
//! // For `GET /metrics`, with the content type `Metrics::CONTENT_TYPE`.
//! let text = metrics.render().await;
//! assert!(text.contains(r#"tower_quota_limit_used{tower_quota_limit="requests 500/min",tower_quota_quantity="requests"} 1"#));
//! assert!(text.lines().any(|line| line.starts_with("tower_quota_cost_usd_total{") && line.ends_with(" 0.0045")), "{text}");
//! # Ok(())
//! # }
//! ```

mod bound;
mod build;
mod gather;
mod gauges;
mod instruments;
mod labels;
mod names;
mod observe;
#[cfg(feature = "otlp")]
pub mod otlp;
mod render;
mod series;
mod targets;

use std::{fmt, sync::Arc};

use opentelemetry_sdk::metrics::SdkMeterProvider;
use parking_lot::Mutex;

pub use build::Builder;
pub use targets::TargetStanding;

use self::{
    bound::Bound, gauges::Gauges, instruments::Instruments, labels::Labels, targets::Targets,
};
use crate::{failover::FailoverEvent, limiter::Limiter, rate_limit::RateLimitLayer};

/// A set of instruments; see the [module](self).
///
/// Cheap to clone: clones share everything.
#[derive(Clone)]
#[must_use]
pub struct Metrics {
    shared: Arc<Shared>,
}

struct Shared {
    /// Kept, because instruments end with it.
    _provider: SdkMeterProvider,
    #[cfg(feature = "otlp")]
    reader: Arc<opentelemetry_prometheus::PrometheusExporter>,
    registry: prometheus::Registry,
    instruments: Instruments,
    bound: Bound,
    labels: Labels,
    gauges: Gauges,
    targets: Targets,
    limiters: Mutex<Vec<Limiter>>,
}

impl Metrics {
    /// Metrics without labels of callers, of a program without a name of its own.
    pub fn new() -> Self {
        Builder::new().build()
    }

    /// For other labels or bounds.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Makes these layers report everything that becomes of their calls and targets, and this limiter the state of its
    /// limits.
    pub fn attach(&self, layer: RateLimitLayer, limiter: &Limiter) -> RateLimitLayer {
        self.watch(limiter);
        let metrics = self.clone();
        layer
            .observe(self.clone())
            .on_failover(move |event| metrics.target_changed(event))
    }

    /// Also shows the state of this limiter's limits. Of two limiters that count in one store, give only one. It hears
    /// of budgets from now on, and of earlier events that no listener has heard: if another listener is to hear those,
    /// it has to [listen](Limiter::on_event) first.
    pub fn watch(&self, limiter: &Limiter) {
        self.shared.limiters.lock().push(limiter.clone());
        // The limiter keeps its listeners, and is kept here.
        let shared = Arc::downgrade(&self.shared);
        limiter.on_event(move |event| {
            if let Some(shared) = shared.upgrade() {
                shared.budget_changed(event);
            }
        });
    }

    /// Reports what happened to a target: for a [`FailoverLayer`](crate::FailoverLayer) that you set up yourself.
    pub fn target_changed(&self, event: &FailoverEvent) {
        self.shared.targets.changed(event);
    }

    /// The state of the targets that something was reported of, which leaves out those that were never passed over. At
    /// most a thousand, besides those of routes.
    #[must_use]
    pub fn targets(&self) -> Vec<TargetStanding> {
        self.shared.targets.standings()
    }
}

#[cfg(feature = "gateway")]
impl Metrics {
    /// A call was refused by the gateway itself, for this kind of reason.
    pub(crate) fn refused(&self, kind: &'static str) {
        let kind = opentelemetry::KeyValue::new(names::KIND, kind);
        self.shared.instruments.refusals.add(1, &[kind]);
    }

    /// Something became of an alert of this kind.
    pub(crate) fn alert_told(&self, kind: &'static str, outcome: &'static str) {
        let labels = [
            opentelemetry::KeyValue::new(names::KIND, kind),
            opentelemetry::KeyValue::new(names::OUTCOME, outcome),
        ];
        self.shared.instruments.alerts.add(1, &labels);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
