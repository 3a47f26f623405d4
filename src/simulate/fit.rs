//! How many agents fit.

use std::time::Duration;

use serde::Serialize;

use super::{
    Load, Population, Report, SimulateError, Simulation, load::Kind, plain::plain,
    report::span_text,
};

/// Finds how many agents fit: the most with which all is still well. It tries 1, 2, 4 and so on until something is not
/// well, and then numbers in between.
///
/// It assumes that if some number of agents fits, every smaller number does too.
///
/// ```
/// use tower_quota::{config::Config, simulate::{Fit, Population, Simulation}};
///
/// let config = Config::from_yaml("rate_limiting: { global: { requests_per_minute: 60 } }")?;
/// let population = Population::from_yaml("
/// groups:
///   scouts: { model: gpt-4o, input: 800, output: 100, latency: 2s, think: 8s, ramp: 1m, for: 10m }
/// ")?;
/// let fitted = Simulation::new(&config.rate_limiting, population.into()).fit(&Fit::new())?;
/// // Each of them calls six times a minute.
/// assert!((9..=13).contains(&fitted.agents), "{}", fitted.agents);
/// let beyond = fitted.beyond.as_ref().unwrap();
/// assert_eq!(beyond.limit.as_deref(), Some("requests 60/min"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Fit {
    group: Option<String>,
    refused: u64,
    wait: Duration,
    most: u32,
}

impl Default for Fit {
    fn default() -> Self {
        Self::new()
    }
}

impl Fit {
    /// All groups grow together, each in proportion. All is well as long as no call is refused or fails, and 95 of 100
    /// calls wait no longer than five seconds. Up to 10 000 agents are tried.
    pub fn new() -> Self {
        Fit {
            group: None,
            refused: 0,
            wait: Duration::from_secs(5),
            most: 10_000,
        }
    }

    /// Only this group grows; the others stay as they are.
    pub fn group(mut self, name: impl Into<String>) -> Self {
        self.group = Some(name.into());
        self
    }

    /// How many calls may be refused or fail.
    pub fn refused(mut self, calls: u64) -> Self {
        self.refused = calls;
        self
    }

    /// How long 95 of 100 calls may wait at most.
    pub fn p95_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// The largest number of agents that is tried.
    pub fn most(mut self, agents: u32) -> Self {
        self.most = agents;
        self
    }

    pub(super) fn find(&self, simulation: &Simulation) -> Result<Fitted, SimulateError> {
        let Kind::Population(population) = &simulation.load.0 else {
            return Err(SimulateError::NoPopulation);
        };
        if let Some(group) = &self.group
            && !population.groups.contains_key(group)
        {
            let names: Vec<&str> = population.groups.keys().map(String::as_str).collect();
            return Err(SimulateError::NoGroup {
                group: group.clone(),
                groups: names.join(", "),
            });
        }
        let run = |agents| {
            let load = Load::from(self.of(population, agents));
            simulation.with_load(load).run()
        };
        let (mut fits, mut report, mut beyond) = (0, None, None);
        let mut tried = 1.min(self.most);
        loop {
            if tried == fits {
                break;
            }
            let came = run(tried)?;
            match self.breaks(tried, &came) {
                None => (fits, report) = (tried, Some(came)),
                Some(broken) => beyond = Some(broken),
            }
            tried = match &beyond {
                None => fits.saturating_mul(2).min(self.most),
                Some(broken) if broken.agents - fits > 1 => fits + (broken.agents - fits) / 2,
                Some(_) => break,
            };
        }
        Ok(Fitted {
            group: self.group.clone(),
            agents: fits,
            report,
            beyond,
        })
    }

    /// The same population with so many agents.
    fn of(&self, population: &Population, agents: u32) -> Population {
        let mut population = population.clone();
        match &self.group {
            Some(name) => {
                let group = population.groups.get_mut(name);
                group.into_iter().for_each(|group| group.agents = agents);
            }
            None => {
                // So that each one more is one more of one group.
                let all = population.agents().max(1);
                let (mut seen, mut given) = (0, 0);
                for group in population.groups.values_mut() {
                    seen += u64::from(group.agents);
                    let until = u64::from(agents) * seen / all;
                    group.agents = u32::try_from(until - given).unwrap_or(u32::MAX);
                    given = until;
                }
            }
        }
        population
    }

    /// Why it is not well.
    fn breaks(&self, agents: u32, report: &Report) -> Option<Beyond> {
        let limit = |limit: &super::LimitUse| limit.limit.clone();
        if report.refused + report.failed > self.refused {
            // Attempts that were refused count for nothing where their calls went on to another target.
            let is_ours = |limit: &&super::LimitUse| report.refused > 0 && limit.refused > 0;
            let most = report.limits.iter().filter(is_ours);
            return Some(Beyond {
                agents,
                why: [refused(report), failed(report)]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join("; "),
                limit: most.max_by_key(|limit| limit.refused).map(limit),
            });
        }
        let wait = report.waits.p95;
        (wait > self.wait).then(|| Beyond {
            agents,
            why: format!(
                "95 of 100 calls wait up to {}, longer than {}",
                span_text(wait),
                span_text(self.wait)
            ),
            limit: report.tightest().map(limit),
        })
    }
}

/// How many calls are refused, with what most of them are told.
fn refused(report: &Report) -> Option<String> {
    let told = report.refusals.iter().filter(|refused| refused.calls > 0);
    let message = told.max_by_key(|refused| refused.calls);
    let message = message.map(|most| format!(": {}", most.message));
    let said = |message: String| format!("{} calls are refused{message}", report.refused);
    (report.refused > 0).then(|| said(message.unwrap_or_default()))
}

/// How many calls fail, with the error that most attempts had.
fn failed(report: &Report) -> Option<String> {
    let most = report.errors.iter().max_by_key(|(_, attempts)| **attempts);
    let most = most.map(|(kind, _)| format!(" at the provider, most by {kind}"));
    let said = |most: String| format!("{} calls fail{most}", report.failed);
    (report.failed > 0).then(|| said(most.unwrap_or_default()))
}

/// How many agents fit, as found by [`Simulation::fit`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Fitted {
    /// The group; `None` for all groups together.
    pub group: Option<String>,
    /// The largest number with which all was well; 0 if it was not even with one.
    pub agents: u32,
    /// What becomes of the load with that many; `None` if there are none.
    pub report: Option<Report>,
    /// What breaks with one more; `None` if even the largest number that was tried fits.
    pub beyond: Option<Beyond>,
}

/// What is no longer well with one agent more than fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Beyond {
    /// How many agents that is.
    pub agents: u32,
    /// What is not well.
    pub why: String,
    /// The limit that refused the most, or held calls for the longest time; `None` if it was not a limit.
    pub limit: Option<String>,
}

impl std::fmt::Display for Fitted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = self
            .group
            .as_ref()
            .map_or(String::new(), |group| format!(" of {group}"));
        match &self.beyond {
            None => writeln!(f, "{} agents{of} fit, and more were not tried", self.agents)?,
            Some(beyond) => {
                writeln!(f, "{} agents{of} fit", self.agents)?;
                writeln!(f, "with {}: {}", beyond.agents, plain(&beyond.why))?;
                if let Some(limit) = &beyond.limit {
                    writeln!(f, "what stops them: {}", plain(limit))?;
                }
            }
        }
        if let Some(tightest) = self.report.as_ref().and_then(Report::tightest) {
            let full = tightest.fullest * 100.0;
            writeln!(
                f,
                "the tightest with {}: {}, {full:.1} % full",
                self.agents,
                plain(&tightest.limit)
            )?;
        }
        match &self.report {
            Some(report) => write!(f, "\n{report}"),
            None => Ok(()),
        }
    }
}
