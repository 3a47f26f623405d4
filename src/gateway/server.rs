//! The listening side.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    io::{self, Write as _},
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use parking_lot::RwLock;
use rustls::ServerConfig;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::answers::Answers;

/// How long a caller may take to send the headers of a request, and how long its connection may lie idle.
const HEADERS_IN: Duration = Duration::from_secs(75);

/// The same of the first request: as long as there is none, nobody has shown a key, and the connection has a place of those that
/// the system has for all.
const FIRST_IN: Duration = Duration::from_secs(15);

/// How long it may take to agree on TLS.
const HANDSHAKE_IN: Duration = Duration::from_secs(10);

/// How much of a request's headers is read, and of a body at a time.
const BUFFER: usize = 64 << 10;

/// When a connection without traffic is probed, how often then, and for how long nothing may be answered.
const PROBED_AFTER: Duration = Duration::from_secs(60);
const PROBED_EACH: Duration = Duration::from_secs(15);
#[cfg(target_os = "linux")]
const UNANSWERED: Duration = Duration::from_secs(120);

/// How long nothing is accepted where the system has no more connections to give.
const NO_MORE: Duration = Duration::from_millis(500);

/// Why the gateway cannot listen on an address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Other machines could reach it, and there are no keys.
    #[error(
        "{0} can be reached from other machines, and there are no keys to tell who calls; \
         make one with `tower-quota admin --state FILE key create NAME` and name that file as gateway.state, \
         or listen on a loopback address, as 127.0.0.1:{port}", port = .0.port()
    )]
    NotLoopback(SocketAddr),
    /// The system refuses it.
    #[error("cannot listen on {addr}: {source}")]
    Refused {
        /// The address.
        addr: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
}

/// Listens on an address; port 0 means any free port. `keyed` says whether callers need keys; if they do not, only
/// loopback addresses are accepted.
///
/// # Errors
/// If the address is not a loopback address and there are no keys, or if the system refuses it because it is in use or
/// needs privileges.
pub async fn bind(addr: SocketAddr, keyed: bool) -> Result<TcpListener, BindError> {
    if !keyed && !addr.ip().to_canonical().is_loopback() {
        return Err(BindError::NotLoopback(addr));
    }
    let bound = TcpListener::bind(addr).await;
    bound.map_err(|source| BindError::Refused { addr, source })
}

/// The certificate in use; another may take its place while connections come.
#[derive(Clone, Debug, Default)]
pub(super) struct Certificate(Arc<RwLock<Option<Arc<ServerConfig>>>>);

impl Certificate {
    pub(super) fn set(&self, config: Option<Arc<ServerConfig>>) {
        *self.0.write() = config;
    }

    fn acceptor(&self) -> Option<TlsAcceptor> {
        let config = self.0.read().clone();
        config.map(TlsAcceptor::from)
    }
}

/// Serves until `stop` completes, then takes no more calls and returns when those that came are answered,
/// streams included.
pub(super) async fn serve(
    listener: TcpListener,
    answers: Answers,
    certificate: Certificate,
    stop: impl Future<Output = ()>,
) {
    let calls = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let (answers, watcher) = (answers.clone(), calls.watcher());
                tokio::spawn(connection(stream, certificate.acceptor(), answers, watcher));
            }
            // One that has gone already.
            Err(error) if is_of_connection(&error) => {}
            Err(error) => {
                complain(format_args!(
                    "cannot take more connections for now: {error}"
                ));
                sleep(NO_MORE).await;
            }
        }
    }
    // So that others can listen there while calls end.
    drop(listener);
    calls.shutdown().await;
}

/// Says so on stderr. If that cannot be written, that is no reason to serve no more.
pub(super) fn complain(what: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "tower-quota: {what}");
}

fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    answers: Answers,
    watcher: Watcher,
) {
    // Without it, each small chunk would wait for the caller's acknowledgement. A connection that
    // refuses it is about to fail by itself.
    let _ = stream.set_nodelay(true);
    keep_alive(&stream);
    let Some(tls) = tls else {
        return requests(stream, answers, watcher).await;
    };
    if let Ok(Ok(stream)) = timeout(HANDSHAKE_IN, tls.accept(stream)).await {
        requests(stream, answers, watcher).await;
    }
}

/// Has the system notice a caller that has vanished without a word: it would keep its place, and what it holds.
fn keep_alive(stream: &TcpStream) {
    let probes = TcpKeepalive::new()
        .with_time(PROBED_AFTER)
        .with_interval(PROBED_EACH);
    let socket = SockRef::from(stream);
    // One that refuses these is served without.
    let _ = socket.set_tcp_keepalive(&probes);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(UNANSWERED));
}

async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    answers: Answers,
    watcher: Watcher,
) {
    let has_begun = Arc::new(AtomicBool::new(false));
    let begins = has_begun.clone();
    let answer = service_fn(move |request: http::Request<Incoming>| {
        begins.store(true, Ordering::Relaxed);
        let answered = answers.clone().answer(request.map(Body::new));
        async { Ok::<_, Infallible>(answered.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_IN)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = pin!(watcher.watch(connection));
    // However it ends: what it was about is told by the call.
    let first = timeout(FIRST_IN, &mut connection).await;
    if first.is_err() && has_begun.load(Ordering::Relaxed) {
        let _ = connection.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn listens_where_only_this_machine_can_reach_it_but_with_keys_anywhere() {
        for addr in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
            let refused = bind(addr.parse().unwrap(), false).await;
            assert!(matches!(refused, Err(BindError::NotLoopback(_))), "{addr}");
        }
        assert!(bind("0.0.0.0:0".parse().unwrap(), true).await.is_ok());
        let listener = bind("127.0.0.1:0".parse().unwrap(), false).await.unwrap();
        let taken = bind(listener.local_addr().unwrap(), false).await;
        assert!(matches!(taken, Err(BindError::Refused { .. })));
    }
}
