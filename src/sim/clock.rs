//! The simulator's time: tokio's clock from a start, and the calendar that goes with it.

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Counts from its first reading. Its calendar moves with tokio's clock, also a paused one.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    start: OnceLock<(Instant, Duration)>,
}

impl Clock {
    /// Time since the start; the first call is the start.
    pub(crate) fn now(&self) -> Duration {
        self.start().0.elapsed()
    }

    /// The calendar time, since the Unix epoch, that goes with `at` on this clock.
    pub(crate) fn wall(&self, at: Duration) -> Duration {
        self.start().1 + at
    }

    fn start(&self) -> &(Instant, Duration) {
        self.start.get_or_init(|| {
            let (start, wall) = (Instant::now(), SystemTime::now());
            // Whoever paused tokio's time and set it on is that much ahead of the day.
            let ahead = start.into_std().saturating_duration_since(true_now());
            let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
            (start, since + ahead)
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "it is what tokio's clock is compared with"
)]
fn true_now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Rounds up to whole units of `unit` nanoseconds.
pub(crate) fn ceil(time: Duration, unit: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(unit.as_nanos())).unwrap_or(u64::MAX)
}

/// Nanoseconds as a `Duration`, as long as one can be.
pub(crate) fn nanos(nanos: u128) -> Duration {
    u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos)
}

/// A duration as Go writes it, rounded up to the millisecond: `0s`, `120ms`, `8.64s`, `1m26.4s`.
pub(crate) fn go_duration(time: Duration) -> String {
    let millis = ceil(time, Duration::from_millis(1));
    let (seconds, rest) = (millis / 1_000, millis % 1_000);
    let mut text = String::new();
    if millis > 0 && seconds == 0 {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{rest}ms");
        return text;
    }
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    if hours > 0 {
        let _ = write!(text, "{hours}h");
    }
    if seconds >= 60 {
        let _ = write!(text, "{minutes}m");
    }
    let _ = write!(text, "{}", seconds % 60);
    if rest > 0 {
        let fraction = format!(".{rest:03}");
        text.push_str(fraction.trim_end_matches('0'));
    }
    text.push('s');
    text
}

/// The last second that has four digits for its year.
const LAST: u64 = 253_402_300_799;

/// An instant since the Unix epoch as RFC 3339 in UTC, rounded up to the second; instants past the
/// year 9999 are told as its end.
pub(crate) fn rfc3339(wall: Duration) -> String {
    let seconds = ceil(wall, Duration::from_secs(1)).min(LAST);
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The year, month and day of a day counted from 1970-01-01: whole years are counted off, and then
/// whole months.
fn civil(mut day: u64) -> (u64, usize, u64) {
    let leap = |year: u64| {
        let century = year.is_multiple_of(100);
        year.is_multiple_of(if century { 400 } else { 4 })
    };
    let mut year = 1970;
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    (year, month, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_durations_as_go_does() {
        let told = |millis| go_duration(Duration::from_millis(millis));
        assert_eq!(told(0), "0s");
        assert_eq!(told(120), "120ms");
        assert_eq!(told(8_640), "8.64s");
        assert_eq!(told(12_007), "12.007s");
        assert_eq!(told(86_400), "1m26.4s");
        assert_eq!(told(360_000), "6m0s");
        assert_eq!(told(86_400_000), "24h0m0s");
        assert_eq!(go_duration(Duration::from_nanos(1)), "1ms");
    }

    #[test]
    fn writes_dates_of_leap_years_and_of_their_neighbours() {
        let told = |seconds| rfc3339(Duration::from_secs(seconds));
        assert_eq!(told(0), "1970-01-01T00:00:00Z");
        assert_eq!(told(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(told(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(told(951_868_800), "2000-03-01T00:00:00Z");
        assert_eq!(told(1_772_323_200), "2026-03-01T00:00:00Z");
        assert_eq!(told(1_795_338_930), "2026-11-22T09:15:30Z");
        assert_eq!(told(4_107_542_400), "2100-03-01T00:00:00Z");
        assert_eq!(told(1_798_761_599), "2026-12-31T23:59:59Z");
        assert_eq!(told(1_735_603_200), "2024-12-31T00:00:00Z");
    }

    #[test]
    fn tells_an_instant_that_never_comes_as_the_end_of_the_calendar() {
        assert_eq!(rfc3339(Duration::MAX), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn rounds_an_instant_up_to_the_second() {
        assert_eq!(rfc3339(Duration::from_millis(1)), "1970-01-01T00:00:01Z");
        assert_eq!(rfc3339(Duration::from_secs(1)), "1970-01-01T00:00:01Z");
    }
}
