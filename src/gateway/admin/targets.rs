//! `/quota/targets`

use std::sync::Arc;

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
};
use serde::{Deserialize, Serialize};

use super::{
    Operated,
    problem::Problem,
    rights::{Admin, Viewer},
};
use crate::{
    metrics::TargetStanding,
    store::Note,
    tags::{Tag, Tags},
};

#[derive(Serialize)]
pub(super) struct Targets {
    /// Those that were ever left alone.
    targets: Vec<TargetStanding>,
}

/// The targets that have all that is said, by the names that `GET` has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unpark {
    provider: String,
    model: Option<String>,
    api_key: Option<String>,
    why: Option<String>,
}

impl Unpark {
    fn tags(&self) -> Tags {
        let named = [
            (Tag::Provider, Some(&self.provider)),
            (Tag::Model, self.model.as_ref()),
            (Tag::ApiKey, self.api_key.as_ref()),
        ];
        let named = named
            .into_iter()
            .filter_map(|(tag, name)| Some((tag, name?.as_str())));
        named.fold(Tags::new(), |tags, (tag, name)| tags.with(tag, name))
    }
}

impl Operated {
    fn targets(&self) -> Json<Targets> {
        let targets = self.metrics.targets();
        Json(Targets { targets })
    }
}

pub(super) async fn list(_: Viewer, State(operated): State<Arc<Operated>>) -> Json<Targets> {
    operated.targets()
}

pub(super) async fn unpark(
    admin: Admin,
    State(operated): State<Arc<Operated>>,
    body: Result<Json<Unpark>, JsonRejection>,
) -> Result<Json<Targets>, Problem> {
    let Json(asked) = body?;
    let tags = asked.tags();
    if operated.layer.unpark(&tags) == 0 {
        return Err(Problem::NotParked(tags.to_string()));
    }
    let note = Note::new("unpark", tags.to_string());
    operated.note(note, admin.because(asked.why)).await?;
    Ok(operated.targets())
}
