//! The client that speaks to the upstream.

use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::crypto::ring;

use crate::call::RequestBody;

/// A host that does not take a connection in this time is not reached.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a connection without traffic is probed, so that a stream from a host that is gone ends.
const KEEPALIVE: Duration = Duration::from_secs(60);

pub(super) type HttpClient = Client<HttpsConnector<HttpConnector>, RequestBody>;

/// A client for `http` and `https`, which trusts the roots that browsers trust.
///
/// It sends a request a second time only if a kept connection turned out closed before anything was
/// written, so never two attempts for one of ours. It follows no redirects.
pub(super) fn client() -> Result<HttpClient, rustls::Error> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    http.set_keepalive(Some(KEEPALIVE));
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(ring::default_provider())?
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    let mut builder = Client::builder(TokioExecutor::new());
    // Without it, idle connections would be closed no sooner than somebody looks for one.
    builder.pool_timer(TokioTimer::new());
    Ok(builder.build(connector))
}
