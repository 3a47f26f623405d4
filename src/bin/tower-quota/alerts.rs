//! `tower-quota alerts`

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tower_quota::alerts::{Outcome, Told};

use super::{
    failure::Failure,
    output::{complain, print},
    source::Source,
};

/// Sends one to each webhook, and prints what each answers.
pub(crate) async fn test(config: PathBuf) -> Result<(), Failure> {
    let source = Source::from_files(Some(config), None);
    let said = source.read().map_err(|error| source.failure(error))?;
    let webhooks = said.gateway.webhooks();
    let webhooks = webhooks.map_err(|error| Failure::gateway(&source, error))?;
    let answers = webhooks.test().await;
    if answers.is_empty() {
        let reason = "there is no webhook to test; name one under gateway.alerts";
        return Err(Failure::Argument(reason.to_owned()));
    }
    let printed = print(|out| {
        answers.iter().try_for_each(|(name, answer)| match answer {
            Ok(status) => writeln!(out, "{name} has taken it: {status}"),
            Err(why) => writeln!(out, "{name} {why}"),
        })
    });
    let failed = answers.iter().filter(|(_, answer)| answer.is_err()).count();
    let of = answers.len();
    match failed {
        0 => printed,
        // Whoever reads or not.
        failed => Err(Failure::NotTaken { failed, of }),
    }
}

/// Those that are dropped may be many: one in so long is said. Metrics count them.
const DROPPED_EVERY: Duration = Duration::from_secs(60);

/// Says what was not taken.
pub(crate) fn say(told: &Told) {
    static DROPPED: Mutex<Option<Instant>> = Mutex::new(None);
    match told.outcome {
        Outcome::Delivered => return,
        Outcome::Dropped => {
            let mut last = DROPPED.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_some_and(|last| last.elapsed() < DROPPED_EVERY) {
                return;
            }
            *last = Some(Instant::now());
        }
        _ => {}
    }
    complain(format_args!("alerts: {told}"));
}
