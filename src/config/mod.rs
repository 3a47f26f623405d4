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
mod doubt;
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
mod uncapped;

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
use doubt::Elsewhere;
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
    /// Whether the layers do anything. With `false` there are no limits, retries or routes, and every call passes. The
    /// [`store`](Self::store) is not opened then: what is counted there stays as it is.
    pub enabled: bool,
    /// Where counts are kept: `memory`, `sqlite:counts.db` or `redis://127.0.0.1:6379/0`; see [`StoreSetting`].
    /// `"${QUOTA_STORE:-memory}"` takes the setting from the environment.
    pub store: StoreSetting,
    /// Limits on all calls together.
    pub global: Quota,
    /// The limits that providers publish for their tiers, such as `openai/tier-1` and `anthropic/start`: at most one tier
    /// for each provider. See [`Preset`] for their date. A value that `providers` sets for a model replaces the same value
    /// of the preset, and so does a limit under `limits` on the same tags.
    #[schemars(with = "Vec<schema::PresetName>")]
    pub presets: Vec<String>,
    /// Limits by provider and model. A limit holds for every name of the model: dated snapshots, names with the vendor or
    /// the maker in front, and Bedrock's profiles; see [`Limit::when`](crate::limit::Limit::when) and `model_aliases`. A
    /// provider may go by a name that others give it: `google` is `gemini`, `azure_openai` is `azure`.
    pub providers: BTreeMap<String, BTreeMap<String, Quota>>,
    /// Limits by agent.
    pub agents: BTreeMap<String, Quota>,
    /// Further limits, each written in full.
    pub limits: Vec<LimitConfig>,
    /// Further budgets, each written in full.
    pub budgets: Vec<BudgetConfig>,
    /// A charge counts for one period from when its attempt was sent, and for this much longer. For limits that set no
    /// `margin` of their own.
    pub margin: Option<Span>,
    /// The share of each limit that may be used, for limits that set no `headroom` of their own. Budgets have none.
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    pub headroom: Option<f64>,
    /// Whether to leave room for others that use the same account, by the counters that providers show in headers.
    pub absorb_counters: bool,
    /// The most counts that are kept. A limit that is split by tags needs one for each value of these tags.
    #[schemars(range(min = 1))]
    pub max_counts: usize,
    /// How failed attempts are repeated.
    pub retry: RetryConfig,
    /// Providers, and the routes to them.
    pub failover: FailoverConfig,
    /// How calls wait in line.
    pub queue: QueueConfig,
    /// A budget for all calls, in dollars per clock hour.
    pub max_hourly_spend: Option<Money>,
    /// A budget for all calls, in dollars per calendar day.
    pub max_daily_spend: Option<Money>,
    /// A budget for all calls, in dollars per calendar week, which starts on Monday.
    pub max_weekly_spend: Option<Money>,
    /// A budget for all calls, in dollars per calendar month.
    pub max_monthly_spend: Option<Money>,
    /// The time zone of calendar budgets, by its name in the IANA database: `Europe/Berlin`. The default is UTC.
    pub time_zone: String,
    /// Prices by provider and model, in dollars per million tokens, for models that are missing from the built-in table or
    /// cost something else.
    pub prices: BTreeMap<String, BTreeMap<String, PriceConfig>>,
    /// Your own names for models, as Azure's deployments and Bedrock's profiles have them. Limits on a model also apply to
    /// its aliases, and an alias has the price of its model. Put the provider in front where providers charge different
    /// prices: `{ our-chat: azure/gpt-4o }`.
    pub model_aliases: BTreeMap<String, String>,
    /// A price file in LiteLLM's format, `model_prices_and_context_window.json`, which is read when the stack is built.
    /// It overrides the built-in table, and `prices` overrides it. A relative path starts at the program's working
    /// directory.
    pub price_file: Option<PathBuf>,
    /// The number of output tokens at which a call that names no cap is [capped](crate::BudgetLayer::cap_output); less
    /// for models that give less.
    #[schemars(range(min = 1))]
    pub cap_output: Option<u64>,
    /// How long a call waits for money that other calls have reserved, or that comes back by itself within this time.
    pub budget_patience: Span,
    /// What happens to a call for a model without a price where there is a budget: `deny` refuses it, `allow` lets it pass
    /// uncounted.
    pub unknown_price: UnknownPrice,
    /// The currency of budgets and prices. Only `USD` is possible.
    #[schemars(extend("enum" = ["USD", null]))]
    pub currency: Option<String>,
    /// The share of a budget at which an [event](crate::Limiter::on_event) warns, once in each period, for budgets that set
    /// no `thresholds`. More than 0, at most 1.
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    pub alert_threshold: Option<f64>,
    /// What was replaced in the text that this block was read from.
    #[serde(skip)]
    pub(super) replaced: Replaced,
    /// The providers that the file names beside this block.
    #[serde(skip)]
    pub(super) elsewhere: Elsewhere,
}

/// What happens to calls for models that have no price, where there is a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UnknownPrice {
    /// They are refused.
    #[default]
    Deny,
    /// They pass, and count nothing.
    Allow,
}

/// `queue:`: how calls wait in line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct QueueConfig {
    /// How many calls may wait in line. A further call that finds no room is refused.
    #[schemars(range(min = 1))]
    pub max_waiting: usize,
    /// How long a call waits at most, counted from when it came; less if its caller waits for less. A call that cannot have
    /// room in time is refused at once, and told when there will be. The default is no bound but the caller's.
    pub max_wait: Option<Span>,
    /// How much waiting time one step of priority is worth.
    pub aging: Span,
    /// The tag whose values share the limits fairly.
    #[schemars(length(min = 1))]
    pub share_by: String,
    /// The weights of some of these values in that sharing; all others have 1.
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
            elsewhere: Elsewhere::default(),
        }
    }
}

impl Default for QueueConfig {
    fn default() -> Self {
        QueueConfig {
            max_waiting: 100_000,
            max_wait: None,
            aging: Span::from_secs(10),
            share_by: "agent".to_owned(),
            weights: BTreeMap::new(),
        }
    }
}
