//! Connections that are kept, and send one call after another.

use std::{net::SocketAddr, time::Duration};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Bytes, Incoming},
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet, time::Instant};

use crate::{
    Error,
    said::{self, Kind},
};

/// What became of calls.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// How long each took, in nanoseconds.
    pub(crate) took: Vec<u64>,
    /// Why calls failed, the first ones.
    pub(crate) failed: Vec<String>,
    pub(crate) during: Duration,
}

impl Sent {
    pub(crate) fn calls(&self) -> u64 {
        self.took.len() as u64
    }

    pub(crate) fn a_second(&self) -> f64 {
        self.took.len() as f64 / self.during.as_secs_f64()
    }

    /// What so many of a thousand took at most, in microseconds; of nothing it is nothing.
    pub(crate) fn micros_at(&mut self, permille: usize) -> f64 {
        self.took.sort_unstable();
        let last = self.took.len().saturating_sub(1);
        let place = self.took.len() * permille / 1_000;
        self.took
            .get(place.min(last))
            .map_or(0.0, |nanos| *nanos as f64 / 1_000.0)
    }

    fn add(&mut self, other: Sent) {
        self.took.extend(other.took);
        self.failed.extend(other.failed);
        self.failed.truncate(3);
    }
}

/// How long is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    Passed(Duration),
    /// So many calls of each connection.
    Calls(usize),
}

/// Calls of one kind to an address.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) addr: SocketAddr,
    pub(crate) kind: Kind,
    pub(crate) connections: usize,
    /// What every answer has to be, to the byte; `None`: it has to have the usage in it.
    pub(crate) answer: Option<Bytes>,
    /// Over how long the first calls come, one after another; zero: all at once.
    pub(crate) over: Duration,
}

impl Load {
    pub(crate) async fn send(&self, until: Until) -> Sent {
        let began = Instant::now();
        let mut all = JoinSet::new();
        for connection in 0..self.connections {
            let load = self.clone();
            all.spawn(async move {
                let mut sent = Sent::default();
                if let Err(error) = load.one(connection, until, began, &mut sent).await {
                    sent.failed.push(error.to_string());
                }
                sent
            });
        }
        let mut sent = Sent::default();
        while let Some(done) = all.join_next().await {
            sent.add(done.unwrap_or_default());
        }
        sent.during = began.elapsed();
        sent
    }

    async fn one(
        &self,
        connection: usize,
        until: Until,
        began: Instant,
        sent: &mut Sent,
    ) -> Result<(), Error> {
        let mut to = connect(self.addr).await?;
        let place = u32::try_from(connection)?;
        tokio::time::sleep_until(began + self.over * place / u32::try_from(self.connections)?)
            .await;
        let goes_on = |done: usize| match until {
            Until::Passed(time) => began.elapsed() < time,
            Until::Calls(calls) => done < calls,
        };
        while goes_on(sent.took.len()) {
            let call = said::call(self.kind, connection);
            let left = Instant::now();
            to.ready().await?;
            let response = to.send_request(call).await?;
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            let took = left.elapsed();
            if !status.is_success() || !self.is_right(&body) {
                return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
            }
            sent.took.push(u64::try_from(took.as_nanos())?);
        }
        Ok(())
    }

    fn is_right(&self, body: &Bytes) -> bool {
        let usage = format!("\"total_tokens\":{}", said::INPUT + said::OUTPUT);
        match &self.answer {
            Some(answer) => answer == body,
            None => memchr::memmem::find(body, usage.as_bytes()).is_some(),
        }
    }
}

/// What every answer is, to the byte.
pub(crate) fn answer(kind: Kind) -> Bytes {
    match kind {
        Kind::Chat | Kind::Long => said::answer(),
        Kind::Stream | Kind::Held => said::events().concat().into(),
    }
}

/// A connection to an address.
pub(crate) async fn connect(addr: SocketAddr) -> Result<SendRequest<Full<Bytes>>, Error> {
    let connection = TcpStream::connect(addr).await?;
    connection.set_nodelay(true)?;
    let (to, connection) = handshake(TokioIo::new(connection)).await?;
    tokio::spawn(async { drop(connection.await) });
    Ok(to)
}

/// What is said to GET.
pub(crate) async fn get(addr: SocketAddr, path: &str) -> Result<String, Error> {
    let request = http::Request::get(path)
        .header(http::header::HOST, "localhost")
        .body(Full::default())?;
    let response = connect(addr).await?.send_request(request).await?;
    text(response.into_body()).await
}

async fn text(body: Incoming) -> Result<String, Error> {
    let body = body.collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}
