//! Another configuration while calls wait and run.

use super::{Config, ConfigError, RateLimiting, Stack};
use crate::{
    error::StoreError,
    limit::{Limit, LimitsDiffer},
    limiter::ReconfigureError,
};

/// What a [reload](Stack::reload) has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reloaded {
    /// The limits whose amounts are others now, in words.
    pub changed: Vec<ChangedLimit>,
}

/// A limit before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangedLimit {
    /// As it was: `requests 60/min for model=gpt-4`.
    pub before: String,
    /// As it is.
    pub now: String,
}

/// Why a configuration was not taken. Everything is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// It makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It changes what cannot change while calls run.
    #[error("cannot change while calls run: {}; restart for that, or leave it as it was", paths.join(", "))]
    Fixed {
        /// Where: `rate_limiting.queue.aging`.
        paths: Vec<String>,
    },
    /// It has other limits, and not only other amounts of them.
    #[error("{0}; restart for that, or leave it as it was")]
    Limits(#[from] LimitsDiffer),
    /// The store cannot change them.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Stack {
    /// Changes what runs to another configuration, and loses no count: what was used and spent goes on counting, calls
    /// in flight go on, and those that wait keep their places, unless they no longer fit at all.
    ///
    /// Amounts change, with `headroom`, amounts for values and the sizes of guaranteed shares, those of budgets too.
    /// Anything else that differs is an error, and so is a configuration that makes no sense: then nothing is changed.
    /// Prices are among it, the contents of the price file too: what is reserved was reserved by them. So are providers,
    /// their keys and routes.
    ///
    /// ```
    /// use tower_quota::{config::{Config, ReloadError}, limiter::Call};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let rpm = |n| Config::from_yaml(&format!("rate_limiting: {{ global: {{ rpm: {n} }} }}"));
    /// let stack = rpm(1)?.build()?;
    /// drop(stack.limiter.acquire(Call::new()).await?);
    ///
    /// let reloaded = stack.reload(&rpm(2)?).await?;
    /// assert_eq!(reloaded.changed[0].now, "requests 2/min");
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
    /// Dropping the future stops nothing: the change is made, or refused, all the same.
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
        let limits = block.limits()?;
        let (prices, _) = block
            .price_table(&mut Vec::new())
            .map_err(|error| block.replaced.hide(error))?;
        let mut paths = fixed(&self.config, block);
        if prices != *self.prices {
            paths.push("prices");
        }
        if !paths.is_empty() {
            let paths = paths
                .into_iter()
                .map(|path| format!("rate_limiting.{path}"));
            return Err(ReloadError::Fixed {
                paths: paths.collect(),
            });
        }
        let before = self.limiter.limits_now();
        match self.limiter.reconfigure(&limits).await {
            Ok(()) => {}
            Err(ReconfigureError::Store(error)) => return Err(error.into()),
            Err(ReconfigureError::Differ(differ)) => return Err(hidden(block, differ)),
        }
        let now = self.limiter.limits_now();
        let pairs = before.iter().zip(now.iter());
        let changed = pairs.filter(|(before, now)| amounts(before) != amounts(now));
        Ok(Reloaded {
            changed: changed
                .map(|(before, now)| ChangedLimit {
                    before: before.to_string(),
                    now: now.to_string(),
                })
                .collect(),
        })
    }
}

/// What may change of a limit.
fn amounts(limit: &Limit) -> impl PartialEq + use<'_> {
    (limit.amount, &limit.amounts, limit.headroom, &limit.shares)
}

/// Limits are named by their tags, and these may be secrets of the new file.
fn hidden(block: &RateLimiting, differ: LimitsDiffer) -> ReloadError {
    let shown = ConfigError::Value {
        path: "rate_limiting".to_owned(),
        reason: differ.to_string(),
    };
    let hidden = block.replaced.hide(shown.clone());
    if hidden == shown {
        ReloadError::Limits(differ)
    } else {
        ReloadError::Config(hidden)
    }
}

/// Where two blocks differ in what cannot change while calls run. Every field of a block is either here or a part of
/// its limits or prices, which are compared as they are.
fn fixed(old: &RateLimiting, new: &RateLimiting) -> Vec<&'static str> {
    let RateLimiting {
        enabled,
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
        replaced: _,
    } = new;
    let same = [
        ("enabled", *enabled == old.enabled),
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
