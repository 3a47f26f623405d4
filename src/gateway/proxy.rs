//! From a caller's request to the upstream's, or a target's, and back.

use std::{future::poll_fn, sync::Arc};

use axum::{body::Body, extract::Request, response::Response};
use http::{Method, Version, request::Parts, uri::PathAndQuery};
use http_body::Body as _;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    client::Client,
    headers,
    incoming::Incoming,
    models, path,
    refusal::Refusal,
    state::{
        State,
        keys::{Key, TOKEN_PREFIX},
    },
    tags, unmetered,
    upstreams::{Chosen, Unmetered, Upstreams, nowhere, show, strip, without_query_key},
};
use crate::{
    call::{BODY_CAP, RequestBody},
    limiter::Limiter,
    rate_limit::RateLimitLayer,
    retry::asked::repeats_by_itself,
    tags::Tag,
    wire::Dialect,
};

type Layered = <RateLimitLayer as Layer<Client>>::Service;

/// What every call passes through.
#[derive(Debug)]
pub(super) struct Proxy {
    /// Through the layers, to a target or to where it says.
    pub(super) open: Layered,
    /// The same, to targets alone, where there are any.
    pub(super) routed: Option<Layered>,
    pub(super) upstreams: Upstreams,
    pub(super) state: Option<State>,
    pub(super) limiter: Limiter,
    /// The models that have a route.
    pub(super) models: Vec<String>,
    /// Whether the layers repeat what fails.
    pub(super) repeats: bool,
}

/// What is to be done with a call.
enum Ready {
    Send(Layered, Box<Parts>),
    Answer(Response),
}

impl Proxy {
    /// Answers a call, whatever comes of it.
    pub(super) async fn answer(self: Arc<Self>, request: Request) -> Response {
        let spoken = self.spoken(&request);
        let is_repeated = self.repeats && repeats_by_itself(request.headers());
        let (parts, body) = request.into_parts();
        let body = Incoming::new(body);
        let ready = match self.prepare(parts, body.size_hint().lower()) {
            Ok(ready) => ready,
            Err(refusal) => {
                // Who still writes would not read the answer.
                body.drain().await;
                return refusal.answer(spoken, is_repeated);
            }
        };
        let answered = match ready {
            Ready::Send(service, parts) => {
                let body = RequestBody::new(body);
                send(service, http::Request::from_parts(*parts, body)).await
            }
            Ready::Answer(response) => Ok(response),
        };
        answered.unwrap_or_else(|refusal| refusal.answer(spoken, is_repeated))
    }

    /// In which API refusals are said: that of the call, else that of the provider whose paths it is among.
    fn spoken(&self, request: &Request) -> Dialect {
        let (uri, headers) = (request.uri(), request.headers());
        let chosen = self.upstreams.choose(uri, headers);
        let path = chosen
            .as_ref()
            .map_or(uri.path(), |chosen| chosen.path.path());
        match dialect(request.method(), path, headers) {
            Dialect::Generic => self.upstreams.dialect_of(path, headers),
            dialect => dialect,
        }
    }

    /// Who calls, where callers have to say so; and nothing of that goes on.
    fn identify(
        &self,
        parts: &mut Parts,
        path: &mut PathAndQuery,
    ) -> Result<Option<Arc<Key>>, Refusal> {
        let Some(state) = &self.state else {
            return Ok(None);
        };
        let shown = show(&mut parts.headers, &parts.uri, TOKEN_PREFIX).ok_or(Refusal::NoKey)?;
        let key = state.key_of(&shown.token)?;
        if !shown.is_apart {
            strip(&mut parts.headers);
            *path = without_query_key(path);
        }
        Ok(Some(key))
    }

    /// Makes the head of a call what is sent on. `length`: how long its body is at least.
    fn prepare(&self, mut parts: Parts, length: u64) -> Result<Ready, Refusal> {
        let asked = parts.uri.path_and_query();
        let asked = asked.filter(|asked| asked.as_str().starts_with('/'));
        let asked = asked.ok_or(Refusal::NoPath)?.clone();
        let chosen = self.upstreams.choose(&parts.uri, &parts.headers);
        let mut path = chosen.as_ref().map_or(asked, |chosen| chosen.path.clone());
        let key = self.identify(&mut parts, &mut path)?;
        // Before the headers of the connection go, which may name ours.
        let (mut tags, options) = tags::take(&mut parts.headers)?;
        if let Some(key) = &key {
            tags = key.admit(&tags, options.priority)?;
        }
        let dialect = dialect(&parts.method, path.path(), &parts.headers);
        if chosen.is_none() && !self.models.is_empty() {
            let spoken = self.upstreams.dialect_of(path.path(), &parts.headers);
            if let Some(list) = models::list(&parts.method, path.path(), spoken, &self.models) {
                return Ok(Ready::Answer(list));
            }
        }
        path::check(
            path.path(),
            &parts.headers,
            parts.method == Method::POST,
            dialect,
        )?;
        if dialect != Dialect::Generic && length > BODY_CAP as u64 {
            return Err(Refusal::TooLarge);
        }
        if let Some(chosen) = &chosen {
            self.meters(chosen, &parts.method, path.path(), dialect)?;
            if let Some(provider) = &chosen.place.provider {
                tags.set(Tag::Provider, provider.clone());
            }
            if chosen.place.authorize(&mut parts.headers) {
                path = without_query_key(&path);
            }
        }
        let uri = match &chosen {
            Some(chosen) => chosen.place.url.uri(&path),
            None => nowhere(&path),
        };
        parts.uri = uri.ok_or(Refusal::NoPath)?;
        parts.version = Version::HTTP_11;
        parts.extensions.insert(tags);
        parts.extensions.insert(options);
        headers::strip_request(&mut parts.headers);
        let service = match &chosen {
            Some(_) => Some(&self.open),
            None => self.routed.as_ref(),
        };
        let service = service.ok_or_else(|| Refusal::nowhere(self.upstreams.names()))?;
        Ok(Ready::Send(service.clone(), Box::new(parts)))
    }

    /// Whether what the call costs is known here, as far as it has to be.
    fn meters(
        &self,
        chosen: &Chosen<'_>,
        method: &Method,
        path: &str,
        dialect: Dialect,
    ) -> Result<(), Refusal> {
        let denied = chosen.place.unmetered == Unmetered::Deny
            && unmetered::costs_unknown(method, path, dialect)
            && self.limiter.limits().count_cost();
        match denied {
            true => Err(Refusal::Unmetered(path.to_owned())),
            false => Ok(()),
        }
    }
}

/// As the layers see it.
fn dialect(method: &Method, path: &str, headers: &http::HeaderMap) -> Dialect {
    if *method == Method::POST {
        Dialect::detect(path, headers)
    } else {
        Dialect::Generic
    }
}

async fn send(
    mut service: Layered,
    request: http::Request<RequestBody>,
) -> Result<Response, Refusal> {
    poll_fn(|cx| service.poll_ready(cx))
        .await
        .map_err(Refusal::failed)?;
    let response = service.call(request).await.map_err(Refusal::failed)?;
    let (mut parts, body) = response.into_parts();
    parts.version = Version::HTTP_11;
    headers::strip_response(&mut parts.headers);
    Ok(Response::from_parts(parts, Body::new(body)))
}
