//! Budgets that a few calls use up which name no cap on their output.

use super::{RateLimiting, resolve::leads_to};
use crate::{
    limit::Quantity,
    money::Money,
    pricing::{Price, PriceTable, ServiceTier},
};

/// So many calls at least should fit a budget at one time.
const CALLS: u64 = 4;
/// What is reserved where a price does not say how much the model gives: the default of
/// [`output_without_cap`](crate::BudgetLayer::output_without_cap).
const UNKNOWN_OUTPUT: u64 = 128_000;

impl RateLimiting {
    /// What is doubtful of the budgets that refuse calls, beside what calls of the models cost that are named here. One budget
    /// is told of, the tightest: `cap_output` is the remedy for all.
    pub(super) fn doubt_uncapped(&self, prices: &PriceTable) -> Option<String> {
        if !self.enabled || self.cap_output.is_some() {
            return None;
        }
        let limits = self.named();
        let models = self.models();
        let mut tightest: Option<(u64, u64, &str, &str)> = None;
        for (path, limit) in &limits {
            if limit.quantity != Quantity::Cost || limit.shadow {
                continue;
            }
            for &(provider, model) in &models {
                let found = prices.find(provider, model);
                let cost = found.map_or(0, |found| uncapped(found.price));
                let is_few = limit.amount < cost.saturating_mul(CALLS);
                if !is_few || leads_to(limit, provider, model).is_none() {
                    continue;
                }
                // In whole numbers: which of the two budgets has fewer calls in it.
                let is_tighter = tightest.is_none_or(|(amount, other, ..)| {
                    u128::from(limit.amount) * u128::from(other)
                        < u128::from(amount) * u128::from(cost)
                });
                if is_tighter {
                    tightest = Some((limit.amount, cost, path.as_str(), model));
                }
            }
        }
        let (amount, cost, path, model) = tightest?;
        Some(format!(
            "{path}: a call for `{model}` that names no cap on its output reserves {}, of {} in all, so that few such calls \
             run at a time, or none; set `rate_limiting.cap_output`",
            Money::from_nanos(cost),
            Money::from_nanos(amount)
        ))
    }

    /// The models that are named here, each with its provider where that is said; not those of presets, of which hardly
    /// anybody uses all.
    fn models(&self) -> Vec<(Option<&str>, &str)> {
        let mut models: Vec<(Option<&str>, &str)> = self.failover.models().collect();
        for (provider, own) in self.providers.iter().filter(|(name, _)| !caps(name)) {
            models.extend(own.keys().map(|model| (Some(&**provider), &**model)));
        }
        for (provider, own) in self.prices.iter().filter(|(name, _)| !caps(name)) {
            models.extend(own.keys().map(|model| (Some(&**provider), &**model)));
        }
        let limits = self.limits.iter().map(|limit| &limit.when);
        let budgets = self.budgets.iter().map(|budget| &budget.when);
        for when in limits.chain(budgets) {
            let provider = match when.get("provider").map(|values| values.0.as_slice()) {
                Some([only]) => Some(&**only),
                _ => None,
            };
            if provider.is_some_and(caps) {
                continue;
            }
            let named = when.get("model").into_iter().flat_map(|values| &values.0);
            models.extend(named.map(|model| (provider, &**model)));
        }
        models
    }
}

/// Whether its API wants a cap of every call. Routes may lead to another one of it.
fn caps(provider: &str) -> bool {
    provider == "anthropic"
}

/// What is reserved for the output of a call that names no cap, in the dearest tier.
fn uncapped(price: &Price) -> u64 {
    let output = price.max_output.unwrap_or(UNKNOWN_OUTPUT);
    let tiers = price.tiers.iter().map(|(tier, _)| *tier);
    let costs = tiers
        .chain([ServiceTier::Standard])
        .map(|tier| price.bound(0, output, tier));
    costs.max().unwrap_or_default().as_nanos()
}

#[cfg(test)]
#[path = "uncapped_tests.rs"]
mod tests;
