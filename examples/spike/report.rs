//! What became of the calls: a progress line while they run, a line of JSON at the end.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::StatusCode;
use serde::Serialize;
use tokio::{task::JoinHandle, time::Instant};
use tower_quota::{
    Limiter, Money,
    sim::{Ledger, SimLimit},
};

use super::trace::{MODELS, PRICES};

/// Calls by how they ended.
pub(crate) struct Counts {
    calls: usize,
    ok: AtomicUsize,
    failed: AtomicUsize,
}

impl Counts {
    pub(crate) fn new(calls: usize) -> Self {
        Counts {
            calls,
            ok: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
        }
    }

    /// Notes how one call ended. The first few failures are told as well.
    pub(crate) fn note<E: std::fmt::Display>(&self, ended: Result<StatusCode, E>) {
        let why = match ended {
            Ok(status) if status.is_success() => {
                self.ok.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        if self.failed.fetch_add(1, Ordering::Relaxed) < 3 {
            eprintln!("\na call failed: {why}");
        }
    }
}

/// Shows how far it is, four times a second.
pub(crate) fn progress(counts: Arc<Counts>, limiter: Option<Limiter>) -> JoinHandle<()> {
    let start = Instant::now();
    tokio::spawn(async move {
        loop {
            let (ok, failed) = (
                counts.ok.load(Ordering::Relaxed),
                counts.failed.load(Ordering::Relaxed),
            );
            let waiting = limiter.as_ref().map_or(0, Limiter::waiting);
            let seconds = start.elapsed().as_secs_f64();
            let calls = counts.calls;
            eprint!(
                "\r{seconds:5.1} s   {ok:>6} of {calls} ok   {failed:>6} failed   {waiting:>6} waiting "
            );
            let _ = std::io::stderr().flush();
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    })
}

/// What the last line says; `null` where nobody can tell, as without a ledger.
#[derive(Serialize)]
struct Line {
    calls: usize,
    ok: usize,
    failed: usize,
    provider_429: Option<usize>,
    over_limit: Option<usize>,
    billed: Option<Money>,
    least_s: Option<f64>,
    makespan_s: Option<f64>,
    goodput: Option<f64>,
    rss_mb: Option<u64>,
}

/// The last line.
pub(crate) fn line(counts: &Counts, ledger: Option<&Ledger>, limits: &[SimLimit]) -> String {
    let seconds = |span: Duration| (span.as_secs_f64() * 1_000.0).round() / 1_000.0;
    let least = ledger.map(|ledger| ledger.least(limits));
    let makespan = ledger.map(Ledger::makespan);
    let goodput = least.zip(makespan).map(|(least, makespan)| {
        (least.as_secs_f64() / makespan.as_secs_f64() * 1_000.0).round() / 1_000.0
    });
    let line = Line {
        calls: counts.calls,
        ok: counts.ok.load(Ordering::Relaxed),
        failed: counts.failed.load(Ordering::Relaxed),
        provider_429: ledger.map(Ledger::refused),
        over_limit: ledger.map(|ledger| ledger.over_limit(limits)),
        billed: ledger.map(billed),
        least_s: least.map(seconds),
        makespan_s: makespan.map(seconds),
        goodput,
        rss_mb: resident_mb(),
    };
    serde_json::to_string(&line).expect("numbers are JSON")
}

/// What the simulated provider bills; models that have no price here cost nothing.
fn billed(ledger: &Ledger) -> Money {
    let nanos = ledger.entries().iter().map(|entry| {
        let place = MODELS.iter().position(|model| *entry.model == **model);
        let (input, output) = place.map_or((0, 0), |place| PRICES[place]);
        entry.billed.input * input + entry.billed.output * output
    });
    Money::from_nanos(nanos.sum())
}

/// The most memory this process has had, simulator and all; `None` where the system does not tell.
fn resident_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace()
        .next()?
        .parse::<u64>()
        .ok()
        .map(|kb| kb / 1_024)
}
