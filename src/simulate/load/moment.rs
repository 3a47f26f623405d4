//! When a call of a trace came.

use std::{
    str::FromStr,
    time::{Duration, SystemTime},
};

/// By a clock of the trace's own, or by that of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    /// What the trace's own clock showed.
    After(Duration),
    At(SystemTime),
}

impl Moment {
    pub(super) fn is_like(&self, other: &Moment) -> bool {
        matches!(self, Moment::At(_)) == matches!(other, Moment::At(_))
    }

    pub(super) fn date(self) -> Option<SystemTime> {
        match self {
            Moment::At(date) => Some(date),
            Moment::After(_) => None,
        }
    }

    /// How long after another one; nothing, where it is not later or goes by another clock.
    pub(super) fn since(self, other: Moment) -> Duration {
        match (self, other) {
            (Moment::After(span), Moment::After(other)) => span.saturating_sub(other),
            (Moment::At(date), Moment::At(other)) => date.duration_since(other).unwrap_or_default(),
            _ => Duration::ZERO,
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(seconds) = text.parse::<f64>() {
            let span = Duration::try_from_secs_f64(seconds);
            return span.map(Moment::After).map_err(|error| error.to_string());
        }
        let wrong = || {
            "neither seconds from the beginning nor a date such as 2026-11-26T12:00:00Z".to_owned()
        };
        date(text).map(Moment::At).ok_or_else(wrong)
    }
}

/// A date as of RFC 3339.
pub(super) fn date(text: &str) -> Option<SystemTime> {
    let date: jiff::Timestamp = text.parse().ok()?;
    let nanos = u64::try_from(date.as_nanosecond()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(nanos))
}
