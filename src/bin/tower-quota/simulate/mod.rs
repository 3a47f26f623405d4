//! `tower-quota simulate`

mod args;

use std::{fs, path::Path};

use serde::Serialize;
use tower_quota::{
    config::{ConfigError, RateLimiting},
    gateway::Config,
    simulate::{Fit, Load, LoadError, Report, SimulateError, Simulation},
};

pub(crate) use args::SimulateArgs;
use args::{Format, LoadArgs};

use super::{failure::Failure, output::print, source::Source};

/// Says what the configuration does to the load.
pub(crate) fn run(args: &SimulateArgs) -> Result<(), Failure> {
    let config = limits(&args.config)?;
    let mut simulation = Simulation::new(&config, load(args)?);
    if let Some(path) = &args.provider_limits {
        simulation = simulation.provider_limits(&limits(path)?);
    }
    if let Some(seed) = args.seed {
        simulation = simulation.seed(seed);
    }
    if let Some(start) = args.start {
        simulation = simulation.start(start);
    }
    let text = match &args.fit {
        Some(group) => {
            let fit = Fit::new()
                .p95_wait(args.p95_wait.into())
                .refused(args.max_refused)
                .most(args.most);
            let fit = match group.as_str() {
                "" => fit,
                group => fit.group(group),
            };
            let fitted = simulation.fit(&fit).map_err(no_run)?;
            said(args.format, &fitted, fitted.report.as_ref())?
        }
        None => {
            let report = simulation.run().map_err(no_run)?;
            said(args.format, &report, Some(&report))?
        }
    };
    write(args.output.as_deref(), &text)
}

/// The `rate_limiting:` block of a file.
fn limits(path: &Path) -> Result<RateLimiting, Failure> {
    let read = Config::from_path_without_keys(path).and_then(|config| {
        // What makes no sense is said with the file's name.
        config.rate_limiting.limits()?;
        Ok(config.rate_limiting)
    });
    let source = Source::from_files(Some(path.to_owned()), None);
    read.map_err(|error: ConfigError| source.failure(error))
}

fn load(args: &SimulateArgs) -> Result<Load, Failure> {
    let LoadArgs {
        trace, population, ..
    } = &args.load;
    #[cfg(feature = "sqlite")]
    if let Some(path) = &args.load.ledger {
        let since = args.since.unwrap_or(std::time::SystemTime::UNIX_EPOCH);
        let until = args.until.unwrap_or_else(std::time::SystemTime::now);
        return named(path, Load::from_ledger(path, since, until));
    }
    match (trace, population) {
        (Some(path), _) => named(path, Load::from_trace(path)),
        (None, Some(path)) => named(path, Load::from_population(path)),
        (None, None) => Err(Failure::Argument("there is no load".to_owned())),
    }
}

/// An error of a load, with its file's name.
fn named(path: &Path, load: Result<Load, LoadError>) -> Result<Load, Failure> {
    load.map_err(|source| match source {
        // It names the file itself.
        LoadError::Population(error @ ConfigError::File { .. }) => Failure::File(error),
        source => Failure::Load {
            path: path.to_owned(),
            source: Box::new(source),
        },
    })
}

fn no_run(error: SimulateError) -> Failure {
    Failure::Simulate(Box::new(error))
}

fn said<T: Serialize + std::fmt::Display>(
    format: Format,
    what: &T,
    report: Option<&Report>,
) -> Result<String, Failure> {
    match (format, report) {
        (Format::Table, _) => Ok(what.to_string()),
        (Format::Json, _) => {
            let json = serde_json::to_string_pretty(what);
            let json = json.map_err(|error| Failure::Argument(error.to_string()))?;
            Ok(json + "\n")
        }
        (Format::Svg, Some(report)) => Ok(report.svg()),
        (Format::Svg, None) => Err(Failure::Argument(format!(
            "there is nothing to draw: {what}"
        ))),
    }
}

fn write(path: Option<&Path>, text: &str) -> Result<(), Failure> {
    let Some(path) = path else {
        return print(|out| out.write_all(text.as_bytes()));
    };
    fs::write(path, text).map_err(|source| Failure::Output {
        path: path.to_owned(),
        source,
    })
}
