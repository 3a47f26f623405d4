//! All by turns: each is asked for a moment, then the next one, and so on for many rounds.

use std::{collections::HashMap, time::Duration};

use crate::{
    Cli, Error, Survives, cost,
    judge::{Folder, Gateway},
    load::{Load, Until, answer},
    peers::{self, Peer},
    report::{self, Figures, Line},
    said::Kind,
};

/// What is asked for, and by how many connections.
const SHAPES: [(Kind, bool); 5] = [
    (Kind::Chat, true),
    (Kind::Stream, true),
    (Kind::Long, true),
    (Kind::Chat, false),
    (Kind::Stream, false),
];

pub(crate) async fn run(cli: &Cli) -> Result<String, Error> {
    let folder = Folder::new()?;
    let gateways = [
        (report::OURS, Survives::Power),
        (report::OURS_KILL, Survives::Kill),
    ];
    let gateways = gateways.map(|(name, survives)| {
        let ledger = folder.0.join(format!("{name}.db"));
        Ok::<_, Error>((name, Gateway::at(cli, ledger, survives, Duration::ZERO)?))
    });
    let gateways = gateways.into_iter().collect::<Result<Vec<_>, _>>()?;
    let own = peers::upstream(Duration::ZERO)?;
    let to = own.addr;
    let mut others = vec![peer("direct", own), peer("hyper", peers::hyper(to)?)];
    match peers::nginx(&folder.0, to).await? {
        Some(nginx) => others.push(peer("nginx", nginx)),
        None => eprintln!("nginx is not installed; in Debian: apt-get install nginx-light"),
    }
    if let Some(install) = &cli.liter {
        others.push(Peer {
            is_exact: false,
            ..peer("liter-llm", peers::liter(install, &folder.0, to).await?)
        });
    }
    let theirs = others
        .iter()
        .map(|peer| (peer.name, &peer.child, peer.is_exact));
    let ours = gateways
        .iter()
        .map(|(name, gateway)| (*name, &gateway.child, true));
    let mut asked: Vec<_> = theirs
        .chain(ours)
        .map(|(name, child, is_exact)| (name, child.addr, child.pid(), is_exact))
        .collect();

    let mut all: HashMap<_, Vec<Figures>> = HashMap::new();
    for round in 0..=cli.rounds {
        for (kind, is_full) in SHAPES {
            // Nobody is always the first one.
            asked.rotate_left(1);
            for &(name, addr, pid, is_exact) in &asked {
                let load = Load {
                    addr,
                    kind,
                    connections: if is_full { cli.connections } else { 1 },
                    answer: is_exact.then(|| answer(kind)),
                    over: Duration::ZERO,
                };
                let before = cost::processor(pid)?;
                let mut sent = load.send(Until::Passed(cli.turn)).await;
                let used = cost::processor(pid)? - before;
                if let Some(failed) = sent.failed.first() {
                    return Err(format!("{name}: {failed}").into());
                }
                let figures = Figures {
                    processor_us: used.as_secs_f64() * 1e6 / sent.calls() as f64,
                    a_second: sent.a_second(),
                    p50_us: sent.micros_at(500),
                    p99_us: sent.micros_at(990),
                };
                // In the first round connections are made, and memory is got.
                if round > 0 {
                    all.entry((name, kind, is_full)).or_default().push(figures);
                }
            }
        }
        eprintln!("round {round} of {}", cli.rounds);
    }
    let mut lines = Vec::new();
    for (kind, is_full) in SHAPES {
        asked.sort_unstable_by_key(|(name, ..)| *name);
        for &(name, _, pid, _) in &asked {
            let rounds = all.remove(&(name, kind, is_full)).unwrap_or_default();
            lines.push(Line::of(name, kind, is_full, &rounds, cost::memory(pid)?));
        }
    }
    drop(others);
    let mut judged = Vec::new();
    for (_, gateway) in gateways {
        judged.push(gateway.judge().await?);
    }
    report::all(lines, judged)
}

fn peer(name: &'static str, child: crate::child::Child) -> Peer {
    Peer {
        name,
        child,
        is_exact: true,
    }
}
