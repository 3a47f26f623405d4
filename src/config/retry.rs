//! `retry:`

use std::{num::NonZeroU32, time::Duration};

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Deserializer};

use super::{
    ConfigError, Span, schema,
    short::{self, Short},
};
use crate::{
    failover::FailoverLayer,
    retry::{RetryBudget, RetryLayer},
};

/// `retry:`: how failed attempts are repeated; see [`RetryLayer`] for which ones.
///
/// ```
/// use tower_quota::config::Config;
///
/// let config = Config::from_yaml(
///     "rate_limiting:
///        retry: { max_attempts: 5, backoff: { base: 250ms }, retry_budget: { percent: 10 }, repeats_uncertain: false }
///     ",
/// )?;
/// assert!(config.build().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RetryConfig {
    /// How many attempts a call makes at most; with 1, nothing is repeated.
    #[schemars(range(min = 1))]
    pub max_attempts: u32,
    /// The longest wait that a provider may ask for and that a call still waits out. While more than that is left, calls to
    /// the same target are refused.
    pub longest_wait: Span,
    /// How long a call waits before a repeat if the provider does not say.
    pub backoff: BackoffConfig,
    /// How many repeats there may be after failures other than a 429. With `off`, there are as many as `max_attempts`
    /// allows, which in an outage multiplies the load by that number. Calls that come back to a target of a route have a
    /// retry budget of their own, of the same size.
    #[serde(deserialize_with = "or_off")]
    #[schemars(schema_with = "schema_or_off")]
    pub retry_budget: Option<RetryBudgetConfig>,
    /// Whether to repeat attempts that may have been billed, because their connection broke or timed out before the
    /// answer, or before anything of a stream was generated.
    /// This holds for repeating them at other targets as well.
    pub repeats_uncertain: bool,
}

/// `retry.backoff:`: how long a call waits before a repeat if the provider does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct BackoffConfig {
    /// The longest wait before the first repeat. It doubles before each further repeat.
    pub base: Span,
    /// The longest wait before any repeat.
    pub cap: Span,
}

/// `retry.retry_budget:`: how many repeats there may be after failures other than a 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RetryBudgetConfig {
    /// How many repeats there may be for every hundred calls.
    #[schemars(range(min = 0))]
    pub percent: u32,
    /// How many further repeats there may be, for programs that call seldom. Used ones are available again after ten
    /// seconds.
    #[schemars(range(min = 0))]
    pub reserve: u32,
}

impl Default for RetryConfig {
    fn default() -> Self {
        RetryConfig {
            max_attempts: 3,
            longest_wait: Span::from_secs(60),
            backoff: BackoffConfig::default(),
            retry_budget: Some(RetryBudgetConfig::default()),
            repeats_uncertain: true,
        }
    }
}

impl Default for BackoffConfig {
    fn default() -> Self {
        BackoffConfig {
            base: Duration::from_millis(500).into(),
            cap: Span::from_secs(8),
        }
    }
}

impl Default for RetryBudgetConfig {
    fn default() -> Self {
        RetryBudgetConfig {
            percent: 20,
            reserve: 10,
        }
    }
}

struct OrOff(Option<RetryBudgetConfig>);

impl Short for OrOff {
    type Block = RetryBudgetConfig;
    const WANTED: &'static str = "`off`, or a block with `percent` and `reserve`";

    fn of_block(block: RetryBudgetConfig) -> Result<Self, String> {
        Ok(OrOff(Some(block)))
    }

    fn of_text(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(OrOff(None)),
            _ => Err(format!(
                "the text does not belong here; wanted is {}",
                Self::WANTED
            )),
        }
    }
}

fn or_off<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<RetryBudgetConfig>, D::Error> {
    short::read::<OrOff, D>(deserializer).map(|budget| budget.0)
}

fn schema_or_off(generator: &mut schemars::SchemaGenerator) -> Schema {
    schema::shorter::<RetryBudgetConfig>(generator, &["string", "boolean"])
}

impl RetryConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |path: &str, reason: &str| {
            Err(ConfigError::Value {
                path: format!("rate_limiting.retry.{path}"),
                reason: reason.to_owned(),
            })
        };
        if self.max_attempts == 0 {
            return wrong(
                "max_attempts",
                "is 0, which sends nothing; 1 repeats nothing",
            );
        }
        if Duration::from(self.backoff.base).is_zero() {
            return wrong(
                "backoff.base",
                "is 0, so that repeats would not wait at all; write 500ms",
            );
        }
        if self.backoff.cap < self.backoff.base {
            return wrong(
                "backoff.cap",
                "is less than `base`; it is the longest wait of all",
            );
        }
        Ok(())
    }

    pub(super) fn layer(&self) -> RetryLayer {
        let attempts = NonZeroU32::new(self.max_attempts).unwrap_or(NonZeroU32::MIN);
        let layer = RetryLayer::new()
            .max_attempts(attempts)
            .longest_wait(self.longest_wait.into())
            .backoff(self.backoff.base.into(), self.backoff.cap.into())
            .repeats_uncertain(self.repeats_uncertain);
        match self.budget() {
            Some(budget) => layer.retry_budget(budget),
            None => layer.no_retry_budget(),
        }
    }

    /// What holds for routes as well.
    pub(super) fn reaches(&self, layer: FailoverLayer) -> FailoverLayer {
        let layer = layer.repeats_uncertain(self.repeats_uncertain);
        match self.budget() {
            Some(budget) => layer.retry_budget(budget),
            None => layer.no_retry_budget(),
        }
    }

    /// A new one: who repeats at a target and who comes back to one have each their own.
    fn budget(&self) -> Option<RetryBudget> {
        let RetryBudgetConfig { percent, reserve } = self.retry_budget?;
        Some(RetryBudget::percent(percent).reserve(reserve))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said here is said of the layer's own settings.
    #[test]
    fn what_is_not_said_is_as_the_layer_has_it() {
        let shown = |layer: &RetryLayer| format!("{layer:?}");
        assert_eq!(
            shown(&RetryConfig::default().layer()),
            shown(&RetryLayer::new())
        );
        let routes = || FailoverLayer::new(crate::failover::Routes::default());
        let shown_routes = |layer: &FailoverLayer| format!("{layer:?}");
        let reached = RetryConfig::default().reaches(routes());
        assert_eq!(shown_routes(&reached), shown_routes(&routes()));
        let other = RetryConfig {
            retry_budget: None,
            ..RetryConfig::default()
        };
        assert_eq!(
            shown(&other.layer()),
            shown(&RetryLayer::new().no_retry_budget())
        );
        let reached = other.reaches(routes());
        assert_eq!(
            shown_routes(&reached),
            shown_routes(&routes().no_retry_budget())
        );
    }
}
