//! Over which time a limit counts.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::CalendarUnit;

/// The time over which a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Period {
    /// Any interval of this length: an exact sliding window, not a fixed window and not a refilling bucket.
    Sliding(Duration),
    /// The life of one run.
    ///
    /// What is counted never expires, as long as the store has [room](crate::store::MemoryStore#bounds) for all runs. A
    /// call without a `run` tag counts under the run with the empty name, so that leaving the tag out does not get
    /// around the limit.
    Run,
    /// All time: what is spent never comes back.
    ///
    /// Only limits on cost count so. Each value that such a budget is split by has its count for good, as long as the
    /// store has [room](crate::store::MemoryStore#bounds).
    Total,
    /// Successive hours, days, weeks or months of a calendar. The limit says in which time zone.
    Calendar(CalendarUnit),
}

impl Period {
    /// How long it is by its name, as a provider names it: a day has 24 hours, and a month 30 days. `None`: as long as a run
    /// goes on, or for ever.
    pub(crate) fn length(self) -> Option<Duration> {
        const HOUR: u64 = 3_600;
        let seconds = match self {
            Period::Sliding(length) => return Some(length),
            Period::Run | Period::Total => return None,
            Period::Calendar(CalendarUnit::Hour) => HOUR,
            Period::Calendar(CalendarUnit::Day) => 24 * HOUR,
            Period::Calendar(CalendarUnit::Week) => 7 * 24 * HOUR,
            Period::Calendar(CalendarUnit::Month) => 30 * 24 * HOUR,
        };
        Some(Duration::from_secs(seconds))
    }
}

impl fmt::Display for Period {
    /// Writes `min`, `hour`, `day`, `run`, `total`, or the length: `6s`, `1.5s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Period::Run => f.write_str("run"),
            Period::Total => f.write_str("total"),
            Period::Calendar(unit) => write!(f, "calendar {unit}"),
            Period::Sliding(span) => match (span.as_secs(), span.subsec_nanos()) {
                (1, 0) => f.write_str("s"),
                (60, 0) => f.write_str("min"),
                (3_600, 0) => f.write_str("hour"),
                (86_400, 0) => f.write_str("day"),
                _ => write!(f, "{span:?}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_read_as_people_say_them() {
        let text = |secs: f64| Period::Sliding(Duration::from_secs_f64(secs)).to_string();
        assert_eq!(
            [text(60.0), text(86_400.0), text(6.0), text(1.5)],
            ["min", "day", "6s", "1.5s"]
        );
        assert_eq!(Period::Run.to_string(), "run");
        assert_eq!(Period::Total.to_string(), "total");
    }

    #[test]
    fn a_period_of_a_calendar_is_as_long_as_its_name_says() {
        let days = |period: Period| {
            period
                .length()
                .map(|length| length.as_secs_f64() / 86_400.0)
        };
        assert_eq!(days(Period::Calendar(CalendarUnit::Day)), Some(1.0));
        assert_eq!(days(Period::Calendar(CalendarUnit::Week)), Some(7.0));
        assert_eq!(days(Period::Calendar(CalendarUnit::Month)), Some(30.0));
        let hour = Period::Calendar(CalendarUnit::Hour);
        assert_eq!(
            hour.length(),
            Period::Sliding(Duration::from_secs(3_600)).length()
        );
        assert_eq!((days(Period::Run), days(Period::Total)), (None, None));
    }
}
