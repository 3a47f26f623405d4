//! The client that speaks to the upstream, and to the targets of routes.

use std::{
    any::Any,
    error::Error,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Uri};
use http_body::Body as _;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use rustls::ClientConfig;
use tokio::time::timeout;
use tower_service::Service;

use super::{
    abreast::abreast,
    connector::{Connector, InTime},
};
use crate::call::{BODY_CAP, ClientError, RequestBody};

type HttpClient = legacy::Client<InTime<HttpsConnector<Connector>>, RequestBody>;

/// A client for `http` and `https`. Whoever it asks has so long to answer: until the first of it is there. `None`: as long as
/// they like.
///
/// It sends a request a second time only if a kept connection turned out closed before anything was
/// written, so never two attempts for one of ours. It follows no redirects.
pub(super) fn client(tls: ClientConfig, answers_within: Option<Duration>) -> Client {
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(Connector::from_env());
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    // Without it, idle connections would be closed no sooner than somebody looks for one.
    builder.pool_timer(TokioTimer::new());
    let http = builder.build(InTime(connector));
    Client(Arc::new(Settled {
        http,
        answers_within,
    }))
}

/// The client as a service whose errors say who was asked. Each of our layers clones it for every call: its settings would
/// be copied each time.
#[derive(Clone, Debug)]
pub(super) struct Client(Arc<Settled>);

#[derive(Debug)]
struct Settled {
    http: HttpClient,
    answers_within: Option<Duration>,
}

/// Whether an attempt failed by that. Whoever has been silent for so long is not asked the same again.
pub(super) fn is_silent(error: &(dyn Any + 'static)) -> bool {
    let error = error.downcast_ref::<BoxError>();
    error.is_some_and(|error| error.is::<Silent>())
}

/// It took the call, and had not begun to answer when its time was over.
#[derive(Debug, thiserror::Error)]
#[error("{host} has not answered within {} s", .within.as_secs_f64())]
pub(super) struct Silent {
    pub(super) host: String,
    pub(super) within: Duration,
}

type Answer = <HttpClient as Service<Request<RequestBody>>>::Response;

/// In a box: the layers look for the causes that they know in those that are.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;

impl Service<Request<RequestBody>> for Client {
    type Response = Answer;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // This client always is.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let uri = request.uri().clone();
        // Whoever writes for long is not to blame for that.
        let length = request.body().size_hint().upper();
        let is_short = length.is_some_and(|length| length <= BODY_CAP as u64);
        let within = self.0.answers_within.filter(|_| is_short);
        let sent = self.0.http.request(request);
        Box::pin(async move {
            abreast().await;
            let answered = match within {
                None => sent.await,
                Some(within) => timeout(within, sent).await.map_err(|_| {
                    let host = host(&uri);
                    Silent { host, within }
                })?,
            };
            answered.map_err(|source| {
                let host = host(&uri);
                ClientError { host, source }.into()
            })
        })
    }
}

fn host(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    format!("{scheme}://{authority}")
}
