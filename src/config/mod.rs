//! Configuration: the `rate_limiting:` block of a YAML, JSON or TOML file, checked and built.
//!
//! ```
//! use tower_quota::config::Config;
//!
//! let config = Config::from_yaml(
//!     "rate_limiting:
//!        global: { requests_per_minute: 60, concurrent_requests: 10 }
//!        providers:
//!          openai:
//!            gpt-4: { rpm: 500, tpm: 150000 }
//!     ",
//! )?;
//! let stack = config.build()?;
//! let limits: Vec<String> = stack.limiter.limits().iter().map(ToString::to_string).collect();
//! assert_eq!(
//!     limits,
//!     [
//!         "requests 60/min",
//!         "concurrency 10",
//!         "requests 500/min for provider=openai, model=gpt-4",
//!         "tokens 150000/min for provider=openai, model=gpt-4",
//!     ]
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The environment
//! In every string that is a value, `${NAME}` is replaced by that variable of the environment, `${NAME:-other}` by
//! `other` where it is not set or empty; `$${` is `${` itself. Where a number or a truth value is wanted, the string that
//! comes of it may be one. A variable that is missing is an error. What a name was replaced by is in no error:
//! it may be a secret. Keys are taken as they stand. Inside the braces of YAML a value with a brace in it wants
//! quotes: `{ rpm: "${RPM}" }`.

mod budget;
mod build;
mod check;
mod environment;
mod error;
mod failover;
mod format;
mod limit;
mod litellm;
mod named;
mod preset;
mod price;
mod quota;
mod read;
mod reload;
mod resolve;
mod retry;
mod schema;
mod short;
mod span;
mod store;
mod tree;

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

pub use budget::{BadPeriod, BudgetConfig, BudgetMode, BudgetPeriod};
pub use build::Stack;
pub use error::ConfigError;
pub use failover::{
    AuthConfig, BreakerConfig, DegradedConfig, FailoverConfig, KeyConfig, PoolName, ProviderConfig,
    RouteConfig, Secret, TargetConfig, TriggerName,
};
pub use format::Format;
pub use limit::{ChargeName, LimitConfig, OneOrMore};
pub use litellm::{ApiKey, Deployment, Fallbacks, LiteLlmConfig, NotUnderstood};
pub use preset::{Preset, Published};
pub use price::PriceConfig;
pub use quota::Quota;
#[cfg(all(feature = "gateway", feature = "simulate"))]
pub(crate) use read::from_path_without_keys;
#[cfg(feature = "gateway")]
pub(crate) use read::{Root, from_path, from_text};
#[cfg(feature = "simulate")]
pub(crate) use read::{other_from_path, other_from_text};
pub use reload::{ChangedLimit, ReloadError, Reloaded};
pub use resolve::{Resolution, ResolvedLimit, ResolvedPrice};
pub use retry::{BackoffConfig, RetryBudgetConfig, RetryConfig};
#[cfg(feature = "gateway")]
pub(crate) use schema::of as schema_of;
pub use span::Span;

use crate::{money::Money, store::StoreSetting};
use environment::Replaced;

/// A configuration file. Unknown keys are errors.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The block that this crate reads.
    pub rate_limiting: RateLimiting,
}

/// The `rate_limiting:` block.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RateLimiting {
    /// `false`: no limit, no retry and no route, everything passes.
    pub enabled: bool,
    /// Where counts are kept: `memory`, `sqlite:counts.db`, `redis://127.0.0.1:6379/0`; see [`StoreSetting`]. In
    /// `"${QUOTA_STORE:-memory}"` the environment says it.
    pub store: StoreSetting,
    /// Limits over all calls.
    pub global: Quota,
    /// The limits that providers publish for their tiers: `[openai/tier-1, anthropic/start]`, at most one of a provider.
    /// See [`Preset`] for their date. What `providers` says of a model takes the place of the same value here, and what
    /// `limits` says on the same tags.
    #[schemars(with = "Vec<schema::PresetName>")]
    pub presets: Vec<String>,
    /// Limits by provider and model. They hold for every name of the model: dated snapshots, with the vendor or the maker in
    /// front, Bedrock's profiles; see [`Limit::when`](crate::limit::Limit::when) and `model_aliases`. A provider may have the name that others give it:
    /// `google` is `gemini`, `azure_openai` is `azure`.
    pub providers: BTreeMap<String, BTreeMap<String, Quota>>,
    /// Limits by agent.
    pub agents: BTreeMap<String, Quota>,
    /// Any other limit.
    pub limits: Vec<LimitConfig>,
    /// Any other budget.
    pub budgets: Vec<BudgetConfig>,
    /// How much later than one period after its send a charge expires, where a limit does not say itself.
    pub margin: Option<Span>,
    /// The share of every limit that may be used, where a limit does not say itself.
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    pub headroom: Option<f64>,
    /// Whether room is left for others that use the same account, by the counters that providers show in headers.
    pub absorb_counters: bool,
    /// How many counts are kept: one for each tag value that limits are split by.
    #[schemars(range(min = 1))]
    pub max_counts: usize,
    /// Repeating what the provider says may be repeated.
    pub retry: RetryConfig,
    /// Providers, and the routes to them.
    pub failover: FailoverConfig,
    /// Waiting.
    pub queue: QueueConfig,
    /// Dollars in an hour of the clock.
    pub max_hourly_spend: Option<Money>,
    /// Dollars in a day.
    pub max_daily_spend: Option<Money>,
    /// Dollars in a week, from Monday on.
    pub max_weekly_spend: Option<Money>,
    /// Dollars in a month.
    pub max_monthly_spend: Option<Money>,
    /// The time zone of budgets by the calendar, by its name in the IANA database: `Europe/Berlin`. UTC where nothing is
    /// said.
    pub time_zone: String,
    /// Prices of models that are not in the built-in table, or cost something else: by provider and model, in dollars
    /// for a million tokens.
    pub prices: BTreeMap<String, BTreeMap<String, PriceConfig>>,
    /// Names of your own for models, such as Azure's deployments and Bedrock's profiles have: limits on the model are on
    /// them as well, and the model's price is theirs. With the provider in front where providers ask different
    /// prices: `{ our-chat: azure/gpt-4o }`.
    pub model_aliases: BTreeMap<String, String>,
    /// A price file in LiteLLM's format, `model_prices_and_context_window.json`, which is read when the stack is built.
    /// Over the built-in table, and under `prices`. A path from where the program runs.
    pub price_file: Option<PathBuf>,
    /// Output tokens that a call is [capped](crate::BudgetLayer::cap_output) at which names no cap.
    #[schemars(range(min = 1))]
    pub cap_output: Option<u64>,
    /// How long a call waits for money that others have reserved.
    pub budget_patience: Span,
    /// Whether models without a price pass budgets, and count nothing.
    pub unknown_price: UnknownPrice,
    /// The currency of those: `USD`.
    #[schemars(extend("enum" = ["USD", null]))]
    pub currency: Option<String>,
    /// Warns when this share of a budget is spent, once in its period, where the budget does not say itself: by an
    /// [event](crate::Limiter::on_event). More than 0, at most 1.
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    pub alert_threshold: Option<f64>,
    /// What was replaced in the text that this was read from.
    #[serde(skip)]
    pub(super) replaced: Replaced,
}

/// What becomes of calls to models that have no price, where there is a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UnknownPrice {
    /// They are refused.
    #[default]
    Deny,
    /// They pass, and count nothing.
    Allow,
}

/// `queue:`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct QueueConfig {
    /// How many calls may wait.
    #[schemars(range(min = 1))]
    pub max_waiting: usize,
    /// By how much a step of priority makes a call older.
    pub aging: Span,
    /// The tag by whose values calls share fairly.
    #[schemars(length(min = 1))]
    pub share_by: String,
    /// The shares of some of them, beside 1 for the others.
    pub weights: BTreeMap<String, u32>,
}

impl Default for RateLimiting {
    fn default() -> Self {
        RateLimiting {
            enabled: true,
            store: StoreSetting::default(),
            global: Quota::default(),
            presets: Vec::new(),
            providers: BTreeMap::new(),
            agents: BTreeMap::new(),
            limits: Vec::new(),
            budgets: Vec::new(),
            margin: None,
            headroom: None,
            absorb_counters: true,
            max_counts: 1_000_000,
            retry: RetryConfig::default(),
            failover: FailoverConfig::default(),
            queue: QueueConfig::default(),
            max_hourly_spend: None,
            max_daily_spend: None,
            max_weekly_spend: None,
            max_monthly_spend: None,
            time_zone: "UTC".to_owned(),
            prices: BTreeMap::new(),
            model_aliases: BTreeMap::new(),
            price_file: None,
            cap_output: None,
            budget_patience: Span::from_secs(30),
            unknown_price: UnknownPrice::Deny,
            currency: None,
            alert_threshold: None,
            replaced: Replaced::default(),
        }
    }
}

impl Default for QueueConfig {
    fn default() -> Self {
        QueueConfig {
            max_waiting: 100_000,
            aging: Span::from_secs(10),
            share_by: "agent".to_owned(),
            weights: BTreeMap::new(),
        }
    }
}
