//! A [`reqwest::Client`] as a tower service over the types of `http`.
//!
//! By itself it is a service of its own request type only. [`Client`] takes `http::Request<Body>` and answers
//! `http::Response<Body>`, both with [`reqwest::Body`], so that tower layers fit around it:
//!
//! ```no_run
//! use std::time::Duration;
//! use tower::{Service, ServiceBuilder, ServiceExt};
//! use tower_quota::{Limiter, RateLimitLayer, limit::{Limit, Limits}, reqwest::Client};
//!
//! # async fn call() -> Result<(), Box<dyn std::error::Error>> {
//! let limits = Limits::new([Limit::requests(500).every(Duration::from_secs(60))])?;
//! let mut client = ServiceBuilder::new()
//!     .layer(RateLimitLayer::new(Limiter::new(limits)))
//!     .service(Client::new()?);
//!
//! let request = http::Request::get("http://localhost:8080/v1/models").body(reqwest::Body::default())?;
//! let response = client.ready().await?.call(request).await?;
//! println!("{}", response.status());
//! # Ok(())
//! # }
//! ```
//!
//! What reqwest's own builder makes converts into such a request, and the answer back into reqwest's own, but for its
//! `url`, which is lost on the way:
//!
//! ```no_run
//! use tower::{ServiceBuilder, ServiceExt as _};
//! # use tower_quota::{Limiter, RateLimitLayer, limit::Limits};
//!
//! # async fn call() -> Result<(), Box<dyn std::error::Error>> {
//! # let layer = RateLimitLayer::new(Limiter::new(Limits::new([])?));
//! let client = ServiceBuilder::new().layer(layer).service(tower_quota::reqwest::Client::new()?);
//!
//! let builder = reqwest::Client::new().get("http://localhost:8080/v1/models").header("accept", "application/json");
//! let request = http::Request::<reqwest::Body>::try_from(builder.build()?)?;
//! let answer = client.oneshot(request).await?;
//! let response = reqwest::Response::from(answer.map(reqwest::Body::wrap));
//! println!("{}", response.text().await?);
//! # Ok(())
//! # }
//! ```
//!
//! This crate asks reqwest for no features, TLS included: name reqwest in your own `Cargo.toml` with those that
//! you need.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use ::reqwest::{Body, ClientBuilder, Error, redirect, retry};
use http::{Request, Response};
use tower_service::Service;

/// A reqwest client as a service of `http::Request<Body>`.
///
/// [`new`](Self::new) and [`build`](Self::build) switch off what makes more than one attempt of a call, because
/// no layer around a client can see or count what goes on inside it:
///
/// - redirects: each is a further request to the provider. A 3xx is answered as it came;
/// - reqwest's own retries (of refused HTTP/2 streams, by default): repeat attempts in a
///   [`RetryLayer`](crate::RetryLayer), where each is claimed for.
///
/// A client made elsewhere comes in by `From`, as it is.
///
/// The error is reqwest's own; the URL in it is without its query, in which some callers show their key. A request whose
/// URI is not absolute is one of its errors too.
#[derive(Clone, Debug)]
pub struct Client {
    inner: ::reqwest::Client,
}

impl Client {
    /// A client with reqwest's settings but for redirects and retries, which are off.
    ///
    /// # Errors
    /// Where reqwest cannot set up TLS or its resolver.
    pub fn new() -> Result<Self, Error> {
        Self::build(::reqwest::Client::builder())
    }

    /// A client with the settings of `builder` but for redirects and retries, which are off.
    ///
    /// # Errors
    /// Where reqwest cannot set up TLS or its resolver.
    pub fn build(builder: ClientBuilder) -> Result<Self, Error> {
        let builder = builder
            .redirect(redirect::Policy::none())
            .retry(retry::never());
        builder.build().map(Self::from)
    }
}

impl From<::reqwest::Client> for Client {
    /// The client as it is. Redirects and retries that it makes are attempts that nobody counts.
    fn from(inner: ::reqwest::Client) -> Self {
        Client { inner }
    }
}

impl Service<Request<Body>> for Client {
    type Response = Response<Body>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture {
        let sent = ::reqwest::Request::try_from(request).map(|request| self.inner.call(request));
        ResponseFuture(Box::pin(async move {
            let answered = sent.map_err(without_query)?.await;
            answered.map(Response::from).map_err(without_query)
        }))
    }
}

fn without_query(mut error: Error) -> Error {
    if let Some(url) = error.url_mut() {
        url.set_query(None);
    }
    error
}

/// The response future of a [`Client`].
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture(Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>);

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
