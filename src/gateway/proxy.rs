//! From a caller's request to the upstream's, or a target's, and back.

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
    client::{Client, client},
    headers,
    refusal::Refusal,
    tags,
    upstream::nowhere,
};
use crate::{
    call::RequestBody, rate_limit::RateLimitLayer, retry::asked::repeats_by_itself, wire::Dialect,
};

/// The gateway as a router: `/healthz`, and everything else through `layer`: calls for models with a route to its targets,
/// all others to `upstream`. Without one these are answered 404, with the models that have a route.
///
/// # Errors
/// When TLS cannot be set up; when there is neither an upstream nor a route.
pub fn router(layer: &RateLimitLayer, upstream: Option<Upstream>) -> io::Result<Router> {
    let client = client().map_err(io::Error::other)?;
    let service = match upstream {
        Some(_) => layer.layer(client),
        None if layer.has_routes() => layer.clone().routed_only().layer(client),
        None => {
            let reason = "there is neither an upstream nor a route: calls could go nowhere";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
    };
    let proxy = Proxy {
        service,
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
    service: <RateLimitLayer as Layer<Client>>::Service,
    upstream: Arc<Option<Upstream>>,
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
        let uri = match &*self.upstream {
            Some(upstream) => upstream.uri(&parts.uri),
            None => nowhere().uri(&parts.uri),
        };
        parts.uri = uri.ok_or_else(|| Refusal::NoPath(Option::clone(&self.upstream)))?;
        parts.version = Version::HTTP_11;
        // Before the headers of the connection go, which may name ours.
        let (tags, options) = tags::take(&mut parts.headers)?;
        parts.extensions.insert(tags);
        parts.extensions.insert(options);
        headers::strip_request(&mut parts.headers);
        let request = http::Request::from_parts(parts, RequestBody::new(body));

        let service = &mut self.service;
        poll_fn(|cx| service.poll_ready(cx))
            .await
            .map_err(Refusal::failed)?;
        let response = service.call(request).await.map_err(Refusal::failed)?;

        let (mut parts, body) = response.into_parts();
        parts.version = Version::HTTP_11;
        headers::strip_response(&mut parts.headers);
        Ok(Response::from_parts(parts, Body::new(body)))
    }
}
