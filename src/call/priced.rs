//! What an attempt may cost at most, and what it did cost.

use std::sync::Arc;

use super::context::Facts;
use crate::{
    error::Rejection,
    limit::Demand,
    money::Money,
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
        // Which tier serves it is told at the end.
        let tiers = price.tiers.iter().map(|(tier, _)| *tier);
        let tiers = tiers.chain([ServiceTier::Standard]);
        let costs = tiers.map(|tier| price.bound(bound.input, output, tier));
        Ok(Demand {
            cost: costs.max().unwrap_or_default().as_nanos(),
            ..*demand
        })
    }

    /// What it has come to by now; `None` where nobody knows that.
    pub(super) fn cost(&self, tags: &Tags, ended: &Ended) -> Option<Money> {
        self.price(tags).ok().flatten()?;
        match self.settlement(tags, ended) {
            Settlement::Usage(usage) => usage.cost,
            Settlement::Unknown => None,
        }
    }

    /// Up to how many output tokens so much more money does.
    pub(super) fn output_within(&self, tags: &Tags, ended: &Ended, money: Money) -> u64 {
        let (Ok(Some(price)), Settlement::Usage(usage)) = (self.price(tags), ended.settlement)
        else {
            return u64::MAX;
        };
        let more = price.output_for(money, usage.input, ended.tier);
        usage.output.saturating_add(more)
    }

    /// How it ended, with what it cost: by our price, or more where the provider says that it charges more.
    pub(super) fn settlement(&self, tags: &Tags, ended: &Ended) -> Settlement {
        let Settlement::Usage(usage) = ended.settlement else {
            return ended.settlement;
        };
        if !ended.is_final && usage.output == 0 {
            // Nothing was seen of it, and nobody knows what was generated: what was reserved.
            return Settlement::Unknown;
        }
        let price = self.price(tags).ok().flatten();
        let ours = price.map(|price| price.cost(&usage, ended.tier));
        Settlement::Usage(Usage {
            cost: Some(ours.max(usage.cost).unwrap_or_default()),
            ..usage
        })
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) settlement: Settlement,
    /// Whether its usage is the provider's last word, and no estimate.
    pub(crate) is_final: bool,
    /// How it was served.
    pub(crate) tier: ServiceTier,
    pub(crate) input: Input,
}

/// What is known of the input of an attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input {
    /// Nothing was estimated, or nothing became of it.
    Unknown,
    /// It was estimated at so much, which is in the usage.
    Estimated(u64),
    /// It was estimated at so much, and was so much by the provider's last word.
    Reported { estimate: u64, used: u64 },
}

impl Ended {
    /// So, for sure.
    pub(crate) fn with(settlement: Settlement) -> Self {
        Ended {
            settlement,
            is_final: true,
            tier: ServiceTier::Standard,
            input: Input::Unknown,
        }
    }
}
