//! `/quota/status`: everything at a glance, for dashboards and for people.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;

use super::{Operated, budgets::Budget, problem::Problem, rights::Viewer};
use crate::{limit::Quantity, limiter::CallState, money::Money, store::CountStanding};

/// Of each limit so many counts are shown, the fullest.
const MOST: usize = 20;

#[derive(Serialize)]
pub(super) struct Status {
    limits: Vec<Count>,
    budgets: Vec<Budget>,
    /// Whose calls are refused.
    pauses: Vec<String>,
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
}

impl Count {
    fn of(standing: &CountStanding) -> Self {
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
        }
    }
}

pub(super) async fn status(
    _: Viewer,
    State(operated): State<Arc<Operated>>,
) -> Result<Json<Status>, Problem> {
    let limiter = &operated.limiter;
    let (counts, budgets) = (limiter.counts(MOST).await?, limiter.budgets().await?);
    let states = operated.calls.each(|_, progress, _, _| progress.state());
    let number = |is: fn(&CallState) -> bool| states.iter().filter(|state| is(state)).count();
    let limits = limiter.limits();
    Ok(Json(Status {
        limits: counts.iter().map(Count::of).collect(),
        budgets: budgets.into_iter().map(Budget::of).collect(),
        pauses: limits.pauses().map(ToString::to_string).collect(),
        received: number(|state| matches!(state, CallState::Received)),
        waiting: number(|state| matches!(state, CallState::Waiting(_))),
        sent: number(|state| matches!(state, CallState::Sent { .. })),
        backing_off: number(|state| matches!(state, CallState::BackingOff { .. })),
    }))
}
