//! Load for a long while, and what becomes of the memory.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::{
    Cli, Error, cost,
    judge::{Folder, Gateway, Judged},
    load::{Load, Until, answer},
    report::rounded,
    said::Kind,
};

#[derive(Serialize)]
struct Soak {
    mode: &'static str,
    minutes: f64,
    calls: u64,
    failed: Vec<String>,
    processor_us: f64,
    /// After a tenth of the time, when all that is kept is there, and at the end.
    memory_early_mb: f64,
    memory_end_mb: f64,
    memory_most_mb: f64,
    /// By how much it grows in an hour, by the line through the last nine tenths.
    memory_mb_an_hour: f64,
    #[serde(flatten)]
    judged: Judged,
}

/// Answers and streams at once, from as many connections each as is said.
pub(crate) async fn run(cli: &Cli, minutes: f64) -> Result<String, Error> {
    let folder = Folder::new()?;
    let gateway = Gateway::start(cli, &folder.0, Duration::ZERO)?;
    let pid = gateway.child.pid();
    let time = Duration::from_secs_f64(minutes * 60.0);
    let loads = [Kind::Chat, Kind::Stream].map(|kind| Load {
        addr: gateway.child.addr,
        kind,
        connections: cli.connections,
        answer: Some(answer(kind)),
        over: Duration::ZERO,
    });
    let began = Instant::now();
    let mut seen: Vec<(f64, f64)> = Vec::new();
    let (mut calls, mut failed) = (0, Vec::new());
    // In short runs, so that what each call took is not kept for long.
    while began.elapsed() < time {
        let left = time.saturating_sub(began.elapsed());
        let until = Until::Passed(left.min(cli.turn * 5));
        let sent = futures_util::future::join_all(loads.iter().map(|load| load.send(until))).await;
        for sent in sent {
            calls += sent.calls();
            failed.extend(sent.failed);
        }
        let memory = cost::memory(pid)? as f64 / f64::from(1 << 20);
        seen.push((began.elapsed().as_secs_f64(), memory));
        eprintln!(
            "{:.0} s: {calls} calls, {memory:.1} MB",
            began.elapsed().as_secs_f64()
        );
        if !failed.is_empty() {
            break;
        }
    }
    let used = cost::processor(pid)?;
    let late = &seen[seen.len() / 10..];
    let memory = |place: Option<&(f64, f64)>| rounded(place.map_or(0.0, |seen| seen.1));
    let soak = Soak {
        mode: "soak",
        minutes,
        calls,
        failed,
        processor_us: rounded(used.as_secs_f64() * 1e6 / calls as f64),
        memory_early_mb: memory(late.first()),
        memory_end_mb: memory(late.last()),
        memory_most_mb: rounded(seen.iter().map(|seen| seen.1).fold(0.0, f64::max)),
        memory_mb_an_hour: rounded(slope(late) * 3_600.0),
        judged: gateway.judge().await?,
    };
    Ok(serde_json::to_string(&soak)?)
}

/// Of the line that fits best.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let (x, y) = points
        .iter()
        .fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    let (x, y) = (x / count, y / count);
    let (above, below) = points.iter().fold((0.0, 0.0), |sum, point| {
        let dx = point.0 - x;
        (sum.0 + dx * (point.1 - y), sum.1 + dx * dx)
    });
    if below > 0.0 { above / below } else { 0.0 }
}
