//! What a configuration does to a load, in virtual time: how long calls wait and for which limit, what is refused and
//! why, what it costs, how many agents fit.
//!
//! A [`Simulation`] sends the calls of a [`Load`] through the layer that the configuration builds, unchanged: its
//! limits, budgets, retries, routes and prices. Behind it, instead of providers, is a service that answers after the
//! time and with the usage that the load says. Nothing is sent anywhere, no key is needed, and nothing is written to
//! the configuration's store. A day of fifty thousand calls takes seconds. The same load, configuration and seed give
//! the same [`Report`].
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
//! - A *trace*, recorded calls: [JSON lines](Load::from_json_lines) or [CSV](Load::from_csv), one call a line. See
//!   [`Load`] for the columns.
//! - The [ledger](crate::store::sqlite) of a store in a file (`Load::from_ledger`, with the feature `sqlite`): the
//!   attempts of a span of time, each from the instant at which it was admitted. It does not record how long they had
//!   waited until then, and a call that was repeated is there once for each attempt. Nor does it record which output
//!   caps they named: they are taken to name none, and what the model answers at most is reserved for each.
//! - A [`Population`]: made-up agents in groups, each group with its models, its sizes and its pace. For these, a
//!   [`Fit`] finds how many fit.
//!
//! # What it goes by, and what it leaves out
//! - Every answer is whole, not a stream, and a success, except for what the [limits of the
//!   provider](Simulation::provider_limits) refuse, if they are given. Those limits are enforced by this crate's engine
//!   too, so an error in it would be in both.
//! - The layers take a call's input from the load instead of estimating it, so they reserve exactly what is used. Where
//!   a text is bounded before it is priced, it has four bytes to a token.
//! - Time passes in whole milliseconds, rounded up.
//! - Counts begin empty, wherever the configuration keeps them. The wall clock begins at the [beginning of the
//!   load](Simulation::start), so that calendar budgets end when they would have.
//! - How full limits are is looked at when calls leave, at every call as long as there are few, and at each step of
//!   time.
//! - A refused call is not made again, but an agent of a population goes on to its next call.

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

/// A load that is run against a configuration.
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
    /// This load against this configuration, whose `store` is ignored.
    pub fn new(config: &RateLimiting, load: Load) -> Self {
        Simulation {
            config: config.clone(),
            load,
            provider: None,
            seed: None,
            start: None,
        }
    }

    /// What the provider really allows, as the limits of another configuration: an attempt that passes ours but not
    /// these is answered 429, with the time to wait. Only limits on where calls go make sense here. They have no
    /// `margin` unless they set one themselves.
    pub fn provider_limits(mut self, limits: &RateLimiting) -> Self {
        self.provider = Some(limits.clone());
        self
    }

    /// The seed for what is drawn: for the load of a population, in place of its own seed, and for the jitter of
    /// retries. If neither this nor a population says, it is 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The wall-clock time at the beginning. Without this, it is the date of a trace's first call or a population's
    /// `start`, or else midnight of Monday, 5 January 2026, in UTC.
    pub fn start(mut self, start: SystemTime) -> Self {
        self.start = Some(start);
        self
    }

    /// Runs it on a thread of its own, while the calling thread waits.
    ///
    /// # Errors
    /// If the configuration is invalid or switched off, or the load has no agents.
    ///
    /// # Panics
    /// If a part of the stack panics.
    pub fn run(&self) -> Result<Report, SimulateError> {
        run::on_a_thread(self)
    }

    /// Runs it with more and more agents until they no longer fit.
    ///
    /// # Errors
    /// As [`run`](Self::run); and if the load is not a population, or has no such group.
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
