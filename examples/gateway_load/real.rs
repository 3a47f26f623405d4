//! Calls as long as real ones are short: 200 ms each.

use std::{net::SocketAddr, time::Duration};

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
    /// Calls that come one after another, as those of many agents do.
    apart: Added,
    /// The same number in one instant, again and again: each waits for the processor until those before it are through.
    at_once: Added,
    #[serde(flatten)]
    judged: Judged,
}

/// Each is the median of all rounds.
#[derive(Serialize)]
struct Added {
    direct_p50_ms: f64,
    direct_p99_ms: f64,
    gateway_p50_ms: f64,
    gateway_p99_ms: f64,
    /// Of the slowest of a hundred: at most 1 is promised, of those that come apart.
    added_p99_percent: f64,
    added_p50_percent: f64,
}

/// The same calls to the upstream and through the gateway, by turns.
pub(crate) async fn run(cli: &Cli) -> Result<String, Error> {
    let folder = Folder::new()?;
    let gateway = Gateway::start(cli, &folder.0, DELAY)?;
    // One that nobody else asks has what the ledger is held against; this one is asked directly.
    let upstream = crate::peers::upstream(DELAY)?;
    let (direct, ours) = (upstream.addr, gateway.child.addr);
    let (mut apart, mut at_once) = (<[Vec<Sent>; 2]>::default(), <[Vec<Sent>; 2]>::default());
    for round in 0..=cli.rounds {
        for (over, kept) in [(DELAY, &mut apart), (Duration::ZERO, &mut at_once)] {
            for (addr, kept) in [direct, ours].into_iter().zip(kept) {
                let sent = send(cli, addr, over).await?;
                if round > 0 {
                    kept.push(sent);
                }
            }
        }
        eprintln!("round {round} of {}", cli.rounds);
    }
    let real = Real {
        mode: "real",
        connections: cli.connections,
        apart: Added::of(apart),
        at_once: Added::of(at_once),
        judged: gateway.judge().await?,
    };
    Ok(serde_json::to_string(&real)?)
}

async fn send(cli: &Cli, addr: SocketAddr, over: Duration) -> Result<Sent, Error> {
    let load = Load {
        addr,
        kind: Kind::Chat,
        connections: cli.connections,
        answer: Some(answer(Kind::Chat)),
        over,
    };
    let sent = load.send(Until::Passed(cli.turn * 2)).await;
    match sent.failed.first() {
        Some(failed) => Err(failed.clone().into()),
        None => Ok(sent),
    }
}

impl Added {
    fn of([mut direct, mut through]: [Vec<Sent>; 2]) -> Self {
        let at = |permille: usize, of: &mut Vec<Sent>| {
            let each = of.iter_mut().map(|sent| sent.micros_at(permille) / 1_000.0);
            median(each.collect())
        };
        let (direct_p50_ms, direct_p99_ms) = (at(500, &mut direct), at(990, &mut direct));
        let (gateway_p50_ms, gateway_p99_ms) = (at(500, &mut through), at(990, &mut through));
        let percent = |ours: f64, direct: f64| rounded((ours / direct - 1.0) * 100.0);
        Added {
            direct_p50_ms,
            direct_p99_ms,
            gateway_p50_ms,
            gateway_p99_ms,
            added_p99_percent: percent(gateway_p99_ms, direct_p99_ms),
            added_p50_percent: percent(gateway_p50_ms, direct_p50_ms),
        }
    }
}
