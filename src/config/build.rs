//! From a configuration to a stack that runs.

#[cfg(feature = "sqlite")]
use std::path::Path;
use std::{num::NonZeroU32, sync::Arc};

use super::{Config, ConfigError, RateLimiting, UnknownPrice, reload::Running};
#[cfg(feature = "redis")]
use crate::store::RedisStore;
#[cfg(feature = "sqlite")]
use crate::store::SqliteStore;
use crate::{
    admission::AdmissionLayer,
    budget::BudgetLayer,
    error::StoreError,
    limit::{Limit, Limits},
    limiter::{Limiter, QueueOptions},
    pricing::{LiteLlm, PriceTable},
    rate_limit::RateLimitLayer,
    store::{MemoryStore, Opened, Store, StoreSetting, StoreSettingError, Terms},
    tags::Tag,
};

/// What a configuration builds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stack {
    /// The layer to wrap a client with. In a server, use
    /// [`AdmissionLayer::new(limiter).reject_when_full()`](AdmissionLayer::reject_when_full) instead: this one has callers
    /// wait, and runs a handler again that answers 503.
    pub layer: RateLimitLayer,
    /// The limiter inside the layer.
    pub limiter: Limiter,
    /// The store inside the limiter, if it counts in memory, for a [snapshot](MemoryStore::snapshot).
    pub store: Option<Arc<MemoryStore>>,
    /// The store inside the limiter, if it counts in a file.
    #[cfg(feature = "sqlite")]
    pub file: Option<Arc<SqliteStore>>,
    /// The store inside the limiter, if it counts on a server.
    #[cfg(feature = "redis")]
    pub server: Option<Arc<RedisStore>>,
    /// What was read from the price file when the stack was built, and what of it was not understood, if there is one.
    pub price_file: Option<LiteLlm>,
    /// The configuration that the stack runs by.
    pub(super) running: Arc<Running>,
    /// What was in force when the stack was built, but may not be what was meant. Show it to people.
    pub doubts: Vec<String>,
}

impl Stack {
    /// The prices that budgets count calls by which come now.
    #[must_use]
    pub fn prices(&self) -> Arc<PriceTable> {
        self.layer.prices()
    }

    /// Ends the store, where it is one that outlives this process: waits until it has all that was counted. What is asked
    /// of it from then on is an error.
    ///
    /// # Errors
    /// Where not all is kept.
    pub fn close(&self) -> Result<(), StoreError> {
        #[cfg(feature = "sqlite")]
        if let Some(file) = &self.file {
            file.close()?;
        }
        #[cfg(feature = "redis")]
        if let Some(server) = &self.server {
            server.close()?;
        }
        Ok(())
    }
}

impl Config {
    /// Checks every value and builds the stack, which counts where [`store`](RateLimiting::store) says. A file is read, a
    /// server asked: for a start of a program, not for a task among others.
    ///
    /// The limits are those of this configuration, whatever a [reload](Stack::reload) had made of them in a process before.
    ///
    /// # Errors
    /// The first value that makes no sense, with its path; [`ConfigError::Store`] where the store cannot be had.
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

    /// As [`build`](Self::build), on a store that counts already, whatever `store` says: one that was restored under
    /// [`limits`](Self::limits). The limits are the store's.
    ///
    /// # Errors
    /// The first value that makes no sense, with its path.
    pub fn build_on(&self, store: MemoryStore) -> Result<Stack, ConfigError> {
        self.rate_limiting.build_on(store)
    }

    /// As [`build`](Self::build), and counts in this file, whatever `store` says: see [`SqliteStore`]. The limits are those
    /// of this configuration, whatever a [reload](Stack::reload) had made of them in the process before: see
    /// [there](crate::store::sqlite#limits-that-have-changed).
    ///
    /// # Errors
    /// The first value that makes no sense, with its path; [`ConfigError::Store`] where the file cannot be had.
    #[cfg(feature = "sqlite")]
    pub fn build_in(&self, path: impl AsRef<Path>) -> Result<Stack, ConfigError> {
        self.rate_limiting.build_in(path)
    }
}

impl RateLimiting {
    /// As [`Config::build`], for a block that stands in a file of somebody else's.
    ///
    /// # Errors
    /// As there.
    pub fn build(&self) -> Result<Stack, ConfigError> {
        self.build_at(&self.store)
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

    /// Words, with what was written in the file where they would show what that stands for.
    pub(super) fn hidden(&self, words: &str) -> String {
        self.replaced.hide_in("rate_limiting", words)
    }

    /// As [`Config::build_on`].
    ///
    /// # Errors
    /// The first value that makes no sense, with its path.
    pub fn build_on(&self, store: MemoryStore) -> Result<Stack, ConfigError> {
        let store = store.absorb_counters(self.absorb_counters);
        self.stack_on(Opened::Memory(store.max_counts(self.max_counts).into()))
    }

    /// As [`Config::build_in`].
    ///
    /// # Errors
    /// The first value that makes no sense, with its path; [`ConfigError::Store`] where the file cannot be had.
    #[cfg(feature = "sqlite")]
    pub fn build_in(&self, path: impl AsRef<Path>) -> Result<Stack, ConfigError> {
        let at = StoreSetting::in_file(path.as_ref());
        self.build_at(&at.map_err(|error| self.no_store(&error))?)
    }

    fn build_at(&self, at: &StoreSetting) -> Result<Stack, ConfigError> {
        if !self.enabled {
            // Opened without limits, a store would forget what counts under them, for others too.
            return self.build_on(MemoryStore::new(self.limits()?));
        }
        let terms = Terms {
            max_counts: Some(self.max_counts),
            absorb_counters: Some(self.absorb_counters),
            #[cfg(any(feature = "redis", feature = "sqlite"))]
            by: Some("the configuration"),
        };
        let opened = at.open_by(self.limits()?, &terms);
        self.stack_on(opened.map_err(|error| self.no_store(&error))?)
    }

    /// Whether this program can open the [`store`](RateLimiting::store) that is named, as far as that can be told without
    /// opening it.
    ///
    /// # Errors
    /// [`ConfigError::Store`] where this program was built without it, or a server's address makes no sense.
    pub fn check_store(&self) -> Result<(), ConfigError> {
        self.store.check().map_err(|error| self.no_store(&error))
    }

    fn no_store(&self, error: &StoreSettingError) -> ConfigError {
        self.replaced.hide(ConfigError::Store(error.to_string()))
    }

    fn stack_on(&self, opened: Opened) -> Result<Stack, ConfigError> {
        let stack = |store| {
            let stack = self.stack_over(store);
            stack.map_err(|error| self.replaced.hide(error))
        };
        Ok(match opened {
            Opened::Memory(store) => Stack {
                store: Some(store.clone()),
                ..stack(store)?
            },
            #[cfg(feature = "sqlite")]
            Opened::Sqlite(file) => Stack {
                file: Some(file.clone()),
                ..stack(file)?
            },
            #[cfg(feature = "redis")]
            Opened::Redis(server) => Stack {
                server: Some(server.clone()),
                ..stack(server)?
            },
        })
    }

    fn stack_over(&self, store: Arc<dyn Store>) -> Result<Stack, ConfigError> {
        self.check()?;
        let mut queue = QueueOptions::new()
            .max_waiting(self.queue.max_waiting)
            .aging(self.queue.aging.into())
            .share_by(Tag::from(self.queue.share_by.as_str()));
        if let Some(wait) = self.queue.max_wait {
            queue = queue.max_wait(wait.into());
        }
        for (party, weight) in &self.queue.weights {
            queue = queue.weight(party.as_str(), checked(*weight));
        }
        let limiter = Limiter::build(store, queue);
        let failover = self.retry.reaches(self.failover.layer()?);
        let mut doubts = Vec::new();
        let (prices, price_file) = self.price_table(&mut doubts)?;
        doubts.extend(self.failover.doubts(limiter.limits().count_cost()));
        doubts.extend(self.doubt_uncapped(&prices));
        doubts.extend(self.doubts());
        let doubts = doubts.iter().map(|doubt| self.hidden(doubt)).collect();
        let budget = BudgetLayer::new(limiter.clone(), Arc::new(prices))
            .patience(self.budget_patience.into());
        let budget = match self.cap_output {
            Some(tokens) => budget.cap_output(tokens),
            None => budget,
        };
        let budget = match self.unknown_price {
            UnknownPrice::Deny => budget,
            UnknownPrice::Allow => budget.allow_unknown_prices(),
        };
        let layer = RateLimitLayer::of(self.retry.layer(), AdmissionLayer::new(limiter.clone()))
            .budget(budget)
            .failover(failover);
        let layer = if self.enabled { layer } else { layer.off() };
        Ok(Stack {
            layer,
            limiter,
            store: None,
            #[cfg(feature = "sqlite")]
            file: None,
            #[cfg(feature = "redis")]
            server: None,
            price_file,
            running: Running::by(self.clone()),
            doubts,
        })
    }
}

/// A number that was found not to be 0.
fn checked(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}
