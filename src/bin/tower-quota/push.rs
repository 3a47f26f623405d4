//! Metrics that are pushed, where the environment says where to.

use std::env;

use tokio::{sync::oneshot, task::JoinHandle};
use tower_quota::{
    gateway::Gateway,
    metrics::otlp::{Otlp, OtlpError},
};

/// By which of these variables somebody says that metrics are to be pushed.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

/// A push that goes on, and the word that ends it.
pub(crate) struct Push {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Begins to push, where that is wanted.
pub(crate) fn begin(gateway: &Gateway) -> Result<Option<Push>, OtlpError> {
    if ENDPOINTS.iter().all(|name| env::var_os(name).is_none()) {
        return Ok(None);
    }
    let otlp = Otlp::new(gateway.metrics())?;
    let otlp = otlp.on_error(|error| eprintln!("tower-quota: {error}"));
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(otlp.run(async {
        // Dropping the other end is the word, too.
        let _ = stopped.await;
    }));
    Ok(Some(Push { stop, task }))
}

/// Pushes what is still to be pushed.
pub(crate) async fn end(push: Option<Push>) {
    if let Some(Push { stop, task }) = push {
        drop(stop);
        // A push that panicked has said so.
        let _ = task.await;
    }
}
