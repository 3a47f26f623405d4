//! The table, and the line for programs.

use serde::Serialize;

use crate::{Error, judge::Judged, said::Kind};

/// With its ledger on the disk at every claim, and without waiting for the disk.
pub(crate) const OURS: &str = "tower-quota";
pub(crate) const OURS_KILL: &str = "tower-quota-kill";

/// Of one turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Of the proxy for a call, in microseconds.
    pub(crate) processor_us: f64,
    pub(crate) a_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// Of one proxy and one kind of calls: the medians of all turns.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) name: &'static str,
    kind: &'static str,
    load: &'static str,
    processor_us: f64,
    a_second: f64,
    p50_us: f64,
    p99_us: f64,
    memory_mb: f64,
    /// The processor's time for a call, all turns in their order.
    turns: Vec<f64>,
}

impl Line {
    pub(crate) fn of(
        name: &'static str,
        kind: Kind,
        is_full: bool,
        turns: &[Figures],
        memory: u64,
    ) -> Self {
        let median = |of: fn(&Figures) -> f64| median(turns.iter().map(of).collect());
        Line {
            name,
            kind: kind.name(),
            load: if is_full { "full" } else { "one" },
            processor_us: median(|turn| turn.processor_us),
            a_second: median(|turn| turn.a_second),
            p50_us: median(|turn| turn.p50_us),
            p99_us: median(|turn| turn.p99_us),
            memory_mb: rounded(memory as f64 / f64::from(1 << 20)),
            turns: turns
                .iter()
                .map(|turn| rounded(turn.processor_us))
                .collect(),
        }
    }
}

/// What is promised, and what else one asks.
#[derive(Debug, Serialize)]
struct Ratios {
    /// Calls a second of the processor's time, of ours to bare hyper's: at least 0.6.
    over_hyper: Option<f64>,
    over_nginx: Option<f64>,
    over_liter: Option<f64>,
    /// Beside the upstream itself, one call at a time.
    added_p50_us: Option<f64>,
    added_p99_us: Option<f64>,
}

#[derive(Serialize)]
struct All {
    mode: &'static str,
    chat: Ratios,
    chat_kill: Ratios,
    stream: Ratios,
    stream_kill: Ratios,
    long: Ratios,
    long_kill: Ratios,
    /// The same of the peers.
    hyper_added_p50_us: Option<f64>,
    nginx_added_p50_us: Option<f64>,
    liter_added_p50_us: Option<f64>,
    ledgers: Vec<Judged>,
    lines: Vec<Line>,
}

pub(crate) fn all(lines: Vec<Line>, ledgers: Vec<Judged>) -> Result<String, Error> {
    println!(
        "{:17} {:7} {:5} {:>13} {:>9} {:>9} {:>9} {:>8}",
        "", "calls", "load", "processor us", "a second", "p50 us", "p99 us", "MB"
    );
    for line in &lines {
        let Line {
            name,
            kind,
            load,
            processor_us,
            a_second,
            p50_us,
            p99_us,
            memory_mb,
            ..
        } = line;
        println!(
            "{name:17} {kind:7} {load:5} {processor_us:13.1} {a_second:9.0} {p50_us:9.1} {p99_us:9.1} {memory_mb:8.1}"
        );
    }
    let is_exact = ledgers.iter().all(|ledger| ledger.ledger_is_exact);
    let added = |name: &str| added(&lines, name, "chat", |line| line.p50_us);
    let all = All {
        mode: "turns",
        chat: ratios(&lines, OURS, "chat"),
        chat_kill: ratios(&lines, OURS_KILL, "chat"),
        stream: ratios(&lines, OURS, "stream"),
        stream_kill: ratios(&lines, OURS_KILL, "stream"),
        long: ratios(&lines, OURS, "long"),
        long_kill: ratios(&lines, OURS_KILL, "long"),
        hyper_added_p50_us: added("hyper"),
        nginx_added_p50_us: added("nginx"),
        liter_added_p50_us: added("liter-llm"),
        ledgers,
        lines,
    };
    let line = serde_json::to_string(&all)?;
    if is_exact {
        Ok(line)
    } else {
        Err(format!("a ledger is not what the upstream counted: {line}").into())
    }
}

fn find<'l>(lines: &'l [Line], name: &str, kind: &str, load: &str) -> Option<&'l Line> {
    lines
        .iter()
        .find(|line| (line.name, line.kind, line.load) == (name, kind, load))
}

/// Beside the upstream itself.
fn added(lines: &[Line], name: &str, kind: &str, of: fn(&Line) -> f64) -> Option<f64> {
    let one = |name| find(lines, name, kind, "one").map(of);
    Some(rounded(one(name)? - one("direct")?))
}

fn ratios(lines: &[Line], ours: &str, kind: &str) -> Ratios {
    let over = |name: &str| {
        let theirs = find(lines, name, kind, "full")?;
        let ours = find(lines, ours, kind, "full")?;
        Some(rounded(theirs.processor_us / ours.processor_us))
    };
    Ratios {
        over_hyper: over("hyper"),
        over_nginx: over("nginx"),
        over_liter: over("liter-llm"),
        added_p50_us: added(lines, ours, kind, |line| line.p50_us),
        added_p99_us: added(lines, ours, kind, |line| line.p99_us),
    }
}

pub(crate) fn median(mut of: Vec<f64>) -> f64 {
    of.sort_unstable_by(f64::total_cmp);
    rounded(of.get(of.len() / 2).copied().unwrap_or_default())
}

/// To two places.
pub(crate) fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
