//! Streams that are open and say nothing.

use std::{net::SocketAddr, time::Duration};

use http_body_util::BodyExt as _;
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    client::conn::http1::SendRequest,
};
use serde::Serialize;

use crate::{
    Cli, Error, cost,
    judge::{Folder, Gateway},
    load::connect,
    peers,
    report::rounded,
    said::{Kind, call},
};

/// So many are opened at once.
const AT_ONCE: usize = 50;

#[derive(Serialize)]
struct Streams {
    mode: &'static str,
    streams: usize,
    /// What each takes of the process's memory.
    gateway_kb: f64,
    hyper_kb: f64,
    gateway_mb: f64,
    /// With all of them open, what the gateway takes of the processor in a second, in milliseconds.
    gateway_idle_ms: f64,
    /// What is left when all are gone.
    gateway_after_mb: f64,
}

pub(crate) async fn run(cli: &Cli, count: usize) -> Result<String, Error> {
    let folder = Folder::new()?;
    let gateway = Gateway::start(cli, &folder.0, Duration::ZERO)?;
    let upstream = peers::upstream(Duration::ZERO)?;
    let hyper = peers::hyper(upstream.addr)?;
    let (mine, theirs) = (gateway.child.pid(), hyper.pid());
    // What the first calls bring is no stream's.
    for addr in [gateway.child.addr, hyper.addr] {
        drop(open(addr, AT_ONCE).await?);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = (cost::memory(mine)?, cost::memory(theirs)?);
    let held = open(gateway.child.addr, count).await?;
    let after = cost::memory(mine)?;
    let used = cost::processor(mine)?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let idle = (cost::processor(mine)? - used) / 5;
    drop(held);
    let held = open(hyper.addr, count).await?;
    let of_hyper = cost::memory(theirs)?;
    drop(held);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let each = |before: u64, after: u64| {
        rounded(after.saturating_sub(before) as f64 / 1_024.0 / count as f64)
    };
    let megabytes = |bytes: u64| rounded(bytes as f64 / f64::from(1 << 20));
    let streams = Streams {
        mode: "streams",
        streams: count,
        gateway_kb: each(before.0, after),
        hyper_kb: each(before.1, of_hyper),
        gateway_mb: megabytes(after),
        gateway_idle_ms: rounded(idle.as_secs_f64() * 1e3),
        gateway_after_mb: megabytes(cost::memory(mine)?),
    };
    Ok(serde_json::to_string(&streams)?)
}

type Held = (SendRequest<Full<Bytes>>, Incoming);

/// Opens so many, each with its first event read.
async fn open(addr: SocketAddr, count: usize) -> Result<Vec<Held>, Error> {
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        let some = (0..AT_ONCE.min(count - all.len())).map(|number| one(addr, number));
        for opened in futures_util::future::join_all(some).await {
            all.push(opened?);
        }
    }
    Ok(all)
}

async fn one(addr: SocketAddr, number: usize) -> Result<Held, Error> {
    let mut to = connect(addr).await?;
    let response = to.send_request(call(Kind::Held, number)).await?;
    let status = response.status();
    let mut body = response.into_body();
    let first = body.frame().await;
    match first {
        Some(Ok(_)) if status.is_success() => Ok((to, body)),
        other => Err(format!("{status}: a stream did not begin: {other:?}").into()),
    }
}
