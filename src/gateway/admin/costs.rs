//! `/quota/costs` and `/quota/minutes`: what was used and what it cost.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::{Deserialize, Serialize};

use super::{Operated, problem::Problem, scope::Scope};
use crate::{
    gateway::minutes::{Series, place},
    limit::CalendarUnit,
    statistics::{Figures, Report},
    tags::Tag,
};

/// Periods are told at most so many at once.
const MOST: usize = 48;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// `hour`, `day`, `week` or `month`.
    #[serde(default = "day")]
    unit: CalendarUnit,
    /// A tag, or several with commas between.
    #[serde(default = "model")]
    by: String,
    /// So many periods, with the one that goes on.
    #[serde(default = "one")]
    last: usize,
}

fn day() -> CalendarUnit {
    CalendarUnit::Day
}

fn model() -> String {
    Tag::Model.name().to_owned()
}

fn one() -> usize {
    1
}

#[derive(Serialize)]
pub(super) struct Costs {
    /// What was before this is not known here, in seconds since 1970: the process began then.
    since: f64,
    /// The oldest first. Those in which nothing happened are left out, save the last.
    periods: Vec<Period>,
}

#[derive(Serialize)]
struct Period {
    #[serde(flatten)]
    report: Report,
    total: Figures,
    /// Whether everything is in it that is the asker's: with very many values some are counted together, whoever's they are.
    is_whole: bool,
}

/// What was recorded since this process began, in UTC.
pub(super) async fn costs(
    scope: Scope,
    State(operated): State<Arc<Operated>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Costs>, Problem> {
    let Query(asked) = asked?;
    let names = asked.by.split(',').map(str::trim);
    let by: Vec<Tag> = names
        .filter(|name| !name.is_empty())
        .map(Tag::from)
        .collect();
    let own = scope.tags().map(|(tag, _)| tag);
    let more = by
        .iter()
        .filter(|tag| !scope.tags().any(|(own, _)| own == *tag));
    let view: Vec<Tag> = own.chain(more).cloned().collect();
    let last = asked.last.clamp(1, MOST);
    let reports = operated.statistics.last_reports(asked.unit, &view, last);
    let reports = reports.ok_or_else(|| {
        let view: Vec<&str> = view.iter().map(Tag::name).collect();
        Problem::Body(format!(
            "by: there are no sums by {}; there are some by provider, model, agent, user and team each, by these within a team, and by the tags of each budget",
            view.join(" and ")
        ))
    })?;
    let periods = reports.into_iter().map(|mut report| {
        let is_whole = scope.is_all() || report.others.is_empty();
        if !scope.is_all() {
            report.others = Figures::default();
            report.rows.retain(|row| {
                let of = |tag| row.tags.get(tag).map_or("", |value| &**value);
                scope.tags().all(|(tag, value)| of(tag) == value)
            });
            let shown = |tag: &Tag| by.contains(tag);
            let rows = &mut report.rows;
            rows.iter_mut()
                .for_each(|row| row.tags.retain(|tag, _| shown(tag)));
        }
        Period {
            total: report.total(),
            is_whole,
            report,
        }
    });
    Ok(Json(Costs {
        since: operated.since,
        periods: periods.collect(),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ByMinutes {
    #[serde(default = "model")]
    by: String,
}

/// The last two hours, minute by minute.
pub(super) async fn minutes(
    scope: Scope,
    State(operated): State<Arc<Operated>>,
    asked: Result<Query<ByMinutes>, QueryRejection>,
) -> Result<Json<Series>, Problem> {
    let Query(ByMinutes { by }) = asked?;
    let place = place(&by)
        .ok_or_else(|| Problem::Body(format!("by: `{by}` is none of model, agent and team")))?;
    let mut own = scope.tags();
    let team = match (own.next(), own.next()) {
        (None, _) => None,
        (Some((Tag::Team, team)), None) => Some(team),
        _ => {
            return Err(Problem::Body(
                "minutes are told to a key that has no tags, or the tag `team` alone; ask for /quota/costs".to_owned(),
            ));
        }
    };
    Ok(Json(operated.minutes.series(place, team)))
}
