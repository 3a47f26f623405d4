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
use tokio::{net::TcpStream, time::timeout};
use tower_service::Service;

/// A host that does not take a connection in this time is not reached.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long it may take until a connection can be used.
const CONNECTED_IN: Duration = Duration::from_secs(30);

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
        if let Some(proxy) = &proxy
            && proxy.uri().scheme() != Some(&Scheme::HTTP)
        {
            // Not named: it may have a password.
            let reason = "the proxy of the environment is none that is spoken to by http://";
            return Box::pin(async move { Err(reason.into()) });
        }
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

/// A connector that gives up when a connection, with its tunnel and its TLS, takes too long: who takes it and says nothing
/// would hold the call for ever.
#[derive(Clone, Debug)]
pub(super) struct InTime<C>(pub(super) C);

impl<C> Service<Uri> for InTime<C>
where
    C: Service<Uri>,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connected = timeout(CONNECTED_IN, self.0.call(to));
        Box::pin(async move {
            match connected.await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_) => Err("no connection in time".into()),
            }
        })
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A proxy may have a password.
        f.write_str("Connector")
    }
}
