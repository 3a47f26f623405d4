//! `/quota/targets`

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;

use super::{Operated, rights::Viewer};
use crate::metrics::TargetStanding;

#[derive(Serialize)]
pub(super) struct Targets {
    /// Those that were ever left alone.
    targets: Vec<TargetStanding>,
}

pub(super) async fn list(_: Viewer, State(operated): State<Arc<Operated>>) -> Json<Targets> {
    let targets = operated.metrics.targets();
    Json(Targets { targets })
}
