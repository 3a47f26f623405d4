//! `/quota/pauses`

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
};
use serde::{Deserialize, Serialize};

use super::{Operated, problem::Problem, rights::Admin, scope::Scope};
use crate::{
    limit::{Limit, Limits},
    tags::Tag,
};

#[derive(Serialize)]
pub(super) struct Pauses {
    /// In words: `agent=scout is paused`.
    pauses: Vec<String>,
}

/// Calls with all of these tags.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Paused {
    tags: BTreeMap<Tag, String>,
    why: Option<String>,
}

fn pause(tags: BTreeMap<Tag, String>) -> Limit {
    let tags = tags.into_iter();
    tags.fold(Limit::paused(), |pause, (tag, value)| {
        pause.when(tag, value)
    })
}

impl Operated {
    fn pauses(&self, scope: &Scope) -> Json<Pauses> {
        let limits = self.limiter.limits();
        let pauses = limits.pauses().filter(|pause| scope.sees_limit(pause));
        Json(Pauses {
            pauses: pauses.map(ToString::to_string).collect(),
        })
    }
}

pub(super) async fn list(scope: Scope, State(operated): State<Arc<Operated>>) -> Json<Pauses> {
    operated.pauses(&scope)
}

pub(super) async fn begin(
    admin: Admin,
    State(operated): State<Arc<Operated>>,
    body: Result<Json<Paused>, JsonRejection>,
) -> Result<Json<Pauses>, Problem> {
    let Json(Paused { tags, why }) = body?;
    let (pause, reason) = (pause(tags), admin.because(why));
    let changed = operated.limiter.change(reason, |limits| limits.with(pause));
    changed.await?;
    Ok(operated.pauses(&Scope::default()))
}

pub(super) async fn end(
    admin: Admin,
    State(operated): State<Arc<Operated>>,
    body: Result<Json<Paused>, JsonRejection>,
) -> Result<Json<Pauses>, Problem> {
    let Json(Paused { tags, why }) = body?;
    let (pause, reason) = (pause(tags), admin.because(why));
    // By what holds then: another process may have made it just now.
    let without = move |limits: &Limits| match limits.pauses().any(|other| *other == pause) {
        true => Ok((limits.without(&pause), None)),
        false => Err(Problem::NotPaused(pause.to_string())),
    };
    operated.limiter.change_and(reason, without, || ()).await?;
    Ok(operated.pauses(&Scope::default()))
}
