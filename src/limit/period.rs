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
}
