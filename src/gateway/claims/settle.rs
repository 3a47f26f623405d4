//! What a claim came to.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
};
use serde::{Deserialize, Serialize};

use super::{
    Caller, Claiming, No,
    dear::{LITTLE, TIMES},
    open::Terms,
};
use crate::{error::StoreError, money::Money, usage::Usage};

/// What was used. At least one of input, output and cost is said: an empty settlement would give all back, and that is done
/// by other words.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Used {
    input: Option<u64>,
    output: Option<u64>,
    #[serde(default)]
    cache_read: u64,
    #[serde(default)]
    cache_write: u64,
    #[serde(default)]
    reasoning: u64,
    cost: Option<Money>,
}

impl Used {
    fn usage(&self) -> Option<Usage> {
        if self.input.is_none() && self.output.is_none() && self.cost.is_none() {
            return None;
        }
        let (input, output) = (self.input.unwrap_or(0), self.output.unwrap_or(0));
        let mut usage = Usage::new(input, output);
        // Parts are never more than the whole.
        usage.cache_read = self.cache_read.min(input);
        usage.cache_write = self.cache_write.min(input - usage.cache_read);
        usage.reasoning = self.reasoning.min(output);
        usage.cost = self.cost;
        Some(usage)
    }
}

#[derive(Serialize)]
pub(super) struct Settled {
    /// In dollars, where that is known.
    cost: Option<Money>,
}

pub(super) async fn settle(
    State(claiming): State<Arc<Claiming>>,
    caller: Caller,
    Path(claim): Path<String>,
    body: Result<Json<Used>, JsonRejection>,
) -> Result<Json<Settled>, No> {
    let Json(used) = body.map_err(No::Body)?;
    let mut usage = used.usage().ok_or(No::Nothing)?;
    let owner = caller.name.as_deref();
    let any = caller.is_believed;
    let (terms, owner) = claiming.open.terms(&claim, owner, any)?;
    usage.cost = usage.cost.or_else(|| claiming.cost(&terms, &usage));
    if !any && is_absurd(&terms, &usage) {
        return Err(No::TooMuch);
    }
    let (permits, working) = claiming.open.take(&claim, owner.as_deref())?;
    working.settled(&usage);
    // On its own, whoever goes away: 200 says that it is written down.
    let settled = tokio::spawn(permits.settled(usage)).await;
    let settled = settled.unwrap_or_else(|error| Err(StoreError::new(error.to_string())));
    settled.map_err(|error| No::Rejected(error.into()))?;
    Ok(Json(Settled { cost: usage.cost }))
}

/// So much beyond what was claimed that it is a mistake, of the unit say, or bad will: a budget that it spends is everybody's.
/// Of what was not claimed it is said by what no call comes to.
fn is_absurd(terms: &Terms, usage: &Usage) -> bool {
    let cost = usage.cost.unwrap_or_default();
    let tokens = usage.total();
    let is_dear = match terms.cost {
        Some(claimed) => cost > LITTLE && cost.as_nanos() / TIMES > claimed.as_nanos(),
        None => cost > Money::from_dollars(1_000),
    };
    let is_long = match (terms.reserved().total(), terms.cost) {
        (0, None) => tokens > 1_000_000_000,
        // What was claimed is its cost.
        (0, Some(_)) => false,
        (claimed, _) => tokens > 1_000_000 && tokens / TIMES > claimed,
    };
    is_dear || is_long
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_far_beyond_what_was_claimed_is_absurd_and_what_was_not_claimed_is_not_judged_by_it()
    {
        let dollars = |dollars| Some(Money::from_dollars(dollars));
        for (tokens, claimed, used, cost, expected) in [
            (2_000, dollars(1), 2_000, dollars(9), false),
            (2_000, dollars(1), 2_000, dollars(11), true),
            (2_000, dollars(0), 2_000, dollars(1), false),
            (2_000, dollars(0), 2_000, dollars(2), true),
            (2_000, None, 900_000, None, false),
            (2_000, None, 1_200_000, None, true),
            (0, dollars(5), 1_200_000, dollars(3), false),
            (0, None, 1_200_000, dollars(3), false),
            (0, None, 0, dollars(9_000_000), true),
            (0, None, 2_000_000_000, None, true),
        ] {
            let terms = Terms {
                provider: None,
                model: None,
                input: tokens,
                output: 0,
                cost: claimed,
            };
            let mut usage = Usage::new(used, 0);
            usage.cost = cost;
            assert_eq!(
                is_absurd(&terms, &usage),
                expected,
                "{tokens} {claimed:?}: {used} {cost:?}"
            );
        }
    }
}
