//! `/quota/calls`

use std::{cell::Cell, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;

use super::{
    super::claims, Operated, keys::Why, problem::Problem, queues::seconds, rights::Admin,
    scope::Scope,
};
use crate::{
    limiter::{CallState, Progress},
    store::Note,
    tags::Tags,
};

#[derive(Serialize)]
pub(super) struct Open {
    /// The oldest first.
    calls: Vec<Call>,
    /// How many more there are.
    left_out: usize,
}

/// So many are told, and so many claims. Of each that waits it is looked who goes before it.
const MOST: usize = 1_000;

/// A call that is open.
#[derive(Serialize)]
struct Call {
    id: u64,
    path: String,
    tags: String,
    state: &'static str,
    /// Since it came, in seconds.
    age: f64,
    /// For how long it has waited for room in all, in seconds.
    waited: f64,
    /// What it waits for, where it went.
    what: String,
    /// In how long it is expected to go, in seconds, where that can be said.
    expected_in: Option<f64>,
}

impl Call {
    fn of(id: u64, progress: &Progress, tags: &Tags, path: &str) -> Self {
        let state = progress.state();
        let what = match &state {
            CallState::Waiting(awaited) => awaited.to_string(),
            CallState::Sent {
                tags,
                attempt,
                output,
                ..
            } => format!("attempt {attempt} to {tags}; {output} tokens have come"),
            _ => String::new(),
        };
        let expected = match &state {
            CallState::Waiting(awaited) => awaited.expected_in,
            CallState::BackingOff { until } => {
                Some(until.saturating_duration_since(tokio::time::Instant::now()))
            }
            _ => None,
        };
        Call {
            id,
            path: path.to_owned(),
            tags: tags.to_string(),
            state: match state {
                CallState::Received => "received",
                CallState::Waiting(_) => "waiting",
                CallState::Sent { .. } => "sent",
                CallState::BackingOff { .. } => "backing off",
                CallState::Done => "done",
            },
            age: seconds(progress.came().elapsed()),
            waited: seconds(progress.waited()),
            what,
            expected_in: expected.map(seconds),
        }
    }
}

pub(super) async fn list(scope: Scope, State(operated): State<Arc<Operated>>) -> Json<Open> {
    // Claims may be held for a day: they do not take the place of calls.
    let (calls, claims) = (Cell::new(0_usize), Cell::new(0_usize));
    let told = operated.calls.each(|id, progress, tags, path| {
        if !scope.sees(tags) {
            return None;
        }
        let seen = match path {
            claims::PATH => &claims,
            _ => &calls,
        };
        seen.set(seen.get() + 1);
        (seen.get() <= MOST).then(|| Call::of(id, progress, tags, path))
    });
    let left_out = |seen: &Cell<usize>| seen.get().saturating_sub(MOST);
    Json(Open {
        calls: told.into_iter().flatten().collect(),
        left_out: left_out(&calls) + left_out(&claims),
    })
}

#[derive(Serialize)]
pub(super) struct Ended {
    cancelled: u64,
}

pub(super) async fn cancel(
    admin: Admin,
    State(operated): State<Arc<Operated>>,
    Path(id): Path<String>,
    why: Why,
) -> Result<Json<Ended>, Problem> {
    let id = id.parse().map_err(|_| Problem::Unknown)?;
    let tags = operated.calls.cancel(id).ok_or(Problem::NotOpen(id))?;
    let note = Note::new("cancel", format!("call {id}, {tags}"));
    operated.note(note, admin.because(why.why)).await?;
    Ok(Json(Ended { cancelled: id }))
}
