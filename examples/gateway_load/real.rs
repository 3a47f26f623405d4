//! Calls as long as real ones are short: 200 ms each.

use std::time::Duration;

use serde::Serialize;

use crate::{
    Cli, Error,
    judge::{Folder, Gateway, Judged},
    load::{Load, Sent, Until, answer},
    report::{median, rounded},
    said::Kind,
};

const DELAY: Duration = Duration::from_millis(200);

#[derive(Serialize)]
struct Real {
    mode: &'static str,
    connections: usize,
    direct_p50_ms: f64,
    direct_p99_ms: f64,
    gateway_p50_ms: f64,
    gateway_p99_ms: f64,
    /// Of the slowest of a hundred, the median of all rounds: at most 1.
    added_p99_percent: f64,
    added_p50_percent: f64,
    #[serde(flatten)]
    judged: Judged,
}

/// The same calls to the upstream and through the gateway, by turns.
pub(crate) async fn run(cli: &Cli) -> Result<String, Error> {
    let folder = Folder::new()?;
    let gateway = Gateway::start(cli, &folder.0, DELAY)?;
    let ours = gateway.child.addr;
    // One that nobody else asks has what the ledger is held against; this one is asked directly.
    let upstream = crate::peers::upstream(DELAY)?;
    let (mut direct, mut through) = (Vec::new(), Vec::new());
    for round in 0..=cli.rounds {
        for (addr, kept) in [(upstream.addr, &mut direct), (ours, &mut through)] {
            let load = Load {
                addr,
                kind: Kind::Chat,
                connections: cli.connections,
                answer: Some(answer(Kind::Chat)),
            };
            let sent = load.send(Until::Passed(cli.turn * 2)).await;
            if let Some(failed) = sent.failed.first() {
                return Err(failed.clone().into());
            }
            if round > 0 {
                kept.push(sent);
            }
        }
        eprintln!("round {round} of {}", cli.rounds);
    }
    let at = |permille: usize, of: &mut Vec<Sent>| {
        let each = of.iter_mut().map(|sent| sent.micros_at(permille) / 1_000.0);
        median(each.collect())
    };
    let (direct_p50_ms, direct_p99_ms) = (at(500, &mut direct), at(990, &mut direct));
    let (gateway_p50_ms, gateway_p99_ms) = (at(500, &mut through), at(990, &mut through));
    let percent = |ours: f64, direct: f64| rounded((ours / direct - 1.0) * 100.0);
    let real = Real {
        mode: "real",
        connections: cli.connections,
        direct_p50_ms,
        direct_p99_ms,
        gateway_p50_ms,
        gateway_p99_ms,
        added_p99_percent: percent(gateway_p99_ms, direct_p99_ms),
        added_p50_percent: percent(gateway_p50_ms, direct_p50_ms),
        judged: gateway.judge().await?,
    };
    Ok(serde_json::to_string(&real)?)
}
