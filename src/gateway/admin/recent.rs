//! `/quota/refusals`, and `/quota/calls/{id}`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
};
use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::{Operated, problem::Problem, scope::Scope};
use crate::{
    recent::{Refusal, Story},
    tags::{Tag, Tags},
};

#[derive(Serialize)]
pub(super) struct Refusals {
    /// The newest last.
    refusals: Vec<Arc<Refusal>>,
}

pub(super) async fn refusals(
    scope: Scope,
    State(operated): State<Arc<Operated>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Refusals>, Problem> {
    let of = tags(query.as_deref().unwrap_or_default())?;
    let mut refusals = operated.recent.refusals(&of);
    refusals.retain(|refusal| scope.sees(&refusal.tags));
    Ok(Json(Refusals { refusals }))
}

pub(super) async fn call(
    scope: Scope,
    State(operated): State<Arc<Operated>>,
    Path(id): Path<String>,
) -> Result<Json<Story>, Problem> {
    let id = id.parse().map_err(|_| Problem::Unknown)?;
    let story = operated.recent.call(id);
    let story = story.filter(|story| scope.sees(&story.tags));
    let story = story.ok_or(Problem::Forgotten(id))?;
    Ok(Json(story))
}

/// Each `tag=NAME=VALUE` of a query. A `key` beside them may say who asks.
fn tags(query: &str) -> Result<Tags, Problem> {
    let mut said = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("tag="));
    said.try_fold(Tags::new(), |tags, said| {
        let said = percent_decode_str(said).decode_utf8_lossy();
        match said.split_once('=') {
            Some((tag, value)) => Ok(tags.with(Tag::from(tag), value)),
            None => Err(Problem::Tag(said.into_owned())),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_and_what_is_none_is_said() {
        let read = |query| tags(query).map(|tags| tags.to_string());
        assert_eq!(read("").unwrap(), "");
        assert_eq!(
            read("tag=team=blue&key=tq-x&tag=agent%3Da%26b").unwrap(),
            "agent=a&b team=blue"
        );
        assert!(read("tag=team").unwrap_err().to_string().contains("`team`"));
    }
}
