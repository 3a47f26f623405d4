//! The proxy to compare with: the server and the client of hyper, and no logic.

use std::net::Ipv4Addr;

use http::{Request, Uri, uri::Authority};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::TcpListener;

use crate::Error;

/// Passes everything on to an address.
pub(crate) async fn serve(to: &str) -> Result<(), Error> {
    let to: Authority = to.parse()?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build::<_, Incoming>(connector);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (connection, _) = listener.accept().await?;
        connection.set_nodelay(true)?;
        let (client, to) = (client.clone(), to.clone());
        let service = service_fn(move |request| client.request(addressed(request, to.clone())));
        let serving = http1::Builder::new().serve_connection(TokioIo::new(connection), service);
        tokio::spawn(async { drop(serving.await) });
    }
}

fn addressed(request: Request<Incoming>, to: Authority) -> Request<Incoming> {
    let (mut parts, body) = request.into_parts();
    let mut uri = parts.uri.into_parts();
    (uri.scheme, uri.authority) = (Some(http::uri::Scheme::HTTP), Some(to));
    // One without a path goes nowhere.
    parts.uri = Uri::from_parts(uri).unwrap_or_default();
    Request::from_parts(parts, body)
}
