//! Pushed by OTLP over HTTP, to a collector that decodes what it gets.

use std::sync::{Arc, Mutex, mpsc};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{AggregationTemporality, metric::Data, number_data_point},
};
use prost::Message as _;
use tower::{Layer as _, ServiceExt as _};
use tower_quota::{
    RateLimitLayer,
    limit::Limit,
    metrics::{Metrics, otlp::Otlp},
};

use super::{
    ANSWER, json, read, request,
    support::{HOUR, Upstream, limiter, secs},
};

/// What a collector was sent.
#[derive(Clone, Default)]
struct Collector {
    got: Arc<Mutex<Vec<(HeaderMap, ExportMetricsServiceRequest)>>>,
    /// What it answers, the first first; then 200.
    answers: Arc<Mutex<Vec<StatusCode>>>,
}

impl Collector {
    /// Listens; its address.
    async fn start(&self) -> String {
        let router = Router::new()
            .route("/v1/metrics", post(take))
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{addr}")
    }

    fn pushes(&self) -> usize {
        self.got.lock().unwrap().len()
    }
}

async fn take(State(collector): State<Collector>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let request = ExportMetricsServiceRequest::decode(body).unwrap();
    collector.got.lock().unwrap().push((headers, request));
    let mut answers = collector.answers.lock().unwrap();
    if answers.is_empty() {
        StatusCode::OK
    } else {
        answers.remove(0)
    }
}

fn text(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    match found.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        other => panic!("{name} is no text: {other:?}"),
    }
}

fn metric(request: &ExportMetricsServiceRequest, name: &str) -> Option<Data> {
    let scopes = request
        .resource_metrics
        .iter()
        .flat_map(|of| &of.scope_metrics);
    let mut metrics = scopes.flat_map(|scope| &scope.metrics);
    metrics.find(|metric| metric.name == name)?.data.clone()
}

async fn metrics_of_one_call() -> Metrics {
    let limiter = limiter([Limit::requests(10).every(HOUR)]);
    let metrics = Metrics::builder()
        .resource("service.name", "tested")
        .build();
    let layer = metrics.attach(RateLimitLayer::new(limiter.clone()), &limiter);
    let service = layer.layer(Upstream::new().answers([json(ANSWER)]));
    read(service.oneshot(request("a")).await.unwrap().into_body()).await;
    metrics
}

/// O5: OTLP push.
#[tokio::test]
async fn a_collector_gets_the_names_and_the_figures() {
    let (collector, metrics) = (Collector::default(), metrics_of_one_call().await);
    let otlp = Otlp::to(&metrics, &collector.start().await).unwrap();
    otlp.push().await.unwrap();
    let got = collector.got.lock().unwrap().clone();
    let (headers, request) = &got[0];
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let resource = request.resource_metrics[0].resource.clone().unwrap();
    assert_eq!(
        text(&resource.attributes, "service.name").as_deref(),
        Some("tested")
    );

    let Some(Data::Histogram(usage)) = metric(request, "gen_ai.client.token.usage") else {
        panic!("no histogram: {request:#?}");
    };
    assert_eq!(
        usage.aggregation_temporality(),
        AggregationTemporality::Cumulative
    );
    let mut sums: Vec<(String, f64)> = usage
        .data_points
        .iter()
        .map(|point| {
            assert_eq!(
                text(&point.attributes, "gen_ai.provider.name").as_deref(),
                Some("openai")
            );
            assert_eq!(
                text(&point.attributes, "gen_ai.request.model").as_deref(),
                Some("m")
            );
            assert_eq!(
                text(&point.attributes, "gen_ai.response.model").as_deref(),
                Some("m-2026")
            );
            let kind = text(&point.attributes, "gen_ai.token.type").unwrap();
            (kind, point.sum.unwrap())
        })
        .collect();
    sums.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(
        sums,
        [("input".to_owned(), 9.0), ("output".to_owned(), 1.0)]
    );
    let Some(Data::Gauge(used)) = metric(request, "tower_quota.limit.used") else {
        panic!("no gauge: {request:#?}");
    };
    assert_eq!(
        used.data_points[0].value,
        Some(number_data_point::Value::AsDouble(1.0))
    );
    assert_eq!(metric(request, "tower_quota.refusals"), None);
    // Both readers have the same.
    assert!(
        metrics
            .render()
            .await
            .contains("gen_ai_client_token_usage_sum")
    );
}

#[tokio::test]
async fn a_collector_that_is_busy_is_asked_again_and_one_that_refuses_is_told_of() {
    let (collector, metrics) = (Collector::default(), metrics_of_one_call().await);
    let otlp = Otlp::to(&metrics, &collector.start().await).unwrap();
    *collector.answers.lock().unwrap() = vec![StatusCode::BAD_REQUEST];
    let error = otlp.push().await.unwrap_err();
    assert!(error.to_string().contains("400"), "{error}");
    otlp.push().await.unwrap();
    assert_eq!(collector.pushes(), 2);

    let nobody = Otlp::to(&metrics, "http://127.0.0.1:9").unwrap();
    let error = nobody.push().await.unwrap_err();
    assert!(
        error.to_string().starts_with("metrics were not pushed"),
        "{error}"
    );
    assert!(Otlp::to(&metrics, "no url, this").is_err());
}

/// Run by the test below, in a process of its own.
#[tokio::test]
#[ignore = "it goes by the environment"]
async fn pushes_where_the_environment_says() {
    let limiter = limiter([]);
    let metrics = Metrics::builder()
        .resource("service.name", "in the code")
        .build();
    let layer = metrics.attach(RateLimitLayer::new(limiter.clone()), &limiter);
    drop(
        layer
            .layer(Upstream::new())
            .oneshot(request("a"))
            .await
            .unwrap(),
    );
    Otlp::new(&metrics).unwrap().push().await.unwrap();
}

#[tokio::test]
async fn the_environment_says_where_and_under_which_name() {
    let collector = Collector::default();
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
    child
        .args([
            "--exact",
            "--ignored",
            "otlp::pushes_where_the_environment_says",
        ])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.start().await)
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=seven")
        .env("OTEL_SERVICE_NAME", "in the environment");
    let output = child.output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let got = collector.got.lock().unwrap().clone();
    let (headers, request) = &got[0];
    assert_eq!(headers["x-tenant"], "seven");
    let resource = request.resource_metrics[0].resource.clone().unwrap();
    let name = text(&resource.attributes, "service.name");
    assert_eq!(name.as_deref(), Some("in the environment"));
    assert!(metric(request, "tower_quota.calls").is_some());
}

#[tokio::test]
async fn the_last_figures_go_out_before_it_ends() {
    let (collector, metrics) = (Collector::default(), metrics_of_one_call().await);
    let otlp = Otlp::to(&metrics, &collector.start().await).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    // Nothing is due for an hour.
    let pushing = tokio::spawn(otlp.every(HOUR).run(async { drop(stopped.await) }));
    tokio::task::yield_now().await;
    assert_eq!(collector.pushes(), 0);
    drop(stop);
    pushing.await.unwrap();
    assert_eq!(collector.pushes(), 1);
}

#[tokio::test]
async fn it_pushes_again_and_again_and_says_what_goes_wrong() {
    let (collector, metrics) = (Collector::default(), metrics_of_one_call().await);
    let (told, errors) = mpsc::channel();
    *collector.answers.lock().unwrap() = vec![StatusCode::BAD_REQUEST];
    let otlp = Otlp::to(&metrics, &collector.start().await).unwrap();
    let otlp = otlp
        .every(secs(1))
        .on_error(move |error| told.send(error.to_string()).unwrap());
    let watched = collector.clone();
    otlp.run(async move {
        while watched.pushes() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(collector.pushes(), 3);
    assert_eq!(errors.try_iter().count(), 1);
}
