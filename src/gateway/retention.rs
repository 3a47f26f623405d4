//! `gateway.retention`

#[cfg(feature = "sqlite")]
use std::{sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;
#[cfg(feature = "sqlite")]
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

#[cfg(feature = "sqlite")]
use super::server::complain;
#[cfg(feature = "sqlite")]
use crate::store::sqlite::{Retention, SqliteStore};
use crate::{
    config::{ConfigError, Span},
    store::StoreSetting,
};

/// How long the ledger is kept. What is older is deleted when the gateway starts, and from then on once a day. The audit
/// log stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RetentionConfig {
    /// How long each attempt is kept: `90d`. Attempts of hours that ended longer ago are deleted. The sums of these hours
    /// stay, so reports that do not ask for runs still include them, in whole hours. `1h` at least. Without this, attempts
    /// are kept as long as the sums of their hours.
    pub attempts: Option<Span>,
    /// How long the sums of each hour are kept: `104w`. Sums of hours that ended longer ago are deleted, and the attempts
    /// of these hours with them. At least as long as `attempts`. Without this, sums are kept forever.
    pub hours: Option<Span>,
}

/// Rows are deleted by whole hours, and who writes `90` means days.
const SHORTEST: Span = Span::from_secs(3_600);

impl RetentionConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (field, span) in [("attempts", self.attempts), ("hours", self.hours)] {
            if span.is_some_and(|span| span < SHORTEST) {
                let reason =
                    "has to be `1h` at least; a bare number is seconds, write days as `90d`";
                return Err(wrong(&format!("gateway.retention.{field}"), reason));
            }
        }
        match (self.attempts, self.hours) {
            (Some(attempts), Some(hours)) if hours < attempts => Err(wrong(
                "gateway.retention.hours",
                "is less than `attempts`, which are deleted with the sums of their hours; make it as long at least",
            )),
            _ => Ok(()),
        }
    }

    /// Whether this store has what is to be deleted.
    pub(super) fn check_store(store: &StoreSetting) -> Result<(), ConfigError> {
        match store.has_ledger() {
            true => Ok(()),
            false => Err(wrong(
                "gateway.retention",
                "this store has no ledger, so there is nothing to delete; leave `retention` out, or count in a file: \
                 `sqlite:PATH`, as rate_limiting.store or with --store",
            )),
        }
    }

    #[cfg(feature = "sqlite")]
    pub(super) fn retention(&self) -> Retention {
        let retention = Retention::new();
        let retention = match self.attempts {
            Some(span) => retention.attempts(span.into()),
            None => retention,
        };
        match self.hours {
            Some(span) => retention.hours(span.into()),
            None => retention,
        }
    }
}

fn wrong(path: &str, reason: &str) -> ConfigError {
    ConfigError::Value {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

/// How often it is looked for what is too old.
#[cfg(feature = "sqlite")]
const EACH: Duration = Duration::from_secs(86_400);

/// Deletes what is too old, now and once a day, until the result is dropped.
#[cfg(feature = "sqlite")]
pub(super) fn begin(file: Arc<SqliteStore>, retention: Retention) -> JoinSet<()> {
    let mut pruning = JoinSet::new();
    pruning.spawn(prune(file, retention));
    pruning
}

#[cfg(feature = "sqlite")]
async fn prune(file: Arc<SqliteStore>, retention: Retention) {
    let mut turns = interval(EACH);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        if let Err(error) = file.prune(&retention).await {
            complain(format_args!(
                "the ledger is not pruned, which is tried again in a day: {error}"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(attempts: &str, hours: &str) -> Result<(), String> {
        let span = |text: &str| (!text.is_empty()).then(|| text.parse::<Span>().unwrap());
        let retention = RetentionConfig {
            attempts: span(attempts),
            hours: span(hours),
        };
        retention.check().map_err(|error| error.to_string())
    }

    #[test]
    fn spans_that_are_hardly_meant_are_refused() {
        for (attempts, hours) in [
            ("", ""),
            ("90d", ""),
            ("", "52w"),
            ("90d", "90d"),
            ("1h", "2h"),
        ] {
            assert_eq!(checked(attempts, hours), Ok(()), "{attempts} {hours}");
        }
        for (attempts, hours, says) in [
            (
                "90",
                "",
                "gateway.retention.attempts: has to be `1h` at least",
            ),
            (
                "90d",
                "0s",
                "gateway.retention.hours: has to be `1h` at least",
            ),
            (
                "90d",
                "30d",
                "gateway.retention.hours: is less than `attempts`",
            ),
        ] {
            let error = checked(attempts, hours).unwrap_err();
            assert!(error.starts_with(says), "{error}");
        }
    }
}
