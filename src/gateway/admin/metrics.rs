//! `/metrics`

use std::sync::Arc;

use axum::{extract::State, response::IntoResponse};
use http::header::CONTENT_TYPE;

use super::{Operated, rights::Viewer};
use crate::metrics::Metrics;

pub(super) async fn metrics(_: Viewer, State(operated): State<Arc<Operated>>) -> impl IntoResponse {
    let text = operated.metrics.render().await;
    ([(CONTENT_TYPE, Metrics::CONTENT_TYPE)], text)
}
