//! What somebody may look at.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::{
    Operated,
    problem::Problem,
    rights::{at_least, key},
};
use crate::{
    gateway::Role,
    limit::Limit,
    store::BudgetStanding,
    tags::{Tag, Tags},
};

/// Somebody who may look at everything, or at what has all of these tags: a viewer whose key has tags sees its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope(BTreeMap<Tag, String>);

impl Scope {
    pub(super) fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn tags(&self) -> impl Iterator<Item = (&Tag, &str)> {
        self.0.iter().map(|(tag, value)| (tag, value.as_str()))
    }

    /// Calls with these tags.
    pub(super) fn sees(&self, tags: &Tags) -> bool {
        self.tags().all(|(tag, value)| tags.get(tag) == Some(value))
    }

    /// A count of these values, under this limit.
    pub(super) fn sees_count(&self, of: &[(Tag, Arc<str>)], limit: &Limit) -> bool {
        self.tags().all(|(tag, value)| {
            let mut of = of.iter();
            let is_own = of.any(|(known, is)| known == tag && **is == *value);
            (is_own && names_no_other(limit, tag)) || is_only_for(limit, tag, value)
        })
    }

    /// A budget for these values.
    pub(super) fn sees_budget(&self, budget: &BudgetStanding) -> bool {
        self.tags().all(|(tag, value)| {
            let is_own = |any: &[Arc<str>]| matches!(any, [only] if **only == *value);
            let mut of = budget.of.iter().flatten();
            of.any(|(known, any)| known == tag && is_own(any))
        })
    }

    /// A limit or a pause: those that are for nobody else.
    pub(super) fn sees_limit(&self, limit: &Limit) -> bool {
        let is_own = |(tag, value): (&Tag, &str)| {
            (limit.per.contains(tag) && names_no_other(limit, tag))
                || is_only_for(limit, tag, value)
        };
        self.tags().all(is_own)
    }
}

/// Whether its words are the same for every value of a tag.
fn names_no_other(limit: &Limit, tag: &Tag) -> bool {
    limit.when.iter().all(|(known, _)| known != tag)
}

fn is_only_for(limit: &Limit, tag: &Tag, value: &str) -> bool {
    let mut when = limit.when.iter();
    when.any(|(known, any)| known == tag && matches!(&any[..], [only] if **only == *value))
}

impl FromRequestParts<Arc<Operated>> for Scope {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        operated: &Arc<Operated>,
    ) -> Result<Self, Problem> {
        let Some(key) = key(parts, operated)? else {
            return Ok(Scope::default());
        };
        let key = at_least(key, Role::Viewer, "viewer")?;
        Ok(match key.role {
            Role::Admin => Scope::default(),
            _ => Scope(key.tags.clone()),
        })
    }
}
