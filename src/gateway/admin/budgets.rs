//! Budgets, and what is spent of them.

use std::{collections::BTreeMap, num::NonZeroUsize, slice, sync::Arc};

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Operated, problem::Problem, rights::Admin, scope::Scope};
use crate::{
    money::Money,
    statistics::{Ends, Statistics},
    store::{BudgetStanding, ComesBack, Correction},
    tags::{Tag, Tags},
};

/// So many budgets are told at once.
const MOST: usize = 1_000;

#[derive(Serialize)]
pub(super) struct Budgets {
    budgets: Vec<Budget>,
    /// How many more there are, which are less full; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    budgets_left_out: Option<NonZeroUsize>,
}

/// How one budget stands; money in dollars.
#[derive(Serialize)]
pub(super) struct Budget {
    budget: String,
    /// Which calls it is for; absent for values that have no count of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<BTreeMap<Tag, Vec<Arc<str>>>>,
    amount: Money,
    settled: Money,
    reserved: Money,
    left: Money,
    shadow: bool,
    /// Whether its circuit is open: nobody passes until it is reset.
    stopped: bool,
    comes_back: String,
    /// What was spent lately comes to this in an hour; absent where nobody can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pace_per_hour: Option<Money>,
    /// When nothing is left, at that pace.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends: Option<Ends>,
}

impl Budget {
    fn of(standing: BudgetStanding, statistics: &Statistics) -> Self {
        let forecast = statistics.forecast(slice::from_ref(&standing)).pop();
        Budget {
            pace_per_hour: forecast.as_ref().map(|forecast| forecast.pace_per_hour),
            ends: forecast.map(|forecast| forecast.ends),
            stopped: standing.stopped,
            left: standing.left(),
            comes_back: match standing.comes_back {
                ComesBack::At(instant) => Timestamp::try_from(instant)
                    .map_or_else(|_| "never".to_owned(), |at| at.to_string()),
                ComesBack::After(span) => {
                    format!("each part {} s after it was spent", span.as_secs())
                }
                ComesBack::Never => "never".to_owned(),
            },
            budget: standing.budget,
            of: standing.of.map(|of| of.into_iter().collect()),
            amount: standing.amount,
            settled: standing.settled,
            reserved: standing.reserved,
            shadow: standing.shadow,
        }
    }
}

impl Operated {
    /// How budgets stand, as far as one may see them; where there are more, the fullest.
    pub(super) async fn budgets(&self, scope: &Scope, most: usize) -> Result<Budgets, Problem> {
        let mut standings = self.limiter.budgets().await?;
        standings.retain(|standing| scope.sees_budget(standing));
        let budgets_left_out = NonZeroUsize::new(standings.len().saturating_sub(most));
        if budgets_left_out.is_some() {
            standings
                .select_nth_unstable_by(most, |one, other| share(other).total_cmp(&share(one)));
            standings.truncate(most);
            standings.sort_by(|one, other| one.budget.cmp(&other.budget));
        }
        let budgets = standings.into_iter();
        let budgets = budgets.map(|standing| Budget::of(standing, &self.statistics));
        Ok(Budgets {
            budgets: budgets.collect(),
            budgets_left_out,
        })
    }
}

/// How full a budget is; a circuit that is open comes before all others.
#[expect(clippy::cast_precision_loss, reason = "a share is no exact figure")]
fn share(of: &BudgetStanding) -> f64 {
    let used = (of.settled + of.reserved).as_nanos() as f64;
    match of.stopped {
        true => f64::INFINITY,
        false => used / (of.amount.as_nanos().max(1) as f64),
    }
}

/// The calls that something is done about: those with these tags.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reset {
    tags: BTreeMap<Tag, String>,
    why: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Correct {
    tags: BTreeMap<Tag, String>,
    correction: Correction,
    why: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Closed {
    closed: u64,
}

pub(super) fn tags(of: BTreeMap<Tag, String>) -> Tags {
    let each = of.into_iter();
    each.fold(Tags::new(), |tags, (tag, value)| tags.with(tag, value))
}

pub(super) async fn list(
    scope: Scope,
    State(operated): State<Arc<Operated>>,
) -> Result<Json<Budgets>, Problem> {
    Ok(Json(operated.budgets(&scope, MOST).await?))
}

pub(super) async fn correct(
    admin: Admin,
    State(operated): State<Arc<Operated>>,
    body: Result<Json<Correct>, JsonRejection>,
) -> Result<Json<Budgets>, Problem> {
    let Json(Correct {
        tags: about,
        correction,
        why,
    }) = body?;
    let reason = admin.because(why);
    let (limiter, tags) = (&operated.limiter, tags(about));
    limiter.correct(&tags, correction, reason).await?;
    Ok(Json(operated.budgets(&Scope::default(), MOST).await?))
}

pub(super) async fn reset(
    admin: Admin,
    State(operated): State<Arc<Operated>>,
    body: Result<Json<Reset>, JsonRejection>,
) -> Result<Json<Closed>, Problem> {
    let Json(Reset { tags: about, why }) = body?;
    let reason = admin.because(why);
    let closed = operated.limiter.reset(&tags(about), reason).await?;
    Ok(Json(Closed { closed }))
}
