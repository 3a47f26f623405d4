//! Metrics that are pushed, where the environment says where to.

use std::{env, ffi::OsString};

use tokio::{sync::oneshot, task::JoinHandle};
use tower_quota::{
    gateway::Gateway,
    metrics::otlp::{Otlp, OtlpError},
};

use super::output::complain;

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
    if !is_wanted(ENDPOINTS.map(env::var_os)) {
        return Ok(None);
    }
    let otlp = Otlp::new(gateway.metrics())?;
    let otlp = otlp.on_error(|error| complain(format_args!("{error}")));
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(otlp.run(async {
        // Dropping the other end is the word, too.
        let _ = stopped.await;
    }));
    Ok(Some(Push { stop, task }))
}

/// Whether one of the variables says where to. An empty one is as one that is not there, for all programs that push: so it is
/// switched off where it cannot be taken away.
fn is_wanted(said: [Option<OsString>; 2]) -> bool {
    let mut said = said.into_iter().flatten();
    said.any(|endpoint| !endpoint.is_empty())
}

/// Pushes what is still to be pushed.
pub(crate) async fn end(push: Option<Push>) {
    if let Some(Push { stop, task }) = push {
        drop(stop);
        // A push that panicked has said so.
        let _ = task.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_pushed_where_no_variable_says_where_to() {
        let wanted = |metrics: Option<&str>, all: Option<&str>| {
            is_wanted([metrics, all].map(|said| said.map(OsString::from)))
        };
        assert!(!wanted(None, None) && !wanted(Some(""), Some("")));
        assert!(!wanted(None, Some("")) && !wanted(Some(""), None));
        assert!(wanted(Some("http://a"), Some("")) && wanted(Some(""), Some("http://a")));
    }
}
