//! `/quota/limits`

use std::sync::Arc;

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Operated, problem::Problem, rights::Admin, scope::Scope};
use crate::{
    limit::{self, Limit, Quantity},
    limiter::ChangeError,
    money::Money,
};

#[derive(Serialize)]
pub(super) struct Limits {
    /// In words, as they hold now.
    limits: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Amount {
    /// As `GET` has it.
    limit: String,
    /// Of one value of the tag that it counts per.
    of: Option<String>,
    /// A number, or dollars of a budget.
    amount: Value,
    why: Option<String>,
}

impl Amount {
    /// In units of this limit.
    fn in_units(&self, of: &Limit) -> Result<u64, Problem> {
        let text = match &self.amount {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let is_money = of.quantity == Quantity::Cost;
        let amount = match is_money {
            true => text.parse::<Money>().ok().map(Money::as_nanos),
            false => text.parse().ok(),
        };
        let wanted = if is_money {
            "an amount of dollars"
        } else {
            "a whole number"
        };
        amount.ok_or_else(|| Problem::Body(format!("amount: `{text}` is not {wanted}")))
    }
}

impl Operated {
    fn limits(&self, scope: &Scope) -> Json<Limits> {
        let limits = self.limiter.limits();
        let limits = limits
            .iter()
            .filter(|limit| !limit.is_pause() && scope.sees_limit(limit));
        Json(Limits {
            limits: limits.map(ToString::to_string).collect(),
        })
    }
}

pub(super) async fn list(scope: Scope, State(operated): State<Arc<Operated>>) -> Json<Limits> {
    operated.limits(&scope)
}

pub(super) async fn amount(
    admin: Admin,
    State(operated): State<Arc<Operated>>,
    body: Result<Json<Amount>, JsonRejection>,
) -> Result<Json<Limits>, Problem> {
    let Json(mut asked) = body?;
    let reason = admin.because(asked.why.take());
    // By what holds then: another process may have changed it just now.
    let other = move |limits: &limit::Limits| {
        let named = |limit: &&Limit| !limit.is_pause() && limit.to_string() == asked.limit;
        let amount = match limits.iter().find(named) {
            Some(limit) => asked.in_units(limit)?,
            // Of no limit; whatever it is, the change says that there is none.
            None => 0,
        };
        let now = limits.with_amount(&asked.limit, asked.of.as_deref(), amount);
        Ok::<_, Problem>((now.map_err(ChangeError::from)?, None))
    };
    operated.limiter.change_and(reason, other, || ()).await?;
    Ok(operated.limits(&Scope::default()))
}
