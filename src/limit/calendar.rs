//! Periods of a calendar: hours, days, weeks and months of a time zone. Pure: the time is an argument.

use std::{fmt, time::SystemTime};

use jiff::{
    SignedDuration, Timestamp, ToSpan as _, ZonedDateTime,
    civil::Weekday,
    tz::{Offset, TimeZone},
};
use serde::{Deserialize, Serialize};

/// The periods of a calendar, one after another, without overlaps or gaps.
///
/// Days are as long as they are on the clock: 23 or 25 hours where clocks change. Weeks begin on Monday. An hour begins
/// when the wall clock shows a full hour, and a change of clocks within it ends it.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_quota::limit::{Calendar, CalendarUnit};
///
/// let days = Calendar::new(CalendarUnit::Day, "Europe/Berlin")?;
/// // Sunday, 29 March 2026, noon: clocks went forward this night.
/// let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_774_778_400);
/// let (start, end) = days.period(noon);
/// assert_eq!(end.duration_since(start).unwrap(), Duration::from_secs(23 * 3_600));
/// # Ok::<(), tower_quota::limit::CalendarError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    unit: CalendarUnit,
    zone: TimeZone,
    name: String,
}

/// How long the periods of a calendar are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CalendarUnit {
    /// One hour of the clock.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Sunday.
    Week,
    /// From the first to the last day of a month.
    Month,
}

impl fmt::Display for CalendarUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CalendarUnit::Hour => "hour",
            CalendarUnit::Day => "day",
            CalendarUnit::Week => "week",
            CalendarUnit::Month => "month",
        })
    }
}

/// The error for a time zone that is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the time zone `{0}` is not known here; write a name of the IANA database, such as `Europe/Berlin` or `UTC`"
)]
pub struct CalendarError(String);

impl Calendar {
    /// Creates the periods of this length in a time zone, given by its name in the IANA database. `UTC` is always
    /// known.
    ///
    /// # Errors
    /// If the database, which is built in, does not know the name.
    pub fn new(unit: CalendarUnit, zone: &str) -> Result<Self, CalendarError> {
        let known = if zone.eq_ignore_ascii_case("UTC") {
            Ok(TimeZone::UTC)
        } else {
            TimeZone::get(zone)
        };
        Ok(Calendar {
            unit,
            zone: known.map_err(|_| CalendarError(zone.to_owned()))?,
            name: zone.to_owned(),
        })
    }

    /// Creates the periods of this length in UTC.
    #[must_use]
    pub fn utc(unit: CalendarUnit) -> Self {
        Calendar {
            unit,
            zone: TimeZone::UTC,
            name: "UTC".to_owned(),
        }
    }

    /// Returns how long the periods are.
    #[must_use]
    pub fn unit(&self) -> CalendarUnit {
        self.unit
    }

    /// Returns the name of the time zone, as it was given.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.name
    }

    /// Returns the period that contains this moment: when it began, and when the next one begins.
    ///
    /// Moments before the year -9999 or after 9999 are treated as the first or last moment that can be represented.
    #[must_use]
    pub fn period(&self, at: SystemTime) -> (SystemTime, SystemTime) {
        let at = Timestamp::try_from(at).unwrap_or(if at < SystemTime::UNIX_EPOCH {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        });
        let (start, end) = match self.unit {
            CalendarUnit::Hour => self.hour(at),
            _ => self.days(&at.to_zoned_datetime(self.zone.clone())),
        };
        (system(start), system(end))
    }

    fn hour(&self, at: Timestamp) -> (Timestamp, Timestamp) {
        let hour = 3_600;
        let offset: Offset = self.zone.to_offset(at);
        let local = at.as_second().saturating_add(i64::from(offset.seconds()));
        let into = local.rem_euclid(hour);
        let second = |second: i64| Timestamp::from_second(second);
        let start = second(at.as_second() - into).unwrap_or(Timestamp::MIN);
        let end = second(at.as_second() - into + hour).unwrap_or(Timestamp::MAX);
        // The next change of clocks after `at`, and the last one up to it.
        let after = self.zone.following(at).next();
        let just_after = at.checked_add(SignedDuration::from_nanos(1)).unwrap_or(at);
        let before = self.zone.preceding(just_after).next();
        (
            before.map_or(start, |change| start.max(change.timestamp())),
            after.map_or(end, |change| end.min(change.timestamp())),
        )
    }

    /// Days, weeks and months: from a midnight to a midnight.
    fn days(&self, at: &ZonedDateTime) -> (Timestamp, Timestamp) {
        let date = at.date();
        let (first, next) = match self.unit {
            CalendarUnit::Week => {
                let since = date.weekday().since(Weekday::Monday);
                let first = date.checked_sub(i64::from(since).days()).unwrap_or(date);
                (first, first.checked_add(1.week()))
            }
            CalendarUnit::Month => {
                let first = date.first_of_month();
                (first, first.checked_add(1.month()))
            }
            _ => (date, date.tomorrow()),
        };
        let midnight = |date: jiff::civil::Date| {
            let zoned = date.to_zoned_datetime(self.zone.clone());
            zoned.map(|zoned| zoned.start_of_day().unwrap_or(zoned).timestamp())
        };
        let start = midnight(first).unwrap_or(Timestamp::MIN);
        let end = next.and_then(midnight).unwrap_or(Timestamp::MAX);
        (start, end)
    }
}

/// Every moment that a calendar tells is one that the system tells.
fn system(moment: Timestamp) -> SystemTime {
    SystemTime::try_from(moment).unwrap_or(SystemTime::UNIX_EPOCH)
}

impl fmt::Display for Calendar {
    /// `calendar day in Europe/Berlin`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "calendar {} in {}", self.unit, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNITS: [CalendarUnit; 4] = [
        CalendarUnit::Hour,
        CalendarUnit::Day,
        CalendarUnit::Week,
        CalendarUnit::Month,
    ];
    /// With changes of clocks by an hour and by half of one, at midnight, with a day left out; far from UTC.
    const ZONES: [&str; 9] = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/Sao_Paulo",
        "Asia/Kathmandu",
        "Asia/Beirut",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Pacific/Kiritimati",
    ];

    fn at(text: &str) -> SystemTime {
        system(text.parse().unwrap())
    }

    fn period(unit: CalendarUnit, zone: &str, moment: &str) -> (String, String) {
        let (start, end) = Calendar::new(unit, zone).unwrap().period(at(moment));
        let zone = TimeZone::get(zone).unwrap();
        let text = |moment: SystemTime| {
            let zoned = Timestamp::try_from(moment)
                .unwrap()
                .to_zoned_datetime(zone.clone());
            zoned.strftime("%F %H:%M").to_string()
        };
        (text(start), text(end))
    }

    #[test]
    fn a_period_begins_where_the_one_before_ends_in_every_zone_for_years() {
        for zone in ZONES {
            for unit in UNITS {
                let calendar = Calendar::new(unit, zone).unwrap();
                let (mut moment, last, most) = match unit {
                    CalendarUnit::Hour => (
                        at("2026-01-01T00:30:00Z"),
                        at("2027-01-02T00:00:00Z"),
                        3_601,
                    ),
                    _ => (
                        at("2010-12-30T12:34:56Z"),
                        at("2030-01-02T00:00:00Z"),
                        32 * 86_400,
                    ),
                };
                let mut periods = 0;
                while moment < last {
                    let (start, end) = calendar.period(moment);
                    assert!(
                        start <= moment && moment < end,
                        "{zone} {unit:?} {moment:?}"
                    );
                    let length = end.duration_since(start).unwrap();
                    assert!(length.as_secs() <= most, "{zone} {unit:?} {length:?}");
                    assert_eq!(calendar.period(start), (start, end), "{zone} {unit:?}");
                    let just_before = end - std::time::Duration::from_nanos(1_000);
                    assert_eq!(
                        calendar.period(just_before),
                        (start, end),
                        "{zone} {unit:?}"
                    );
                    assert_eq!(
                        calendar.period(end).0,
                        end,
                        "{zone} {unit:?}: a gap or an overlap"
                    );
                    moment = end;
                    periods += 1;
                }
                assert!(periods > 200, "{zone} {unit:?}: {periods}");
            }
        }
    }

    #[test]
    fn days_are_as_long_as_they_are() {
        let hours = |zone, moment| {
            let (start, end) = Calendar::new(CalendarUnit::Day, zone)
                .unwrap()
                .period(at(moment));
            end.duration_since(start).unwrap().as_secs() / 3_600
        };
        assert_eq!(hours("Europe/Berlin", "2026-03-29T10:00:00Z"), 23);
        assert_eq!(hours("Europe/Berlin", "2026-10-25T10:00:00Z"), 25);
        assert_eq!(hours("Europe/Berlin", "2026-10-26T10:00:00Z"), 24);
        assert_eq!(hours("UTC", "2026-03-29T10:00:00Z"), 24);
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        let week = period(CalendarUnit::Week, "Europe/Berlin", "2026-11-01T22:59:59Z");
        assert_eq!(week, ("2026-10-26 00:00".into(), "2026-11-02 00:00".into()));
        let month = period(CalendarUnit::Month, "UTC", "2028-02-29T23:59:59Z");
        assert_eq!(
            month,
            ("2028-02-01 00:00".into(), "2028-03-01 00:00".into())
        );
        let year = period(
            CalendarUnit::Month,
            "Pacific/Kiritimati",
            "2026-12-31T12:00:00Z",
        );
        assert_eq!(year, ("2027-01-01 00:00".into(), "2027-02-01 00:00".into()));
    }

    #[test]
    fn hours_are_those_of_the_clock_on_the_wall() {
        let hour = period(CalendarUnit::Hour, "Asia/Kathmandu", "2026-06-01T00:14:59Z");
        assert_eq!(hour, ("2026-06-01 05:00".into(), "2026-06-01 06:00".into()));
        let half = period(
            CalendarUnit::Hour,
            "Australia/Lord_Howe",
            "2026-10-03T15:40:00Z",
        );
        assert_eq!(half, ("2026-10-04 02:30".into(), "2026-10-04 03:00".into()));
    }

    #[test]
    fn moments_beyond_all_calendars_do_not_panic() {
        let far = std::time::Duration::from_secs(1 << 40);
        for unit in UNITS {
            for zone in ZONES {
                let calendar = Calendar::new(unit, zone).unwrap();
                let later = SystemTime::UNIX_EPOCH.checked_add(far).unwrap();
                let earlier = SystemTime::UNIX_EPOCH.checked_sub(far).unwrap();
                assert!(calendar.period(later).0 < later);
                assert!(calendar.period(earlier).1 > earlier);
            }
        }
    }

    #[test]
    fn a_zone_that_is_not_known_is_named() {
        let error = Calendar::new(CalendarUnit::Day, "Europe/Atlantis").unwrap_err();
        assert!(error.to_string().contains("`Europe/Atlantis`"), "{error}");
        assert!(Calendar::new(CalendarUnit::Day, "utc").is_ok());
    }
}
