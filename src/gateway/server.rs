//! The listening side.

use std::{future::Future, io, net::SocketAddr};

use axum::{Router, serve::ListenerExt};
use tokio::net::TcpListener;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Others than the programs of this machine could reach it.
    #[error(
        "{0} can be reached from other machines, and there are no keys yet to tell who calls; \
         listen on a loopback address, as 127.0.0.1:{port}", port = .0.port()
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

/// Listens on a loopback address. Port 0 is any free one.
///
/// # Errors
/// When the address is not a loopback address, or the system refuses it: it is in use, or needs privileges.
pub async fn bind(addr: SocketAddr) -> Result<TcpListener, BindError> {
    if !addr.ip().to_canonical().is_loopback() {
        return Err(BindError::NotLoopback(addr));
    }
    let bound = TcpListener::bind(addr).await;
    bound.map_err(|source| BindError::Refused { addr, source })
}

/// Serves until `stop` completes, then takes no more calls and returns when those that came are answered,
/// streams included.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let listener = listener.tap_io(|connection| {
        // Without it, each small chunk would wait for the caller's acknowledgement. A connection that
        // refuses it is about to fail by itself.
        let _ = connection.set_nodelay(true);
    });
    axum::serve(listener, router)
        .with_graceful_shutdown(stop)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn listens_where_only_this_machine_can_reach_it() {
        for addr in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
            let refused = bind(addr.parse().unwrap()).await;
            assert!(matches!(refused, Err(BindError::NotLoopback(_))), "{addr}");
        }
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let taken = bind(listener.local_addr().unwrap()).await;
        assert!(matches!(taken, Err(BindError::Refused { .. })));
    }
}
