//! What a gateway that runs knows.

use std::io::{self, Write};

use http::Method;
use jiff::{SignedDuration, Timestamp, Unit};
use serde_json::Value;

use super::{
    super::{
        admin::table::{aligned, plain},
        output::{complain, print},
    },
    Failure, Format, ReportArgs,
};

/// The figures, by their names in the answer.
const FIGURES: [&str; 7] = [
    "requests",
    "input",
    "cache_read",
    "output",
    "reasoning",
    "unpriced",
    "cost",
];

pub(super) async fn run(args: &ReportArgs) -> Result<(), Failure> {
    if args.attempts || !args.when.is_empty() || args.until.is_some() || args.time_zone != "UTC" {
        return Err(Failure::Argument(
            "--attempts, --when, --until and --time-zone are for a file: name it with --ledger"
                .to_owned(),
        ));
    }
    // Of two days the one before is yesterday.
    let (unit, last) = match args.since.as_str() {
        "hour" => ("hour", 1),
        "today" | "day" => ("day", 1),
        "yesterday" => ("day", 2),
        "week" => ("week", 1),
        "month" => ("month", 1),
        other => {
            return Err(Failure::Argument(format!(
                "--since: a gateway knows hour, today, yesterday, week and month, not `{other}`; ask the file, with --ledger"
            )));
        }
    };
    let by = args.by.join(",");
    let path = format!("/quota/costs?unit={unit}&last={last}&by={}", escaped(&by));
    let answer = args.reach.client()?.ask(Method::GET, &path, None).await?;
    let periods = answer["periods"].as_array().map_or(&[][..], Vec::as_slice);
    let nothing = Value::Null;
    let period = match args.since.as_str() {
        "yesterday" => before(periods).unwrap_or(&nothing),
        _ => periods.last().unwrap_or(&nothing),
    };
    print(|out| figures(args, period, out))?;
    // Not among the figures: whoever reads them by program has it in `/quota/costs`.
    if let Some(since) = begun_within(period, &answer) {
        complain(format_args!(
            "the gateway counts from its start on, {since}; what was before is in its file, if it has one: --ledger"
        ));
    }
    if period["is_whole"] == false {
        complain(format_args!(
            "with so many values some are counted together, whoever's they are: this is not all that is the key's own; a file knows it, with --ledger"
        ));
    }
    Ok(())
}

/// When the gateway began, where that was after the period did. Without a period nothing was in it since then.
fn begun_within(period: &Value, answer: &Value) -> Option<Timestamp> {
    let since = SignedDuration::try_from_secs_f64(answer["since"].as_f64()?).ok()?;
    let since = Timestamp::from_duration(since)
        .ok()?
        .round(Unit::Second)
        .ok()?;
    let start = period["start"]
        .as_str()
        .and_then(|start| start.parse::<Timestamp>().ok());
    start.is_none_or(|start| start < since).then_some(since)
}

/// The period just before the last one: days in which nothing happened are not told.
fn before(periods: &[Value]) -> Option<&Value> {
    let [before, last] = periods else {
        return None;
    };
    (before["end"] == last["start"]).then_some(before)
}

fn figures(args: &ReportArgs, period: &Value, out: &mut dyn Write) -> io::Result<()> {
    if args.format == Format::Json {
        return writeln!(out, "{period:#}");
    }
    let rows = period["rows"].as_array().map_or(&[][..], Vec::as_slice);
    let titles = args.by.iter().map(String::as_str).chain(FIGURES);
    let mut lines = vec![titles.map(str::to_owned).collect::<Vec<_>>()];
    for row in rows {
        let tags = args.by.iter().map(|tag| text(&row["tags"][tag]));
        lines.push(tags.chain(FIGURES.map(|name| text(&row[name]))).collect());
    }
    if period["others"]["requests"]
        .as_u64()
        .is_some_and(|others| others > 0)
    {
        let others = args.by.iter().enumerate();
        let others = others.map(|(place, _)| if place == 0 { "(others)" } else { "" });
        let figures = FIGURES.map(|name| text(&period["others"][name]));
        lines.push(others.map(str::to_owned).chain(figures).collect());
    }
    let all = args
        .by
        .iter()
        .enumerate()
        .map(|(place, _)| if place == 0 { "(all)" } else { "" });
    let total = FIGURES.map(|name| match &period["total"][name] {
        Value::Null => "0".to_owned(),
        figure => text(figure),
    });
    lines.push(all.map(str::to_owned).chain(total).collect());
    match args.format {
        Format::Csv => lines.iter().try_for_each(|line| {
            let cells: Vec<String> = line.iter().map(|cell| quoted(cell)).collect();
            write!(out, "{}\r\n", cells.join(","))
        }),
        _ => aligned(&lines).try_for_each(|line| writeln!(out, "{line}")),
    }
}

fn text(of: &Value) -> String {
    match of {
        Value::String(text) => plain(text),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// As RFC 4180 wants it. What a spreadsheet would compute is text: callers have written it.
fn quoted(cell: &str) -> String {
    let cell = match cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        true => format!("'{cell}"),
        false => cell.to_owned(),
    };
    match cell.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    }
}

/// As a query wants it.
fn escaped(text: &str) -> String {
    let each = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b',' | b'-' | b'_' | b'.' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_spreadsheet_would_compute_is_text() {
        for (cell, written) in [
            ("=1+1", "'=1+1"),
            ("\t=1", "'\t=1"),
            ("\r=1", "\"'\r=1\""),
            ("\n=1", "\"'\n=1\""),
            ("-a,\"b\"", "\"'-a,\"\"b\"\"\""),
            ("1=1", "1=1"),
        ] {
            assert_eq!(quoted(cell), written);
        }
    }

    #[test]
    fn a_period_that_began_before_the_gateway_is_not_told_whole() {
        let answer = json!({ "since": 1_795_651_200.4 });
        let of = |start: &str| begun_within(&json!({ "start": start }), &answer);
        let said = of("2026-11-01T00:00:00Z").map(|since| since.to_string());
        assert_eq!(said.as_deref(), Some("2026-11-26T00:00:00Z"));
        assert!(begun_within(&Value::Null, &answer).is_some());
        assert_eq!(of("2026-11-26T00:00:00Z"), None);
        assert_eq!(of("2026-11-26T10:00:00Z"), None);
        assert_eq!(begun_within(&Value::Null, &json!({})), None);
    }
}
