//! How metrics are made.

use std::sync::Arc;

use opentelemetry::{KeyValue, metrics::MeterProvider as _};
use opentelemetry_prometheus::PrometheusExporter;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{
        Instrument, InstrumentKind, Pipeline, SdkMeterProvider, Stream, Temporality,
        data::ResourceMetrics, reader::MetricReader,
    },
    resource::{EnvResourceDetector, TelemetryResourceDetector},
};
use parking_lot::Mutex;

use super::{
    Metrics, Shared, bound::Bound, gauges::Gauges, instruments::Instruments, labels::Labels,
    targets::Targets,
};
use crate::tags::Tag;

/// Values that a label has, where nothing else is said.
const MOST_VALUES: usize = 500;
/// Series that an instrument has, where nothing else is said.
const MOST_SERIES: usize = 10_000;

/// Makes [`Metrics`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    tags: Vec<Tag>,
    max_values: usize,
    max_series: usize,
    resource: Vec<KeyValue>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Builder {
            tags: Vec::new(),
            max_values: MOST_VALUES,
            max_series: MOST_SERIES,
            resource: Vec::new(),
        }
    }

    /// Makes these tags of callers labels: `tower_quota.agent` and so on. A tag whose label is there
    /// [already](super#labels), such as `kind`, has another one: `tower_quota.tag.kind`. The values are shown as they
    /// are to whoever reads the metrics. `run` cannot be a label, because its values never end, nor can `api_key`;
    /// provider and model are labels anyway.
    pub fn tags(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        let may_be = |tag: &Tag| tag.is_callers() && *tag != Tag::Run;
        self.tags = tags.into_iter().filter(may_be).collect();
        self
    }

    /// How many values each label has; 500 by default. The values that attempts have first are kept, and all others
    /// become `other`.
    pub fn max_values(mut self, most: usize) -> Self {
        self.max_values = most;
        self
    }

    /// How many series each instrument has, over all labels; 10 000 by default. Further ones are counted together, in
    /// one series with the label `otel.metric.overflow`.
    pub fn max_series(mut self, most: usize) -> Self {
        self.max_series = most.max(1);
        self
    }

    /// An attribute of the program as a whole, such as `service.name`. The environment variables `OTEL_SERVICE_NAME`
    /// and `OTEL_RESOURCE_ATTRIBUTES` take precedence.
    pub fn resource(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.resource.push(KeyValue::new(name.into(), value.into()));
        self
    }

    /// The metrics, at zero.
    pub fn build(self) -> Metrics {
        let registry = prometheus::Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build();
        // A collector without names of its own cannot be one too many in a registry that is new.
        let reader = Arc::new(exporter.expect("a registry that is empty takes it"));
        #[cfg(feature = "otlp")]
        let read = reader.clone();
        let most_series = self.max_series;
        let bounded = move |_: &Instrument| {
            let stream = Stream::builder().with_cardinality_limit(most_series);
            stream.build().ok()
        };
        let mut resource = Resource::builder_empty()
            .with_attributes(self.resource)
            .with_detectors(&[
                Box::new(TelemetryResourceDetector),
                Box::new(EnvResourceDetector::new()),
            ]);
        if let Ok(name) = std::env::var("OTEL_SERVICE_NAME")
            && !name.is_empty()
        {
            resource = resource.with_service_name(name);
        }
        let provider = SdkMeterProvider::builder()
            .with_reader(SharedReader(reader))
            .with_resource(resource.build())
            .with_view(bounded)
            .build();
        let meter = provider.meter("tower-quota");
        let gauges = Gauges::new(&meter);
        Metrics {
            shared: Arc::new(Shared {
                instruments: Instruments::new(&meter),
                bound: Bound::default(),
                labels: Labels::new(self.tags, self.max_values),
                targets: Targets::default(),
                limiters: Mutex::default(),
                _provider: provider,
                #[cfg(feature = "otlp")]
                reader: read,
                registry,
                gauges,
            }),
        }
    }
}

/// One reader for everybody who reads.
#[derive(Debug)]
struct SharedReader(Arc<PrometheusExporter>);

impl MetricReader for SharedReader {
    fn register_pipeline(&self, pipeline: std::sync::Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: std::time::Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}
