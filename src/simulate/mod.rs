//! What a configuration does to a load, in virtual time: how long calls wait and for which limit, what is refused and why,
//! what it costs, how many agents fit.
//!
//! A [`Simulation`] sends the calls of a [`Load`] through the layer that the configuration builds, as it stands: its limits,
//! budgets, retries, routes and prices. Behind it, in place of providers, stands a service that answers after the time that
//! the load says, with the usage that the load says. Nothing is sent anywhere, no key is needed, nothing is written to the
//! configuration's store; a day of fifty thousand calls takes seconds. The same load, configuration and seed give the same [`Report`].
//!
//! ```
//! use std::time::Duration;
//! use tower_quota::{config::Config, simulate::{Load, Simulation}};
//!
//! let config = Config::from_yaml("rate_limiting: { margin: 0s, providers: { openai: { gpt-4o: { rpm: 2 } } } }")?;
//! let trace = "at,model,agent,input_tokens,output_tokens,latency
//!     0,gpt-4o,scout,900,100,1.5s
//!     1,gpt-4o,scout,900,100,1.5s
//!     2,gpt-4o,clerk,900,100,1.5s";
//! let report = Simulation::new(&config.rate_limiting, Load::from_csv(trace.as_bytes())?).run()?;
//!
//! // The third has to wait until the first is a minute old.
//! assert_eq!((report.calls, report.waits.calls), (3, 1));
//! assert_eq!(report.waits.longest, Duration::from_secs(58));
//! assert_eq!(report.limits[0].limit, "requests 2/min for provider=openai, model=gpt-4o");
//! assert_eq!(report.limits[0].held, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Loads
//! - A *trace*, calls as they were: [JSON lines](Load::from_json_lines) or [CSV](Load::from_csv), one call a line. See
//!   [`Load`] for the columns.
//! - The [ledger](crate::store::sqlite) of a store in a file (`Load::from_ledger`, with the feature `sqlite`): the attempts
//!   of a span of time, from when each of them was let go. What they had waited then is not in it, and a call that was
//!   repeated is there as often as it left. It does not know which caps on output they named: none of them names one, and
//!   what its model answers at most is reserved for it.
//! - A [`Population`]: agents that are made up, in groups, each with its models, its sizes and its pace. Of these a [`Fit`]
//!   finds how many fit.
//!
//! # What it goes by, and what it leaves out
//! - Every answer is whole, no stream, and a success, but for what the [limits of the provider](Simulation::provider_limits)
//!   refuse, where they are given. They are kept by the engine of this crate too: an error in it would be in both.
//! - The layers know of a call's input what the load says, not an estimate of it: they reserve exactly what is used. What a
//!   text is bounded by before it is priced is four bytes a token.
//! - Time goes by whole milliseconds, rounded up.
//! - Counts begin empty, wherever the configuration keeps them, and the clock on the wall shows the [beginning of the
//!   load](Simulation::start), so that budgets by the calendar end when they would have.
//! - How full a limit was is looked at as calls leave, at each of them as long as there are few, and at each step of time.
//! - Whoever is refused does not come again by itself, but an agent of a population makes its next call.

mod error;
mod fit;
mod gauge;
mod groups;
#[cfg(feature = "sqlite")]
mod ledger;
mod load;
mod plain;
mod provider;
mod reached;
mod report;
mod run;
mod series;
mod speech;
mod tally;
mod waits;

use std::time::{Duration, SystemTime};

pub use error::{LoadError, SimulateError};
pub use fit::{Beyond, Fit, Fitted};
pub use load::{Draw, Group, Load, Models, Population, Rate};
pub use report::{BudgetUse, LevelUse, LimitUse, Moment, OverTime, Refused, Report, TagUse, Waits};

use crate::config::RateLimiting;

/// Midnight of Monday, the 5th of January 2026, in UTC: where nothing says when a load begins.
const MONDAY: Duration = Duration::from_secs(1_767_571_200);

/// A load against a configuration.
#[derive(Clone, Debug)]
#[must_use]
pub struct Simulation {
    config: RateLimiting,
    load: Load,
    provider: Option<RateLimiting>,
    seed: Option<u64>,
    start: Option<SystemTime>,
}

impl Simulation {
    /// This load against this configuration, whose `store` is not looked at.
    pub fn new(config: &RateLimiting, load: Load) -> Self {
        Simulation {
            config: config.clone(),
            load,
            provider: None,
            seed: None,
            start: None,
        }
    }

    /// What the provider allows in truth, as limits of a configuration of their own: what passes ours and not these is
    /// answered 429, with the time to wait. Only limits on where calls go make sense here. They have no `margin` but the one
    /// that they say themselves.
    pub fn provider_limits(mut self, limits: &RateLimiting) -> Self {
        self.provider = Some(limits.clone());
        self
    }

    /// The seed of what is drawn: the load of a population, in place of its own seed, and the jitter of retries. 0 where
    /// nothing is said.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// What the clock on the wall shows at the beginning: else the date of the load's first call, or what a population says,
    /// or midnight of Monday, the 5th of January 2026, in UTC.
    pub fn start(mut self, start: SystemTime) -> Self {
        self.start = Some(start);
        self
    }

    /// Runs it, on a thread of its own: this one waits meanwhile.
    ///
    /// # Errors
    /// What makes no sense in the configuration; where that is switched off, or the load has no agent.
    ///
    /// # Panics
    /// Where a part of the stack does.
    pub fn run(&self) -> Result<Report, SimulateError> {
        run::on_a_thread(self)
    }

    /// Runs it with more and more agents until they do not fit.
    ///
    /// # Errors
    /// As [`run`](Self::run) says; where the load is no population, or has no such group.
    pub fn fit(&self, fit: &Fit) -> Result<Fitted, SimulateError> {
        fit.find(self)
    }

    fn with_load(&self, load: Load) -> Self {
        Simulation {
            load,
            ..self.clone()
        }
    }

    fn began(&self) -> SystemTime {
        let monday = SystemTime::UNIX_EPOCH + MONDAY;
        self.start.or(self.load.start()).unwrap_or(monday)
    }

    fn seeded(&self) -> u64 {
        self.seed.or(self.load.seed()).unwrap_or(0)
    }
}
