//! What a file of counts knows.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    time::{Duration, SystemTime},
};

use jiff::{Timestamp, civil::Date};
use tower_quota::{
    Tag,
    config::Span,
    limit::{Calendar, CalendarError, CalendarUnit},
    store::sqlite::{Ledger, LedgerError, Query, Report},
};

use super::{
    super::admin::table::{aligned, plain},
    Failure, Format, ReportArgs,
};

pub(super) fn run(args: &ReportArgs, path: &Path) -> Result<(), Failure> {
    let failed = |error: LedgerError| match error {
        LedgerError::Write(error) => Failure::Print(error),
        error => Failure::Argument(format!("--ledger {}: {error}", path.display())),
    };
    let (zone, now) = (&args.time_zone, SystemTime::now());
    let span = |argument, text| {
        let span = span(text, zone, now);
        let span = span.map_err(|error| Failure::Argument(format!("--time-zone: {error}")))?;
        span.ok_or_else(|| unclear(argument, text))
    };
    let (from, end) = span("--since", &args.since)?;
    let until = match &args.until {
        Some(text) => span("--until", text)?.0,
        None => end,
    };
    if until <= from {
        let why = match &args.until {
            Some(_) => {
                "--until: it ends before it begins; an end is an instant, and a day is its beginning"
            }
            None => "--since: it begins after now, where there is nothing yet",
        };
        return Err(Failure::Argument(why.to_owned()));
    }
    // To read it nothing is created, so that it has to be there itself.
    if let Err(error) = fs::metadata(path) {
        let path = path.display();
        return Err(Failure::Argument(format!("--ledger {path}: {error}")));
    }
    let ledger = Ledger::open(path).map_err(failed)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.attempts {
        let written = match args.format {
            Format::Json => ledger.attempts_to_json(from, until, &mut out),
            _ => ledger.attempts_to_csv(from, until, &mut out),
        };
        written.map_err(failed)?;
    } else {
        let tags = args.by.iter().filter(|name| !name.is_empty());
        let query = Query::new().by(tags.map(|name| Tag::from(name.as_str())));
        let query = args.when.iter().fold(query, |query, (tag, value)| {
            query.when(Tag::from(tag.as_str()), value)
        });
        let report = ledger
            .report(&query.from(from).until(until))
            .map_err(failed)?;
        let written = match args.format {
            Format::Csv => report.to_csv(&mut out),
            Format::Json => report.to_json(&mut out),
            Format::Table => table(&report, &mut out),
        };
        written.map_err(Failure::Print)?;
    }
    out.flush().map_err(Failure::Print)
}

/// The CSV, aligned: one place says what is in it.
fn table(report: &Report, out: &mut impl io::Write) -> io::Result<()> {
    let titles = [
        "attempts",
        "estimated",
        "unpriced",
        "input",
        "cached",
        "output",
        "cost",
    ];
    let by = report.by.iter().map(|tag| tag.name().to_owned());
    let mut lines = vec![by.chain(titles.map(str::to_owned)).collect::<Vec<_>>()];
    let figures = |of: &tower_quota::store::sqlite::Totals| {
        let numbers = [
            of.attempts,
            of.estimated + of.unknown,
            of.unpriced,
            of.input,
            of.cache_read,
            of.output,
        ];
        let cost = of.cost.to_string();
        numbers
            .map(|number| number.to_string())
            .into_iter()
            .chain([cost])
            .collect::<Vec<_>>()
    };
    for (values, totals) in &report.rows {
        let cells = values.iter().map(|value| plain(value));
        lines.push(cells.chain(figures(totals)).collect());
    }
    if !report.by.is_empty() {
        let all = (0..report.by.len()).map(|place| if place == 0 { "(all)" } else { "" });
        lines.push(
            all.map(str::to_owned)
                .chain(figures(&report.totals))
                .collect(),
        );
    }
    aligned(&lines).try_for_each(|line| writeln!(out, "{line}"))
}

fn unclear(argument: &str, text: &str) -> Failure {
    Failure::Argument(format!(
        "{argument}: `{text}` is none of an instant, 2026-11-26T12:00:00Z, a day, 2026-11-26, a time ago, 7d, and today, yesterday, week, month"
    ))
}

/// When that began, and when it ends.
fn span(
    text: &str,
    zone: &str,
    now: SystemTime,
) -> Result<Option<(SystemTime, SystemTime)>, CalendarError> {
    let period = |unit, at| Ok(Calendar::new(unit, zone)?.period(at));
    // What is claimed this instant is in it, and an end is not.
    let later = now + Duration::from_secs(1);
    let from = match text {
        "today" => period(CalendarUnit::Day, now)?.0,
        "yesterday" => {
            let today = period(CalendarUnit::Day, now)?.0;
            return Ok(Some((
                period(CalendarUnit::Day, today - Duration::from_secs(1))?.0,
                today,
            )));
        }
        "week" => period(CalendarUnit::Week, now)?.0,
        "month" => period(CalendarUnit::Month, now)?.0,
        _ => {
            // A number alone may be a year.
            let has_unit = text.ends_with(|end: char| end.is_ascii_alphabetic());
            let ago = || now.checked_sub(text.parse::<Span>().ok().filter(|_| has_unit)?.into());
            let day = || text.parse::<Date>().ok()?.in_tz(zone).ok();
            let instant = match (text.contains('T'), text.parse::<Timestamp>()) {
                (true, Ok(instant)) => Some(instant),
                _ => day().map(|day| day.timestamp()),
            };
            match instant.and_then(since_1970).or_else(ago) {
                Some(from) => from,
                None => return Ok(None),
            }
        }
    };
    Ok(Some((from, later)))
}

fn since_1970(instant: Timestamp) -> Option<SystemTime> {
    let millis = u64::try_from(instant.as_millisecond()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_named_by_days_of_its_zone() {
        let at = |text: &str| since_1970(text.parse().unwrap()).unwrap();
        let now = at("2026-03-29T10:30:00Z");
        for (text, from, until) in [
            ("today", "2026-03-28T23:00:00Z", None),
            (
                "yesterday",
                "2026-03-27T23:00:00Z",
                Some("2026-03-28T23:00:00Z"),
            ),
            ("week", "2026-03-22T23:00:00Z", None),
            ("month", "2026-02-28T23:00:00Z", None),
            // Clocks were put forward the day before.
            ("2026-03-30", "2026-03-29T22:00:00Z", None),
            ("2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", None),
            ("2h", "2026-03-29T08:30:00Z", None),
        ] {
            let (start, end) = span(text, "Europe/Berlin", now).unwrap().unwrap();
            assert_eq!(start, at(from), "{text}");
            assert_eq!(
                end,
                until.map_or(now + Duration::from_secs(1), at),
                "{text}"
            );
        }
        for unclear in ["soon", "2026", "7"] {
            assert_eq!(span(unclear, "UTC", now), Ok(None), "{unclear}");
        }
        assert!(span("today", "Mars/Base", now).is_err());
    }
}
