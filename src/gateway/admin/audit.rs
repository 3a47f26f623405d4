//! `/quota/audit`

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;

use super::{Operated, problem::Problem, rights::Viewer};
use crate::store::AuditEntry;

#[derive(Serialize)]
pub(super) struct Audit {
    /// The newest last.
    audit: Vec<AuditEntry>,
}

pub(super) async fn list(
    _: Viewer,
    State(operated): State<Arc<Operated>>,
) -> Result<Json<Audit>, Problem> {
    let audit = operated.limiter.audit().await?;
    Ok(Json(Audit { audit }))
}
