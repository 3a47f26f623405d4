//! `/quota/status`: everything at a glance, for dashboards and for people.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use axum::{Json, extract::State};
use serde::Serialize;

use super::{
    Operated,
    budgets::Budgets,
    problem::Problem,
    queues::{Queue, seconds},
    scope::Scope,
};
use crate::{
    clock::time_of_day,
    limit::{Limit, Period, Quantity},
    limiter::CallState,
    money::Money,
    store::CountStanding,
};

/// Of each limit so many counts are shown, the fullest.
const MOST: usize = 20;
/// So many budgets.
const BUDGETS: usize = 100;

#[derive(Serialize)]
pub(super) struct Status {
    /// When it is so, in seconds since 1970.
    at: f64,
    /// Whether this is all, or what has the tags of the key that asks.
    is_all: bool,
    /// Of each limit the fullest of its counts.
    limits: Vec<Count>,
    #[serde(flatten)]
    budgets: Budgets,
    /// Whose calls are refused.
    pauses: Vec<String>,
    /// Where calls wait: the most of them first.
    queues: Vec<Queue>,
    /// Calls that are open, by where they are.
    received: usize,
    waiting: usize,
    sent: usize,
    backing_off: usize,
}

/// How a limit stands, for one value where it is split.
#[derive(Serialize)]
struct Count {
    limit: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    of: Vec<(String, String)>,
    quantity: &'static str,
    /// Whole numbers; of budgets, dollars.
    in_use: String,
    reserved: String,
    amount: String,
    /// 1 where no more may be used.
    share: f64,
    shadow: bool,
    /// Whether each value of some tags has a count of its own.
    is_split: bool,
    /// Of what length its windows are; absent for what is counted over none, a run, or a calendar.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
}

impl Count {
    fn of(standing: &CountStanding, limit: &Limit) -> Self {
        let number = |number: u64| match standing.quantity {
            Quantity::Cost => {
                let money = Money::from_nanos(number).to_string();
                money.trim_start_matches('$').to_owned()
            }
            _ => number.to_string(),
        };
        let of = standing.of.iter().flatten();
        Count {
            limit: standing.rule.to_string(),
            of: of
                .map(|(tag, value)| (tag.to_string(), value.to_string()))
                .collect(),
            quantity: standing.quantity.name(),
            in_use: number(standing.in_use),
            reserved: number(standing.reserved),
            amount: number(standing.amount),
            share: (standing.share() * 1e4).round() / 1e4,
            shadow: standing.shadow,
            is_split: !limit.per.is_empty(),
            seconds: match limit.period {
                Some(Period::Sliding(length)) => Some(length.as_secs_f64()),
                _ => None,
            },
        }
    }
}

pub(super) async fn status(
    scope: Scope,
    State(operated): State<Arc<Operated>>,
) -> Result<Json<Status>, Problem> {
    let limiter = &operated.limiter;
    // The fullest of what is one's own may be behind those of others.
    let most = if scope.is_all() { MOST } else { usize::MAX };
    let counts = limiter.counts(most).await?;
    let budgets = operated.budgets(&scope, BUDGETS).await?;
    let calls = operated.calls.each(|_, progress, tags, _| {
        let seen = scope.sees(tags);
        seen.then(|| (progress.state_without_ahead(), progress.waited()))
    });
    let calls: Vec<(CallState, Duration)> = calls.into_iter().flatten().collect();
    let number = |is: fn(&CallState) -> bool| calls.iter().filter(|(state, _)| is(state)).count();
    let limits = limiter.limits();
    let counts = counts.iter().filter_map(|count| {
        let rule = limits.rules().get(count.limit)?;
        let of = count.of.as_deref().unwrap_or_default();
        // Limits may have changed since it was counted: then it is not known whose it is.
        let is_its = scope.is_all() || rule.limit.to_string() == *count.rule;
        (is_its && scope.sees_count(of, &rule.limit))
            .then(|| (count.limit, Count::of(count, &rule.limit)))
    });
    let mut shown: HashMap<usize, usize> = HashMap::new();
    let counts = counts.filter(|(limit, _)| {
        let shown = shown.entry(*limit).or_default();
        *shown += 1;
        *shown <= MOST
    });
    let counts: Vec<Count> = counts.map(|(_, count)| count).collect();
    let pauses = limits.pauses().filter(|pause| scope.sees_limit(pause));
    let since = time_of_day().duration_since(UNIX_EPOCH);
    Ok(Json(Status {
        at: seconds(since.unwrap_or_default()),
        is_all: scope.is_all(),
        limits: counts,
        budgets,
        pauses: pauses.map(ToString::to_string).collect(),
        queues: Queue::all(&calls),
        received: number(|state| matches!(state, CallState::Received)),
        waiting: number(|state| matches!(state, CallState::Waiting(_))),
        sent: number(|state| matches!(state, CallState::Sent { .. })),
        backing_off: number(|state| matches!(state, CallState::BackingOff { .. })),
    }))
}
