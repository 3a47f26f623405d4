//! Connections to upstreams: direct, or through a proxy that the environment names.

use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Uri, uri::Scheme};
use hyper_util::{
    client::{
        legacy::connect::{HttpConnector, proxy::Tunnel},
        proxy::matcher::Matcher,
    },
    rt::TokioIo,
};
use tokio::net::TcpStream;
use tower_service::Service;

/// A host that does not take a connection in this time is not reached.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a connection without traffic is probed, so that a stream from a host that is gone ends.
const KEEPALIVE: Duration = Duration::from_secs(60);

type BoxError = Box<dyn Error + Send + Sync>;

/// Connects. Calls to `https` go through the proxy of `HTTPS_PROXY` or `ALL_PROXY`, but for hosts in `NO_PROXY`; those to
/// `http` never: these are of one's own network.
#[derive(Clone)]
pub(super) struct Connector {
    direct: HttpConnector,
    proxies: Arc<Matcher>,
}

impl Connector {
    /// With the proxies that the environment names.
    pub(super) fn from_env() -> Self {
        let mut direct = HttpConnector::new();
        direct.enforce_http(false);
        direct.set_nodelay(true);
        direct.set_connect_timeout(Some(CONNECT_TIMEOUT));
        direct.set_keepalive(Some(KEEPALIVE));
        Connector {
            direct,
            proxies: Arc::new(Matcher::from_env()),
        }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<TcpStream>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // This connector always is.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let proxy = match to.scheme() == Some(&Scheme::HTTPS) {
            true => self.proxies.intercept(&to),
            false => None,
        };
        let Some(proxy) = proxy else {
            let direct = self.direct.call(to);
            return Box::pin(async move { Ok(direct.await?) });
        };
        let tunnel = Tunnel::new(proxy.uri().clone(), self.direct.clone());
        let mut tunnel = match proxy.basic_auth() {
            Some(auth) => tunnel.with_auth(auth.clone()),
            None => tunnel,
        };
        let through = tunnel.call(to);
        Box::pin(async move {
            through
                .await
                .map_err(|error| format!("the proxy of the environment: {error}").into())
        })
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A proxy may have a password.
        f.write_str("Connector")
    }
}
