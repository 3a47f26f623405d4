//! Metrics: by OpenTelemetry, read as Prometheus text or pushed by OTLP.
//!
//! [`Metrics`] is an [`Observer`](crate::event::Observer) with a set of instruments. What OpenTelemetry has a name for has
//! that name, the rest begins with `tower_quota.`; in Prometheus dots are underscores and units and `_total` are added.
//!
//! | instrument | what it is | labels of its own |
//! |---|---|---|
//! | `gen_ai.client.operation.duration` | seconds from an attempt's leaving to the end of its answer | `error.type`, `gen_ai.response.model` |
//! | `gen_ai.client.operation.time_to_first_chunk` | the same to the first output, of streams | |
//! | `gen_ai.client.token.usage` | input and output tokens of an attempt, where the provider says them | `gen_ai.token.type`, `gen_ai.response.model` |
//! | `tower_quota.calls` | calls by what came of them: `ok`, `error`, `refused`, `failed`, `given_up` | `tower_quota.outcome`, `.kind` |
//! | `tower_quota.calls.active` | calls that are not over | |
//! | `tower_quota.call.duration` | seconds from a call's coming to its end, waits and repeats included | `tower_quota.outcome` |
//! | `tower_quota.attempts` | attempts that left | `http.response.status_code`, `error.type` |
//! | `tower_quota.tokens` | tokens, estimated ones too; `cache_read`, `cache_write` and `reasoning` are parts of the others | `tower_quota.kind` |
//! | `tower_quota.cost.usd` | US dollars, by the prices of the budget layer | |
//! | `tower_quota.refusals` | attempts and calls that were refused here | `tower_quota.kind`, `.limit` |
//! | `tower_quota.waiting` | calls that wait for room | |
//! | `tower_quota.wait.duration` | seconds that calls waited | `tower_quota.limit`, `.has_room` |
//! | `tower_quota.retries`, `.failovers` | repeats; targets that a call went on from | `tower_quota.cause` |
//! | `tower_quota.cooldowns`, `.cooldown.remaining` | waits that providers told; seconds that are left of them | |
//! | `tower_quota.breaker.open`, `.parked` | 1 for a target of a route that is passed over | |
//! | `tower_quota.limit.used`, `.reserved`, `.amount`, `.utilization` | how limits stand | `tower_quota.limit`, `.quantity` |
//! | `tower_quota.budget.spent.usd`, `.reserved.usd`, `.amount.usd`, `.utilization` | how budgets stand | `tower_quota.limit` |
//! | `tower_quota.budget.events` | thresholds that were passed, circuits, changes by hand | `tower_quota.change` |
//! | `tower_quota.alerts` | of the gateway: alerts at webhooks, `delivered`, sent `again`, `failed` and `dropped` | `tower_quota.outcome`, `.kind` |
//! | `tower_quota.store.errors` | questions that no store answered | `tower_quota.asked` |
//! | `tower_quota.store.unfinished` | settlements that have no runtime to do them | |
//!
//! # Labels
//! Provider and model are labels (`gen_ai.provider.name`, `gen_ai.request.model`), and of the caller's tags those that
//! [`Builder::tags`] names: none by default. `run` never is one. Each label has [so many values](Builder::max_values) at most,
//! whoever invents them; what comes later is `other`. Limits are named as they were given. Of one that is split by tags
//! which are no labels, the fullest count is shown.
//!
//! No key is in any label: the tag `api_key` is none.
//!
//! # What it does not do
//! Figures of money are floats here, as metrics are. Bills are made of [`Statistics`](crate::Statistics) or the ledger.
//! They are of this process: the next one begins at zero, as readers of counters expect.
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
    /// Without labels of callers; as a program that has no name of its own.
    pub fn new() -> Self {
        Builder::new().build()
    }

    /// With other labels, or bounds.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Has these layers tell everything that becomes of their calls and targets, and this limiter how its limits stand.
    pub fn attach(&self, layer: RateLimitLayer, limiter: &Limiter) -> RateLimitLayer {
        self.watch(limiter);
        let metrics = self.clone();
        layer
            .observe(self.clone())
            .on_failover(move |event| metrics.target_changed(event))
    }

    /// Shows how the limits of this one stand as well. Of two that count in one store one is to be named. It is told of
    /// budgets from now on: who is to hear what happened before should [listen](Limiter::on_event) first.
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

    /// Something happened to a target: for a [`FailoverLayer`](crate::FailoverLayer) of one's own.
    pub fn target_changed(&self, event: &FailoverEvent) {
        self.shared.targets.changed(event);
    }

    /// How the targets are of which something was told: those that were never left alone are not among them. A thousand
    /// at most.
    #[must_use]
    pub fn targets(&self) -> Vec<TargetStanding> {
        self.shared.targets.standings()
    }
}

#[cfg(feature = "gateway")]
impl Metrics {
    /// A call was refused by the gateway itself, for this kind of reason.
    pub(crate) fn refused(&self, kind: &'static str) {
        let kind = opentelemetry::KeyValue::new("tower_quota.kind", kind);
        self.shared.instruments.refusals.add(1, &[kind]);
    }

    /// Something became of an alert of this kind.
    pub(crate) fn alert_told(&self, kind: &'static str, outcome: &'static str) {
        let labels = [
            opentelemetry::KeyValue::new("tower_quota.kind", kind),
            opentelemetry::KeyValue::new("tower_quota.outcome", outcome),
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
