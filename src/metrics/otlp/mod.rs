//! Metrics pushed to a collector, by OTLP over HTTP.
//!
//! ```no_run
//! use tower_quota::metrics::{Metrics, otlp::Otlp};
//!
//! # async fn serve() {}
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let metrics = Metrics::new();
//! // To OTEL_EXPORTER_OTLP_ENDPOINT, or to this machine.
//! let otlp = Otlp::new(&metrics)?.on_error(|error| eprintln!("{error}"));
//! let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! let pushing = tokio::spawn(otlp.run(async { drop(stopped.await) }));
//! serve().await;
//! // The last figures go out before it ends.
//! drop(stop);
//! pushing.await?;
//! # Ok(())
//! # }
//! ```

mod client;

use std::{env, fmt, future::Future, pin::pin, sync::Arc, time::Duration};

use opentelemetry_otlp::{MetricExporter, Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::metrics::{
    data::ResourceMetrics, exporter::PushMetricExporter as _, reader::MetricReader as _,
};

use self::client::Client;
use super::Metrics;

/// How often figures are pushed, where nothing is said.
const EVERY: Duration = Duration::from_secs(60);
/// How long a push may take, where nothing is said.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Pushes [`Metrics`] to an OpenTelemetry collector, by OTLP over HTTP with Protocol Buffers.
///
/// Figures are sums since the program began (`cumulative`), so a push that fails loses nothing but time: the next one
/// has everything. Traces are not pushed here: [`Tracing`](crate::event::Tracing) gives them to `tracing`, whose layers
/// can push them.
///
/// These environment variables are read: `OTEL_EXPORTER_OTLP_ENDPOINT`, `_HEADERS` and `_TIMEOUT` (milliseconds), each
/// also with `METRICS_` in it, and `OTEL_METRIC_EXPORT_INTERVAL` (milliseconds). Credentials in headers are never
/// shown.
#[must_use]
pub struct Otlp {
    metrics: Metrics,
    exporter: MetricExporter,
    every: Duration,
    listener: Option<Arc<Listener>>,
}

type Listener = dyn Fn(&OtlpError) + Send + Sync;

/// Why nothing can be pushed, or was not pushed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OtlpError {
    /// The settings are invalid, including those of the environment.
    #[error("metrics cannot be pushed: {0}")]
    Setting(String),
    /// The collector was not reached, or did not accept the metrics.
    #[error("metrics were not pushed: {0}")]
    NotPushed(String),
}

impl Otlp {
    /// Pushes to where the environment says, else to port 4318 of this machine.
    ///
    /// # Errors
    /// If a setting of the environment is invalid.
    pub fn new(metrics: &Metrics) -> Result<Self, OtlpError> {
        Self::build(metrics, None)
    }

    /// Pushes to this collector, whatever the environment says: `https://host:4318`. `/v1/metrics` is appended.
    ///
    /// # Errors
    /// If that is not a URL.
    pub fn to(metrics: &Metrics, endpoint: &str) -> Result<Self, OtlpError> {
        let endpoint = format!("{}/v1/metrics", endpoint.trim_end_matches('/'));
        Self::build(metrics, Some(endpoint))
    }

    fn build(metrics: &Metrics, endpoint: Option<String>) -> Result<Self, OtlpError> {
        let timeout = millis("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT")
            .or_else(|| millis("OTEL_EXPORTER_OTLP_TIMEOUT"));
        let client = Client::new(timeout.unwrap_or(TIMEOUT));
        let client = client.map_err(|error| OtlpError::Setting(error.to_string()))?;
        let mut exporter = MetricExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_http_client(client);
        if let Some(endpoint) = endpoint {
            exporter = exporter.with_endpoint(endpoint);
        }
        let exporter = exporter.build();
        Ok(Otlp {
            metrics: metrics.clone(),
            exporter: exporter.map_err(|error| OtlpError::Setting(error.to_string()))?,
            every: millis("OTEL_METRIC_EXPORT_INTERVAL").unwrap_or(EVERY),
            listener: None,
        })
    }

    /// How often [`run`](Self::run) pushes; once a minute if neither this nor the environment says anything, and never
    /// more often than once a second.
    pub fn every(mut self, span: Duration) -> Self {
        self.every = span;
        self
    }

    /// Calls the listener with the error of each push of [`run`](Self::run) that fails. It must neither block nor
    /// panic.
    pub fn on_error(mut self, listener: impl Fn(&OtlpError) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// Pushes all figures as they are now, once. It tries again within its timeout if the collector is busy.
    ///
    /// # Errors
    /// If the collector is not reached, or does not accept them.
    ///
    /// # Cancel safety
    /// If it is dropped, nothing is lost: the next push has the same figures, and more.
    pub async fn push(&self) -> Result<(), OtlpError> {
        self.metrics.gather().await;
        let mut figures = ResourceMetrics::default();
        let not_pushed =
            |error: opentelemetry_sdk::error::OTelSdkError| OtlpError::NotPushed(error.to_string());
        let reader = &self.metrics.shared.reader;
        reader.collect(&mut figures).map_err(not_pushed)?;
        self.exporter.export(&figures).await.map_err(not_pushed)
    }

    /// Pushes again and again until `stop` completes, and then once more, so that nothing is missing.
    ///
    /// # Cancel safety
    /// If it is dropped, the last figures are not pushed.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let every = self.every.max(Duration::from_secs(1));
        loop {
            let stopped = tokio::time::timeout(every, stop.as_mut()).await.is_ok();
            if let (Err(error), Some(listener)) = (self.push().await, &self.listener) {
                listener(&error);
            }
            if stopped {
                return;
            }
        }
    }
}

/// A span in the environment.
fn millis(name: &str) -> Option<Duration> {
    let said = env::var(name).ok()?;
    said.trim().parse().ok().map(Duration::from_millis)
}

impl fmt::Debug for Otlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Otlp")
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}
