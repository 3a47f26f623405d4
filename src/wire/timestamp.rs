//! Instants as RFC 3339 writes them: `2026-11-22T09:15:31Z`.

use std::time::{Duration, SystemTime};

/// The instant of an RFC 3339 `date-time`, to the nanosecond; further digits are dropped.
///
/// A leap second is the second after it. Instants before 1970 are none: what no clock can show is
/// somebody's empty value (Go's is in the year 1).
pub(super) fn rfc3339(text: &str) -> Option<SystemTime> {
    let mut rest = Rest(text.as_bytes());
    let year = rest.digits(4)?;
    rest.one_of(b"-")?;
    let month = rest.digits(2)?;
    rest.one_of(b"-")?;
    let day = rest.digits(2)?;
    rest.one_of(b"Tt")?;
    let hour = rest.digits(2)?;
    rest.one_of(b":")?;
    let minute = rest.digits(2)?;
    rest.one_of(b":")?;
    let second = rest.digits(2)?;
    let nanos = rest.fraction()?;
    let (ahead, offset) = rest.offset()?;
    if hour > 23 || minute > 59 || second > 60 || !rest.0.is_empty() {
        return None;
    }
    let days = days_since_1970(year, month, day)?;
    let local = ((days * 24 + hour) * 60 + minute) * 60 + second;
    let seconds = if ahead {
        local.checked_sub(offset)?
    } else {
        local + offset
    };
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn digits(&mut self, count: usize) -> Option<u64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        digits.iter().try_fold(0, |value, digit| {
            let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
            Some(value * 10 + digit)
        })
    }

    fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        bytes.contains(first).then_some(*first)
    }

    /// Nanoseconds; zero if there is no fraction, nothing if it has no digits.
    fn fraction(&mut self) -> Option<u32> {
        let Some(digits) = self.0.strip_prefix(b".") else {
            return Some(0);
        };
        let end = digits.iter().position(|byte| !byte.is_ascii_digit());
        let (digits, rest) = digits.split_at(end.unwrap_or(digits.len()));
        self.0 = rest;
        let padded = digits.iter().copied().chain([b'0'; 9]).take(9);
        let nanos = padded.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'));
        (!digits.is_empty()).then_some(nanos)
    }

    /// Whether local time is ahead of UTC, and by how many seconds it is off.
    fn offset(&mut self) -> Option<(bool, u64)> {
        let sign = self.one_of(b"Zz+-")?;
        if matches!(sign, b'Z' | b'z') {
            return Some((false, 0));
        }
        let hours = self.digits(2)?;
        self.one_of(b":")?;
        let minutes = self.digits(2)?;
        let offset = hours * 3_600 + minutes * 60;
        (hours <= 23 && minutes <= 59).then_some((sign == b'+', offset))
    }
}

/// Days of the Gregorian calendar since 1970-01-01.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let february = if is_leap { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month = usize::try_from(month).ok()?.checked_sub(1)?;
    if day == 0 || day > *months.get(month)? {
        return None;
    }
    let years = year.checked_sub(1970)?;
    let leap_days_to = |year: u64| year / 4 - year / 100 + year / 400;
    let leap_days = leap_days_to(year - 1) - leap_days_to(1969);
    Some(years * 365 + leap_days + months[..month].iter().sum::<u64>() + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<f64> {
        let since = rfc3339(text)?.duration_since(SystemTime::UNIX_EPOCH);
        Some(since.unwrap().as_secs_f64())
    }

    #[test]
    fn instants() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0.0),
            ("1970-01-01T01:00:00+01:00", 0.0),
            ("2000-02-29T12:00:00Z", 951_825_600.0),
            ("2026-11-22T09:15:30Z", 1_795_338_930.0),
            ("2026-11-22t09:15:30z", 1_795_338_930.0),
            ("2026-11-22T09:15:30.5Z", 1_795_338_930.5),
            ("2026-11-22T09:15:30.25000000099Z", 1_795_338_930.25),
            ("2016-12-31T23:59:60Z", 1_483_228_800.0),
            ("2100-03-01T00:00:00Z", 4_107_542_400.0),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
    }

    /// The other parser of dates in the tree counts the same days.
    #[test]
    fn every_day_is_counted_once() {
        for day in 0..73_000_u64 {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(day * 86_400);
            let date = httpdate::fmt_http_date(at);
            let month = 1 + "JanFebMarAprMayJunJulAugSepOctNovDec"
                .find(&date[8..11])
                .unwrap()
                / 3;
            let text = format!("{}-{month:02}-{}T00:00:00Z", &date[12..16], &date[5..7]);
            assert_eq!(rfc3339(&text), Some(at), "{text}");
        }
    }

    #[test]
    fn what_is_no_instant() {
        for text in [
            "",
            "2026-11-22",
            "2026-11-22T09:15:30",
            "2026-11-22 09:15:30Z",
            "2026-11-22T09:15Z",
            "2026-11-22T09:15:30.Z",
            "2026-11-22T09:15:30,5Z",
            "2026-11-22T09:15:30Z ",
            "2026-11-22T09:15:30+0100",
            "2026-11-22T09:15:30+24:00",
            "2026-11-22T09:15:30+01:60",
            "2026-11-22T24:00:00Z",
            "2026-11-22T09:60:00Z",
            "2026-11-22T09:15:61Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-11-00T00:00:00Z",
            "2026-11-31T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "0001-01-01T00:00:00Z",
            "1969-12-31T23:00:00-01:30",
            "1970-01-01T00:30:00+01:00",
            "٢٠٢٦-11-22T09:15:30Z",
            "-026-11-22T09:15:30Z",
        ] {
            assert_eq!(rfc3339(text), None, "{text}");
        }
    }
}
