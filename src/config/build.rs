//! From a configuration to a stack that runs.

use std::{num::NonZeroU32, sync::Arc};

use super::{Config, ConfigError, Preset, RateLimiting, UnknownPrice};
use crate::{
    admission::AdmissionLayer,
    budget::BudgetLayer,
    limit::{CalendarUnit, Charge, Identity, Limit, Limits, Quantity},
    limiter::{Limiter, QueueOptions},
    pricing::{LiteLlm, PriceTable},
    rate_limit::RateLimitLayer,
    retry::RetryLayer,
    store::MemoryStore,
    tags::{Tag, bounded, model::limited},
};

/// What a configuration builds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stack {
    /// The layer to wrap a client or a router with.
    pub layer: RateLimitLayer,
    /// The limiter inside it.
    pub limiter: Limiter,
    /// The store inside that, for a [snapshot](MemoryStore::snapshot).
    pub store: Arc<MemoryStore>,
    /// What was read of the price file, and what was not understood, where there is one.
    pub price_file: Option<LiteLlm>,
    /// The prices that budgets count by.
    pub prices: Arc<PriceTable>,
    /// What it was built from.
    pub(super) config: Arc<RateLimiting>,
    /// What is in force, and may not be meant. Show it to people.
    pub doubts: Vec<String>,
}

impl Config {
    /// Checks every value and builds the stack.
    ///
    /// # Errors
    /// The first value that makes no sense, with its path.
    pub fn build(&self) -> Result<Stack, ConfigError> {
        self.rate_limiting.build()
    }

    /// Checks every value, and puts the limits together without a stack.
    ///
    /// # Errors
    /// The first value that makes no sense, with its path.
    pub fn limits(&self) -> Result<Limits, ConfigError> {
        self.rate_limiting.limits()
    }

    /// As [`build`](Self::build), on a store that counts already: one that was restored under
    /// [`limits`](Self::limits). The limits are the store's.
    ///
    /// # Errors
    /// The first value that makes no sense, with its path.
    pub fn build_on(&self, store: MemoryStore) -> Result<Stack, ConfigError> {
        self.rate_limiting.build_on(store)
    }
}

impl RateLimiting {
    /// As [`Config::build`], for a block that stands in a file of somebody else's.
    ///
    /// # Errors
    /// The first value that makes no sense, with its path.
    pub fn build(&self) -> Result<Stack, ConfigError> {
        self.build_on(MemoryStore::new(self.limits()?))
    }

    /// As [`Config::limits`].
    ///
    /// # Errors
    /// The first value that makes no sense, with its path.
    pub fn limits(&self) -> Result<Limits, ConfigError> {
        self.checked_limits()
            .map_err(|error| self.replaced.hide(error))
    }

    fn checked_limits(&self) -> Result<Limits, ConfigError> {
        self.check()?;
        let named = if self.enabled {
            self.named()
        } else {
            Vec::new()
        };
        let (paths, limits): (Vec<String>, Vec<Limit>) = named.into_iter().unzip();
        Limits::new(limits).map_err(|source| ConfigError::Limit {
            path: paths[source.place()].clone(),
            source,
        })
    }

    /// As [`Config::build_on`].
    ///
    /// # Errors
    /// The first value that makes no sense, with its path.
    pub fn build_on(&self, store: MemoryStore) -> Result<Stack, ConfigError> {
        self.stack_on(store)
            .map_err(|error| self.replaced.hide(error))
    }

    fn stack_on(&self, store: MemoryStore) -> Result<Stack, ConfigError> {
        self.check()?;
        let store = store.absorb_counters(self.absorb_counters);
        let store = Arc::new(store.max_counts(self.max_counts));
        let mut queue = QueueOptions::new()
            .max_waiting(self.queue.max_waiting)
            .aging(self.queue.aging.into())
            .share_by(Tag::from(self.queue.share_by.as_str()));
        for (party, weight) in &self.queue.weights {
            queue = queue.weight(party.as_str(), checked(*weight));
        }
        let limiter = Limiter::build(store.clone(), queue);
        let retry = RetryLayer::new()
            .max_attempts(checked(self.retry.max_attempts))
            .longest_wait(self.retry.longest_wait.into());
        let mut doubts = Vec::new();
        let (prices, price_file) = self.price_table(&mut doubts)?;
        let doubts = doubts
            .iter()
            .map(|doubt| self.replaced.hide_in("rate_limiting", doubt));
        let doubts = doubts.collect();
        let prices = Arc::new(prices);
        let budget =
            BudgetLayer::new(limiter.clone(), prices.clone()).patience(self.budget_patience.into());
        let budget = match self.cap_output {
            Some(tokens) => budget.cap_output(tokens),
            None => budget,
        };
        let budget = match self.unknown_price {
            UnknownPrice::Deny => budget,
            UnknownPrice::Allow => budget.allow_unknown_prices(),
        };
        let layer = RateLimitLayer::of(retry, AdmissionLayer::new(limiter.clone())).budget(budget);
        let layer = if self.enabled { layer } else { layer.off() };
        Ok(Stack {
            layer,
            limiter,
            store,
            price_file,
            prices,
            config: Arc::new(self.clone()),
            doubts,
        })
    }

    /// Every limit, with the path it stands under.
    fn named(&self) -> Vec<(String, Limit)> {
        let mut limits: Vec<(String, Limit)> = Vec::new();
        for (key, limit) in self.global.limits() {
            limits.push((format!("global.{key}"), limit));
        }
        for (provider, models) in &self.providers {
            for (model, quota) in models {
                for (key, limit) in quota.limits() {
                    let limit = limit.charge(Charge::of(provider));
                    let limit = limit
                        .when(Tag::Provider, provider.as_str())
                        .when(Tag::Model, model.as_str());
                    limits.push((format!("providers.{provider}.{model}.{key}"), limit));
                }
            }
        }
        let agents = limits.len();
        for (agent, quota) in &self.agents {
            for (key, limit) in quota.limits() {
                limits.push((
                    format!("agents.{agent}.{key}"),
                    limit.when(Tag::Agent, agent.as_str()),
                ));
            }
        }
        for (place, limit) in self.limits.iter().enumerate() {
            limits.push((format!("limits[{place}]"), limit.limit()));
        }
        let published = self.published(&limits);
        limits.splice(agents..agents, published);
        for (key, limit) in self.spends() {
            limits.push((key.to_owned(), limit));
        }
        let budgets = limits.iter_mut().map(|(_, limit)| limit);
        for budget in budgets.filter(|limit| limit.quantity == Quantity::Cost) {
            budget.thresholds.extend(self.alert_threshold);
        }
        for (place, budget) in self.budgets.iter().enumerate() {
            let limit = budget.limit(&self.time_zone, self.alert_threshold);
            limits.push((format!("budgets[{place}]"), limit));
        }
        for (path, limit) in &mut limits {
            path.insert_str(0, "rate_limiting.");
            self.name_aliases(limit);
            if limit.quantity == Quantity::Cost {
                continue;
            }
            if limit.margin.is_none() && limit.quantity != Quantity::Concurrency {
                limit.margin = self.margin.map(Into::into);
            }
            limit.headroom = limit.headroom.or(self.headroom);
        }
        limits
    }

    /// The limits of presets, without what is said otherwise.
    fn published(&self, said: &[(String, Limit)]) -> Vec<(String, Limit)> {
        let presets = self.presets.iter().enumerate();
        let found = presets.filter_map(|(place, name)| Some((place, Preset::find(name)?)));
        let limits = found.flat_map(|(place, preset)| {
            let path = format!("presets[{place}]");
            let limits: Vec<Limit> = preset.limits().map(|(limit, _)| limit).collect();
            limits.into_iter().map(move |limit| (path.clone(), limit))
        });
        let left = limits.filter_map(|(path, limit)| Some((path, said_otherwise(limit, said)?)));
        left.collect()
    }

    /// Has a limit on models be on their aliases, too.
    fn name_aliases(&self, limit: &mut Limit) {
        for (tag, values) in &mut limit.when {
            if *tag != Tag::Model {
                continue;
            }
            for (alias, model) in &self.model_aliases {
                let mut names = limited(model).into_iter();
                if names.any(|(name, _)| values.iter().any(|value| **value == *name)) {
                    values.push(bounded(alias.as_str().into()));
                }
            }
            values.sort();
            values.dedup();
        }
    }

    /// The budgets over all calls.
    fn spends(&self) -> impl Iterator<Item = (&'static str, Limit)> {
        let of =
            |unit| move |amount| Limit::cost(amount).every_calendar(unit, self.time_zone.as_str());
        [
            (
                "max_hourly_spend",
                self.max_hourly_spend.map(of(CalendarUnit::Hour)),
            ),
            (
                "max_daily_spend",
                self.max_daily_spend.map(of(CalendarUnit::Day)),
            ),
            (
                "max_weekly_spend",
                self.max_weekly_spend.map(of(CalendarUnit::Week)),
            ),
            (
                "max_monthly_spend",
                self.max_monthly_spend.map(of(CalendarUnit::Month)),
            ),
        ]
        .into_iter()
        .filter_map(|(key, limit)| Some((key, limit?)))
    }
}

/// A published limit without the models that have a limit of their own on the same; `None` where all of them have,
/// or another limit is on just the same calls.
fn said_otherwise(mut limit: Limit, said: &[(String, Limit)]) -> Option<Limit> {
    let same = |other: &Limit| Identity::of(other).same(&Identity::of(&limit));
    if said.iter().any(|(_, other)| same(other)) {
        return None;
    }
    let has_own = |model: &str| {
        let mut alone = limit.clone();
        alone.when.retain(|(tag, _)| *tag != Tag::Model);
        let alone = Identity::of(&alone.when(Tag::Model, model));
        said.iter()
            .any(|(_, other)| Identity::of(other).same(&alone))
    };
    let Some(at) = limit.when.iter().position(|(tag, _)| *tag == Tag::Model) else {
        return Some(limit);
    };
    let mut models = limit.when[at].1.clone();
    models.retain(|model| !has_own(model));
    limit.when[at].1 = models;
    (!limit.when[at].1.is_empty()).then_some(limit)
}

/// A number that was found not to be 0.
fn checked(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}
