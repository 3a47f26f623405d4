//! How an alert leaves.

use std::{
    error::Error,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::crypto::ring;
use tower_service::Service;

use super::BadWebhook;

/// Sends a request, and has the head of its answer; or says in words why there is none.
pub(crate) type Post = Arc<dyn Fn(Request<Bytes>) -> Posted + Send + Sync>;

type Posted = Pin<Box<dyn Future<Output = Result<Response<()>, String>> + Send>>;

type HttpClient = legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// For `http` and `https`, which trusts the roots that browsers trust. It follows no redirects.
pub(super) fn client() -> Result<HttpClient, BadWebhook> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(ring::default_provider())
        .map_err(|error| BadWebhook::Client(error.to_string()))?
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    // They are hours apart: no connection is kept for the next one.
    Ok(builder.pool_max_idle_per_host(0).build(connector))
}

/// By this client.
pub(super) fn by<S, R>(client: S) -> Post
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone + Send + Sync + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send,
{
    Arc::new(move |request: Request<Bytes>| {
        let mut client = client.clone();
        Box::pin(async move {
            let said = |error: S::Error| causes(&*error.into());
            poll_fn(|cx| client.poll_ready(cx)).await.map_err(said)?;
            let answer = client.call(request.map(Full::new)).await.map_err(said)?;
            Ok(answer.map(drop))
        })
    })
}

/// An error with its causes.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
