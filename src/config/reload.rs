//! Another configuration while calls wait and run.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{Config, ConfigError, RateLimiting, Stack};
use crate::{
    error::StoreError,
    limit::{Difference, Limit, Limits},
    store::Reason,
};

/// What a [reload](Stack::reload) has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reloaded {
    /// The limits of which something has changed.
    pub changed: Vec<ChangedLimit>,
    /// The limits that are new, in words. They count from now on.
    pub added: Vec<String>,
    /// The limits that are gone, in words. Their counts are forgotten.
    pub removed: Vec<String>,
    /// Whether any price has changed.
    pub prices: bool,
    /// What is in force now, but may not be what was meant. Show it to people.
    pub doubts: Vec<String>,
}

/// A limit before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangedLimit {
    /// The limit as it was: `requests 60/min for model=gpt-4`.
    pub before: String,
    /// The limit as it is now. These words do not show everything that may have changed.
    pub now: String,
    /// What of it has changed: `amount`, `margin`.
    pub fields: Vec<&'static str>,
}

/// Why a configuration was not accepted. Everything is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration changes something that cannot change while calls run.
    #[error("cannot change while calls run: {}; restart for that, or leave it as it was", paths.join(", "))]
    Fixed {
        /// The keys that differ: `rate_limiting.queue.aging`.
        paths: Vec<String>,
    },
    /// The store cannot change its limits.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The configuration that a running stack goes by.
#[derive(Debug)]
pub(super) struct Running {
    config: Mutex<Arc<RateLimiting>>,
    /// Held during a change, so that there is only one at a time.
    changing: tokio::sync::Mutex<()>,
}

impl Running {
    pub(super) fn by(config: RateLimiting) -> Arc<Self> {
        Arc::new(Running {
            config: Mutex::new(Arc::new(config)),
            changing: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn config(&self) -> Arc<RateLimiting> {
        self.config.lock().clone()
    }
}

impl Stack {
    /// Changes what runs to another configuration, and loses no count: what was used and spent under limits that stay goes
    /// on counting, calls in flight go on, and those that wait keep their places, unless they no longer fit at all.
    ///
    /// Limits and budgets may be added and removed, and anything may be said of those that stay, as
    /// [`Limiter::reconfigure`](crate::Limiter::reconfigure) has it: what is new counts from now on. Prices may be others,
    /// the contents of the price file too: for calls that come from now on, while those that have come are charged by what
    /// was reserved by.
    ///
    /// What is [paused](crate::limit::Limit::paused) stays so, and what was [changed](crate::Limiter::change) by hand of a
    /// limit stays, as long as the configuration says of it what it said before.
    ///
    /// Retries, the queue, providers with their keys and routes, and what else is neither a limit nor a price, cannot
    /// change: where any of them differs that is an error, and so is a configuration that makes no sense. Then nothing is
    /// changed.
    ///
    /// ```
    /// use tower_quota::{config::{Config, ReloadError}, limiter::Call};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let global = |limits: &str| Config::from_yaml(&format!("rate_limiting: {{ global: {{ {limits} }} }}"));
    /// let stack = global("rpm: 1, tpm: 900")?.build()?;
    /// drop(stack.limiter.acquire(Call::new()).await?);
    ///
    /// let reloaded = stack.reload(&global("rpm: 2, rps: 50")?).await?;
    /// assert_eq!(reloaded.changed[0].now, "requests 2/min");
    /// assert_eq!((reloaded.added, reloaded.removed), (vec!["requests 50/s".into()], vec!["tokens 900/min".into()]));
    /// drop(stack.limiter.try_acquire(Call::new()).await?);
    /// assert!(stack.limiter.try_acquire(Call::new()).await.is_err());
    ///
    /// let other = Config::from_yaml("rate_limiting: { global: { rpm: 9 }, queue: { aging: 1s } }")?;
    /// assert_eq!(
    ///     stack.reload(&other).await.unwrap_err().to_string(),
    ///     "cannot change while calls run: rate_limiting.queue.aging; restart for that, or leave it as it was"
    /// );
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ReloadError`] says what stands against it. Nothing is changed then.
    ///
    /// # Cancel safety
    /// Dropping the future stops nothing that has begun: the change is made whole, or not at all.
    pub async fn reload(&self, config: &Config) -> Result<Reloaded, ReloadError> {
        self.reload_block(&config.rate_limiting).await
    }

    /// As [`reload`](Self::reload), for a block that stands in a file of somebody else's.
    ///
    /// # Errors
    /// As [`reload`](Self::reload).
    ///
    /// # Cancel safety
    /// As [`reload`](Self::reload).
    pub async fn reload_block(&self, block: &RateLimiting) -> Result<Reloaded, ReloadError> {
        self.reload_because(block, "the configuration was read again")
            .await
    }

    /// As [`reload_block`](Self::reload_block), and the [audit log](crate::Limiter::audit) has who did it, and why.
    ///
    /// # Errors
    /// As [`reload`](Self::reload).
    ///
    /// # Cancel safety
    /// As [`reload`](Self::reload).
    pub async fn reload_because(
        &self,
        block: &RateLimiting,
        reason: impl Into<Reason>,
    ) -> Result<Reloaded, ReloadError> {
        let reason = reason.into();
        let limits = block.limits()?;
        let mut doubts = Vec::new();
        let (prices, _) = block
            .price_table(&mut doubts)
            .map_err(|error| block.replaced.hide(error))?;
        doubts.extend(block.failover.doubts(limits.count_cost()));
        doubts.extend(block.doubt_uncapped(&prices));
        doubts.extend(block.doubts());
        let _one_at_a_time = self.running.changing.lock().await;
        let old = self.running.config();
        let paths = fixed(&old, block);
        if !paths.is_empty() {
            let paths = paths
                .into_iter()
                .map(|path| format!("rate_limiting.{path}"));
            return Err(ReloadError::Fixed {
                paths: paths.collect(),
            });
        }
        let prices = Arc::new(prices);
        let other_prices = *prices != *self.prices();
        let then = {
            let (layer, running) = (self.layer.clone(), self.running.clone());
            let config = Arc::new(block.clone());
            move || {
                if other_prices {
                    layer.set_prices(prices);
                }
                layer.watch_budgets();
                *running.config.lock() = config;
            }
        };
        let given: Vec<Limit> = old.limits()?.iter().cloned().collect();
        let mut before = None;
        let kept = |held: &Limits| {
            before = Some(held.clone());
            let now = limits.opened_with(&given, held);
            Ok::<_, StoreError>((now, Some(limits)))
        };
        self.limiter.change_and(reason, kept, then).await?;
        let now = self.limiter.limits();
        let before = before.unwrap_or_else(|| now.clone());
        let mut reloaded = said(&before.difference(&now), &old, block);
        reloaded.prices = other_prices;
        let doubts = doubts.iter().map(|doubt| block.hidden(doubt));
        reloaded.doubts = doubts.collect();
        Ok(reloaded)
    }
}

/// Limits in words. They are named by their tags, and these may be secrets of either file.
fn said(difference: &Difference<'_>, old: &RateLimiting, new: &RateLimiting) -> Reloaded {
    let changed = difference.changed.iter();
    let changed = changed.map(|(before, now, fields)| ChangedLimit {
        before: old.hidden(&before.to_string()),
        now: new.hidden(&now.to_string()),
        fields: fields.clone(),
    });
    let added = difference.added.iter();
    let removed = difference.removed.iter();
    Reloaded {
        changed: changed.collect(),
        added: added.map(|limit| new.hidden(&limit.to_string())).collect(),
        removed: removed
            .map(|limit| old.hidden(&limit.to_string()))
            .collect(),
        ..Reloaded::default()
    }
}

/// Where two blocks differ in what cannot change while calls run. Every field of a block is either here or a part of
/// its limits or prices.
fn fixed(old: &RateLimiting, new: &RateLimiting) -> Vec<&'static str> {
    let RateLimiting {
        enabled,
        store,
        absorb_counters,
        max_counts,
        retry,
        failover,
        queue,
        cap_output,
        budget_patience,
        unknown_price,
        model_aliases,
        // These make limits.
        global: _,
        presets: _,
        providers: _,
        agents: _,
        limits: _,
        budgets: _,
        margin: _,
        headroom: _,
        max_hourly_spend: _,
        max_daily_spend: _,
        max_weekly_spend: _,
        max_monthly_spend: _,
        time_zone: _,
        alert_threshold: _,
        // There is one, and it changes nothing.
        currency: _,
        // These make prices.
        prices: _,
        price_file: _,
        // These are beside the block.
        replaced: _,
        elsewhere: _,
    } = new;
    let same = [
        ("enabled", *enabled == old.enabled),
        ("store", *store == old.store),
        ("absorb_counters", *absorb_counters == old.absorb_counters),
        ("max_counts", *max_counts == old.max_counts),
        (
            "retry.max_attempts",
            retry.max_attempts == old.retry.max_attempts,
        ),
        (
            "retry.longest_wait",
            retry.longest_wait == old.retry.longest_wait,
        ),
        ("retry.backoff", retry.backoff == old.retry.backoff),
        (
            "retry.retry_budget",
            retry.retry_budget == old.retry.retry_budget,
        ),
        (
            "retry.repeats_uncertain",
            retry.repeats_uncertain == old.retry.repeats_uncertain,
        ),
        (
            "failover.providers",
            failover.providers == old.failover.providers,
        ),
        ("failover.routes", failover.routes == old.failover.routes),
        (
            "failover.patience",
            failover.patience == old.failover.patience,
        ),
        (
            "failover.longest_wait",
            failover.longest_wait == old.failover.longest_wait,
        ),
        (
            "failover.max_attempts",
            failover.max_attempts == old.failover.max_attempts,
        ),
        (
            "failover.park_for",
            failover.park_for == old.failover.park_for,
        ),
        ("failover.breaker", failover.breaker == old.failover.breaker),
        ("failover.on", failover.on == old.failover.on),
        ("failover.not_on", failover.not_on == old.failover.not_on),
        (
            "queue.max_waiting",
            queue.max_waiting == old.queue.max_waiting,
        ),
        ("queue.max_wait", queue.max_wait == old.queue.max_wait),
        ("queue.aging", queue.aging == old.queue.aging),
        ("queue.share_by", queue.share_by == old.queue.share_by),
        ("queue.weights", queue.weights == old.queue.weights),
        ("cap_output", *cap_output == old.cap_output),
        ("budget_patience", *budget_patience == old.budget_patience),
        ("unknown_price", *unknown_price == old.unknown_price),
        ("model_aliases", *model_aliases == old.model_aliases),
    ];
    let differ = same.into_iter().filter(|(_, same)| !same);
    differ.map(|(path, _)| path).collect()
}
