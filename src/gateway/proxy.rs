//! From a caller's request to the upstream's and back.

use std::{future::poll_fn, io, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
    routing::get,
};
use http::{Method, Version};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    Upstream,
    client::{HttpClient, client},
    headers,
    refusal::Refusal,
    tags,
};
use crate::{
    call::RequestBody, rate_limit::RateLimitLayer, retry::asked::repeats_by_itself, wire::Dialect,
};

/// The gateway as a router: `/healthz`, and everything else through `layer` to `upstream`.
///
/// # Errors
/// When TLS cannot be set up.
pub fn router(layer: &RateLimitLayer, upstream: Upstream) -> io::Result<Router> {
    let client = client().map_err(io::Error::other)?;
    let proxy = Proxy {
        service: layer.layer(client),
        upstream: Arc::new(upstream),
        repeats: layer.repeats(),
    };
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .fallback(answer);
    Ok(router.with_state(proxy))
}

#[derive(Clone, Debug)]
struct Proxy {
    service: <RateLimitLayer as Layer<HttpClient>>::Service,
    upstream: Arc<Upstream>,
    /// Whether the layers repeat what fails.
    repeats: bool,
}

async fn answer(State(proxy): State<Proxy>, request: Request) -> Response {
    // As the layers do, so that all of us speak one language to one caller.
    let dialect = if request.method() == Method::POST {
        Dialect::detect(request.uri().path(), request.headers())
    } else {
        Dialect::Generic
    };
    let is_repeated = proxy.repeats && repeats_by_itself(request.headers());
    match proxy.pass(request).await {
        Ok(response) => response,
        Err(refusal) => refusal.answer(dialect, is_repeated),
    }
}

impl Proxy {
    async fn pass(mut self, request: Request) -> Result<Response, Refusal> {
        let (mut parts, body) = request.into_parts();
        let Some(uri) = self.upstream.uri(&parts.uri) else {
            return Err(Refusal::NoPath(Upstream::clone(&self.upstream)));
        };
        parts.uri = uri;
        parts.version = Version::HTTP_11;
        // Before the headers of the connection go, which may name ours.
        let (tags, options) = tags::take(&mut parts.headers)?;
        parts.extensions.insert(tags);
        parts.extensions.insert(options);
        headers::strip_request(&mut parts.headers);
        let request = http::Request::from_parts(parts, RequestBody::new(body));

        let failed = |error| Refusal::failed(&self.upstream, error);
        let service = &mut self.service;
        poll_fn(|cx| service.poll_ready(cx)).await.map_err(failed)?;
        let response = service.call(request).await.map_err(failed)?;

        let (mut parts, body) = response.into_parts();
        parts.version = Version::HTTP_11;
        headers::strip_response(&mut parts.headers);
        Ok(Response::from_parts(parts, Body::new(body)))
    }
}
