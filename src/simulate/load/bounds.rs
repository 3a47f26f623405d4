//! No span of a load is longer than makes sense, so that instants can be counted on from it.

use std::time::Duration;

/// A hundred years of 365.25 days.
pub(super) const LONGEST: Duration = Duration::from_secs(3_155_760_000);

/// What is wrong with a longer one.
pub(super) const TOO_LONG: &str = "is longer than 100 years";

/// This span, unless it is longer.
pub(super) fn bounded(span: Duration) -> Result<Duration, &'static str> {
    match span <= LONGEST {
        true => Ok(span),
        false => Err(TOO_LONG),
    }
}
