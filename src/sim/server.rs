//! The simulator behind a socket.

use std::io::{Error, ErrorKind, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tower_service::Service as _;

use super::config::SimConfig;
use super::ledger::Ledger;
use super::service::SimService;
use super::simulator::Simulator;

/// Connections that may wait to be accepted; the system may allow fewer.
const BACKLOG: u32 = 4_096;

/// Time to wait before accepting again when the process is out of file descriptors.
const OUT_OF_FILES: Duration = Duration::from_millis(10);

impl Simulator {
    /// Serves HTTP/1.1 on this listener until the future is dropped, which closes all connections.
    ///
    /// # Errors
    ///
    /// When the listener fails for good. Connections that fail are dropped, and running out of
    /// file descriptors is waited out.
    pub async fn serve(&self, listener: TcpListener) -> Result<()> {
        let mut connections = JoinSet::new();
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    connections.spawn(connection(self.service(), stream));
                }
                Err(error) if of_connection(&error) => {}
                Err(error) if out_of_files(&error) => tokio::time::sleep(OUT_OF_FILES).await,
                Err(error) => return Err(error),
            }
            while connections.try_join_next().is_some() {}
        }
    }

    /// Starts a server on a free port of 127.0.0.1, on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// When no socket can be bound.
    pub async fn start(config: SimConfig) -> Result<SimServer> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let listener = socket.listen(BACKLOG)?;
        let addr = listener.local_addr()?;
        let simulator = Self::new(config);
        let served = simulator.clone();
        let task = tokio::spawn(async move { served.serve(listener).await });
        Ok(SimServer {
            addr,
            simulator,
            task,
        })
    }
}

/// A simulator that listens. Dropping it stops the server and closes its connections.
#[derive(Debug)]
pub struct SimServer {
    addr: SocketAddr,
    simulator: Simulator,
    task: JoinHandle<Result<()>>,
}

impl SimServer {
    /// The address that it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://ADDRESS:PORT`, without a path.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The provider behind the socket.
    pub fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// A copy of everything that has reached the provider so far.
    pub fn ledger(&self) -> Ledger {
        self.simulator.ledger()
    }

    /// Stops the server, closes its connections, and returns when no attempt is open.
    ///
    /// What the connections had open ends as given up.
    pub async fn shutdown(mut self) {
        self.task.abort();
        // The only outcome worth telling would be a failed listener, which no longer matters.
        let _ = (&mut self.task).await;
        self.simulator.idle().await;
    }
}

impl Drop for SimServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connection(service: SimService, stream: TcpStream) {
    // Without it, each small answer would wait for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request| service.clone().call(request));
    // A fault that drops the connection ends here, as does a client that hangs up.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

fn of_connection(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}

/// `ENFILE` and `EMFILE`, for which the standard library has no kind.
fn out_of_files(error: &Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}
