//! Whether the gateway's ledger is what the upstream counted.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;
use tower_quota::store::sqlite::{Ledger, Query};

use crate::{
    Cli, Error, Survives,
    child::Child,
    load::{Load, Until, answer, get},
    peers,
    said::{INPUT, Kind, OUTPUT},
    upstream::COUNT,
};

/// Of a call, in billionths of a dollar: at 0.15 and 0.60 dollars for a million tokens.
const COST: u64 = INPUT * 150 + OUTPUT * 600;

/// A folder that goes with whoever has it.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Result<Self, Error> {
        let name = format!("tower-quota-load-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path)?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// The gateway and an upstream that nobody else asks.
pub(crate) struct Gateway {
    pub(crate) child: Child,
    pub(crate) upstream: Child,
    ledger: PathBuf,
}

impl Gateway {
    /// With its ledger where it is told, or in this folder.
    pub(crate) fn start(cli: &Cli, folder: &Path, delay: Duration) -> Result<Self, Error> {
        let ledger = cli.ledger.clone();
        let ledger = ledger.unwrap_or_else(|| folder.join("ledger.db"));
        Self::at(cli, ledger, cli.survives, delay)
    }

    pub(crate) fn at(
        cli: &Cli,
        ledger: PathBuf,
        survives: Survives,
        delay: Duration,
    ) -> Result<Self, Error> {
        let upstream = peers::upstream(delay)?;
        Ok(Gateway {
            child: peers::gateway(cli, &ledger, survives, upstream.addr)?,
            upstream,
            ledger,
        })
    }

    /// Stops it, and reads its ledger.
    pub(crate) async fn judge(self) -> Result<Judged, Error> {
        let calls: u64 = get(self.upstream.addr, COUNT).await?.parse()?;
        let status = self.child.stop()?;
        if !status.success() {
            return Err(format!("the gateway ended with {status}").into());
        }
        let found = Ledger::open(self.ledger)?.report(&Query::new())?.totals;
        let cost = tower_quota::Money::from_nanos(calls * COST);
        let is_exact = (found.attempts, found.input, found.output, found.cost)
            == (calls, calls * INPUT, calls * OUTPUT, cost)
            && (found.estimated, found.unknown, found.unpriced) == (0, 0, 0);
        Ok(Judged {
            upstream_counted: calls,
            ledger_counted: found.attempts,
            ledger_cost: found.cost.to_string(),
            ledger_is_exact: is_exact,
        })
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Judged {
    upstream_counted: u64,
    ledger_counted: u64,
    ledger_cost: String,
    /// Attempts, tokens and money, all reported and none guessed.
    pub(crate) ledger_is_exact: bool,
}

#[derive(Serialize)]
struct Quick {
    mode: &'static str,
    sent: u64,
    answered: u64,
    failed: Vec<String>,
    #[serde(flatten)]
    judged: Judged,
}

/// So many calls of each connection and kind, through the gateway alone.
pub(crate) async fn run(cli: &Cli) -> Result<String, Error> {
    const CALLS: [(Kind, usize); 3] = [(Kind::Chat, 40), (Kind::Stream, 40), (Kind::Long, 4)];
    let folder = Folder::new()?;
    let gateway = Gateway::start(cli, &folder.0, Duration::ZERO)?;
    let (mut answered, mut failed) = (0, Vec::new());
    for (kind, calls) in CALLS {
        let load = Load {
            addr: gateway.child.addr,
            kind,
            connections: cli.connections,
            answer: Some(answer(kind)),
            over: Duration::ZERO,
        };
        let sent = load.send(Until::Calls(calls)).await;
        answered += sent.calls();
        failed.extend(sent.failed);
    }
    let quick = Quick {
        mode: "quick",
        sent: CALLS
            .map(|(_, calls)| cli.connections * calls)
            .iter()
            .sum::<usize>() as u64,
        answered,
        failed,
        judged: gateway.judge().await?,
    };
    let line = serde_json::to_string(&quick)?;
    let is_exact = quick.judged.ledger_is_exact;
    if quick.answered != quick.sent || !quick.failed.is_empty() || !is_exact {
        return Err(format!("something is not as it should be: {line}").into());
    }
    Ok(line)
}
