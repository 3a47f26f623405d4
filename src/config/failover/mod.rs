//! `failover:`, the providers and routes of a configuration.

mod build;
mod check;
mod key;
pub(super) mod known;
mod provider;
mod route;
mod target;

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;

pub use key::{KeyConfig, Secret};
pub use provider::{AuthConfig, PoolName, ProviderConfig};
pub use route::{DegradedConfig, RouteConfig};
pub use target::TargetConfig;

use super::Span;
use crate::failover::Trigger;

/// `failover:`: where calls go, and what happens when that fails; see the module [`failover`](crate::failover).
///
/// ```
/// use tower_quota::config::{Config, Format};
///
/// let text = r#"
/// rate_limiting:
///   failover:
///     providers:
///       openai: { keys: ["${OPENAI_KEY}", { label: team-b, key: "${OPENAI_KEY_B}" }], pool: round_robin }
///       azure: { base_url: https://mine.openai.azure.com/openai/v1, keys: ["${AZURE_KEY}"] }
///     routes:
///       gpt-5.5: [openai/gpt-5.5, azure/gpt-5.5]
///       fast:
///         weighted: [{ target: openai/gpt-5.4-mini, weight: 3 }, { target: azure/gpt-5.4-mini, sent_as: mini }]
/// "#;
/// let config = Config::from_text(text, Format::Yaml, |name| Some(format!("secret of {name}")))?;
/// assert!(!format!("{config:?}").contains("secret of"));
/// assert!(config.build().is_ok());
///
/// let other = text.replace("azure/gpt-5.5]", "azrue/gpt-5.5]");
/// let config = Config::from_text(&other, Format::Yaml, |name| Some(format!("secret of {name}")))?;
/// assert_eq!(
///     config.build().unwrap_err().to_string(),
///     "rate_limiting.failover.routes.gpt-5.5[1]: the provider `azrue` is not known; did you mean `azure`?"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct FailoverConfig {
    /// The providers that calls can go to, by the names that targets use for them.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// The targets that serve a model, by the name that callers use for it. Calls for other models are passed on unchanged.
    pub routes: BTreeMap<String, RouteConfig>,
    /// How long a call waits for one target while there are others that it has not tried.
    pub patience: Span,
    /// The longest wait that a provider may ask for and that a call still waits out, when no target can serve it sooner.
    pub longest_wait: Span,
    /// How many attempts a call makes at most, repeats included.
    #[schemars(range(min = 1))]
    pub max_attempts: u32,
    /// How long an account whose money or quota is used up stays parked, that is, unused, if the provider names no time.
    pub park_for: Span,
    /// When a target that fails is passed over.
    pub breaker: BreakerConfig,
    /// Further reasons to go on to the next target. By default, all reasons are on except `content_filter`.
    pub on: Vec<TriggerName>,
    /// Reasons for which a call does not go on to the next target: the caller gets what came back instead.
    pub not_on: Vec<TriggerName>,
}

/// `failover.breaker:`: when a target that fails is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct BreakerConfig {
    /// How many failures in a row open the breaker.
    #[schemars(range(min = 1))]
    pub failures: u32,
    /// How long the breaker stays open before a call may try the target again.
    pub open_for: Span,
}

/// Why a call goes on to the next target: a [`Trigger`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TriggerName {
    /// The limits here have no room for the target.
    NoRoom,
    /// The provider says that a limit is used up.
    RateLimited,
    /// The provider says that money or a quota is used up.
    QuotaUsedUp,
    /// The provider fails.
    ServerError,
    /// There was no connection, or it broke.
    Connection,
    /// A budget does not have enough left.
    OverBudget,
    /// The call is longer than the model takes.
    ContextLength,
    /// The provider refuses the content.
    ContentFilter,
    /// The provider refuses the key.
    KeyRefused,
}

impl TriggerName {
    fn trigger(self) -> Trigger {
        match self {
            TriggerName::NoRoom => Trigger::NoRoom,
            TriggerName::RateLimited => Trigger::RateLimited,
            TriggerName::QuotaUsedUp => Trigger::QuotaUsedUp,
            TriggerName::ServerError => Trigger::ServerError,
            TriggerName::Connection => Trigger::Connection,
            TriggerName::OverBudget => Trigger::OverBudget,
            TriggerName::ContextLength => Trigger::ContextLength,
            TriggerName::ContentFilter => Trigger::ContentFilter,
            TriggerName::KeyRefused => Trigger::KeyRefused,
        }
    }
}

impl Default for FailoverConfig {
    fn default() -> Self {
        FailoverConfig {
            providers: BTreeMap::new(),
            routes: BTreeMap::new(),
            patience: Span::from_secs(1),
            longest_wait: Span::from_secs(60),
            max_attempts: 10,
            park_for: Span::from_secs(3_600),
            breaker: BreakerConfig::default(),
            on: Vec::new(),
            not_on: Vec::new(),
        }
    }
}

impl Default for BreakerConfig {
    fn default() -> Self {
        BreakerConfig {
            failures: 5,
            open_for: Duration::from_secs(10).into(),
        }
    }
}
