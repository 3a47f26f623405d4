//! What an attempt may cost at most, and what it did cost.

use std::sync::Arc;

use super::context::Facts;
use crate::{
    error::Rejection,
    limit::Demand,
    pricing::{Price, PriceTable, ServiceTier},
    store::Settlement,
    tags::{Tag, Tags},
    usage::Usage,
    wire::Dialect,
};

/// How a gate prices attempts.
#[derive(Clone, Debug)]
pub(crate) struct Pricing {
    pub(crate) table: Arc<PriceTable>,
    /// Whether a model without a price passes, and counts nothing.
    pub(crate) unknown_passes: bool,
    /// Output tokens that a call may come to which names no cap, where the model's price does not say.
    pub(crate) output_without_cap: u64,
}

/// The most tokens that an attempt can come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) input: u64,
    /// For each of its choices; `None` where the caller named no cap.
    pub(super) output: Option<u64>,
    pub(super) choices: u64,
}

impl Pricing {
    /// The price of what the tags name; `None` where nobody knows it, and that is allowed.
    fn price(&self, tags: &Tags) -> Result<Option<&Price>, Rejection> {
        let provider = tags.get(&Tag::Provider);
        let Some(model) = tags.get(&Tag::Model) else {
            return Ok(None);
        };
        match self.table.find(provider, model) {
            Some(found) => Ok(Some(found.price)),
            None if self.unknown_passes => Ok(None),
            None => Err(Rejection::UnknownPrice {
                model: model.to_owned(),
                provider: provider.map(str::to_owned),
            }),
        }
    }

    /// What is asked for, with what it costs at most.
    pub(super) fn demand(&self, facts: &Facts) -> Result<Demand, Rejection> {
        let Facts {
            dialect,
            demand,
            tags,
            bound,
            ..
        } = facts;
        let is_billed = *dialect != Dialect::Generic;
        if is_billed && tags.get(&Tag::Model).is_none() && !self.unknown_passes {
            return Err(Rejection::UnknownPrice {
                model: String::new(),
                provider: tags.get(&Tag::Provider).map(str::to_owned),
            });
        }
        let Some(price) = self.price(tags)? else {
            return Ok(*demand);
        };
        let each = bound
            .output
            .or(price.max_output)
            .unwrap_or(self.output_without_cap);
        let output = each.saturating_mul(bound.choices);
        let cost = price.bound(bound.input, output, ServiceTier::Standard);
        Ok(Demand {
            cost: cost.as_nanos(),
            ..*demand
        })
    }

    /// How it ended, with what it cost. What a provider says of its own price goes before ours.
    pub(super) fn settlement(&self, tags: &Tags, settlement: Settlement) -> Settlement {
        let Settlement::Usage(usage) = settlement else {
            return settlement;
        };
        let price = self.price(tags).ok().flatten();
        let cost = usage
            .cost
            .or_else(|| Some(price?.cost(&usage, ServiceTier::Standard)));
        Settlement::Usage(Usage {
            cost: Some(cost.unwrap_or_default()),
            ..usage
        })
    }
}
