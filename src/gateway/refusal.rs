//! Answers that are the gateway's own, not the upstream's and not the layers'.

use std::{error::Error, fmt::Write as _, sync::Arc};

use axum::{body::Body, response::Response};
use http::{
    HeaderValue, StatusCode,
    header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use hyper_util::client::legacy;

use super::{
    bodies::NoMemory,
    client::{BoxError, Silent},
    path::BadPath,
    rest,
    state::keys::{NotAllowed, NotTaken},
};
use crate::{
    body::{SHOULD_RETRY, tell_help},
    call::{BODY_CAP, ClientError},
    error::help::kind,
    tags::BadHeader,
    wire::{Dialect, error_body},
};

/// Those that are passed on (RFC 9110, section 15.5.6); which of them a path takes, its upstream knows.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Why a call was not answered by the upstream.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Header(#[from] BadHeader),
    #[error(
        "this is no proxy to any host: ask for a path of this gateway, as /v1/chat/completions"
    )]
    NoPath,
    #[error(
        "there are no keys here, so only programs of this machine may call: as http://localhost or http://127.0.0.1, and from no page of another site"
    )]
    Foreign,
    #[error("this method is not passed on")]
    Method,
    #[error(
        "WebSockets are not passed on here: use the HTTP API of the provider, or connect to the provider directly and claim what the connection may use at /quota/claims"
    )]
    WebSocket,
    #[error(
        "a browser asks for this to show it as a page or to run it in one, and what upstreams answer is for programs; the dashboard of this gateway is at /quota/"
    )]
    Page,
    #[error(transparent)]
    Path(#[from] BadPath),
    #[error(
        "there is no key: show one of this gateway as SDKs show the provider's, in Authorization, x-api-key or x-goog-api-key"
    )]
    NoKey,
    #[error(transparent)]
    Key(#[from] NotTaken),
    #[error("{0}")]
    NotAllowed(NotAllowed),
    #[error(
        "what a call to {0} costs cannot be counted here, and there are budgets; whoever runs this gateway can let it pass by `unmetered: allow` of its upstream"
    )]
    Unmetered(String),
    #[error(
        "the body is longer than the {BODY_CAP} bytes that are read of one, and unread the call would not be counted as what it is"
    )]
    TooLarge,
    #[error(
        "the body has a content-encoding, and unread the call would not be counted as what it is: send the body uncompressed and leave that header out"
    )]
    Compressed,
    #[error(transparent)]
    NoMemory(#[from] NoMemory),
    #[error("this path leads to no upstream; those there are begin with {0}")]
    Nowhere(String),
    #[error("the upstream {host} could not be reached: {reason}", host = .0.host, reason = why(&.0.source))]
    NotReached(ClientError),
    #[error("the upstream {host} broke off before it answered: {reason}", host = .0.host, reason = why(&.0.source))]
    BrokeOff(ClientError),
    #[error("the upstream {0}: see `gateway.answers_within`")]
    Silent(Silent),
    #[error("the upstream broke off within its answer: {0}")]
    BrokeOffWithin(axum::Error),
    /// The upstream's name. What it says of our key is not for the caller.
    #[error(
        "the upstream `{0}` refused the key that this gateway has for it, does not let that key do this, or repeats it in an error; it is not the caller's key, and whoever runs this gateway has to put it right"
    )]
    UpstreamKey(Arc<str>),
    #[error("{0}", rest::Cancelled)]
    Cancelled,
    #[error("the call failed: {0}")]
    Other(BoxError),
}

impl From<NotAllowed> for Refusal {
    fn from(claim: NotAllowed) -> Self {
        Refusal::NotAllowed(claim)
    }
}

impl Refusal {
    /// These upstreams there are.
    pub(super) fn nowhere(names: &[&str]) -> Self {
        let paths: Vec<String> = names.iter().map(|name| format!("/{name}/")).collect();
        Refusal::Nowhere(paths.join(", "))
    }

    pub(super) fn failed(error: BoxError) -> Self {
        match error.downcast::<ClientError>() {
            Ok(failed) if failed.source.is_connect() => Refusal::NotReached(*failed),
            Ok(failed) => Refusal::BrokeOff(*failed),
            Err(other) => match other.downcast::<Silent>() {
                Ok(silent) => Refusal::Silent(*silent),
                Err(other) => Refusal::Other(other),
            },
        }
    }

    pub(super) fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Refusal::Header(_) => (StatusCode::BAD_REQUEST, kind!("bad_header")),
            Refusal::NoPath | Refusal::Path(_) => (StatusCode::BAD_REQUEST, kind!("bad_request")),
            Refusal::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, kind!("body_too_large")),
            Refusal::Compressed => (StatusCode::UNSUPPORTED_MEDIA_TYPE, kind!("body_compressed")),
            Refusal::NoMemory(_) => (StatusCode::SERVICE_UNAVAILABLE, kind!("no_memory")),
            Refusal::Nowhere(_) => (StatusCode::NOT_FOUND, kind!("no_upstream")),
            Refusal::Foreign => (StatusCode::FORBIDDEN, kind!("not_local")),
            Refusal::Method => (StatusCode::METHOD_NOT_ALLOWED, kind!("bad_method")),
            Refusal::WebSocket => (StatusCode::NOT_IMPLEMENTED, kind!("no_websocket")),
            Refusal::Page => (StatusCode::FORBIDDEN, kind!("no_page")),
            Refusal::NoKey => (StatusCode::UNAUTHORIZED, kind!("missing_api_key")),
            Refusal::Key(NotTaken::Unknown) => (StatusCode::UNAUTHORIZED, kind!("invalid_api_key")),
            Refusal::Key(NotTaken::Disabled(_)) => {
                (StatusCode::UNAUTHORIZED, kind!("disabled_api_key"))
            }
            Refusal::Key(NotTaken::Expired { .. }) => {
                (StatusCode::UNAUTHORIZED, kind!("expired_api_key"))
            }
            Refusal::NotAllowed(_) => (StatusCode::FORBIDDEN, kind!("not_allowed")),
            Refusal::Unmetered(_) => (StatusCode::FORBIDDEN, kind!("unmetered")),
            Refusal::NotReached(..) => (StatusCode::BAD_GATEWAY, kind!("upstream_not_reached")),
            Refusal::BrokeOff(..) | Refusal::BrokeOffWithin(_) | Refusal::Other(..) => {
                (StatusCode::BAD_GATEWAY, kind!("upstream_broke_off"))
            }
            Refusal::Silent(_) => (StatusCode::GATEWAY_TIMEOUT, kind!("upstream_silent")),
            Refusal::UpstreamKey(_) => (StatusCode::BAD_GATEWAY, kind!("upstream_key_refused")),
            Refusal::Cancelled => (StatusCode::CONFLICT, kind!("cancelled")),
        }
    }

    /// Whether it is the upstream that failed before it answered, which may pass. What breaks off within its answer nobody has
    /// repeated.
    fn may_pass(&self) -> bool {
        matches!(
            self,
            Refusal::NotReached(..) | Refusal::BrokeOff(..) | Refusal::Silent(_)
        )
    }

    /// The answer, in the caller's own error shape. `is_repeated`: the caller would repeat the call itself, and all that is
    /// to be tried was tried here.
    pub(super) fn answer(&self, dialect: Dialect, is_repeated: bool) -> Response {
        let (status, kind) = self.kind();
        let (content_type, body) = error_body(dialect, kind, status, &self.to_string());
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, content_type);
        tell_help(headers, kind);
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(self, Refusal::Method) {
            headers.insert(ALLOW, HeaderValue::from_static(METHODS));
        }
        if matches!(self, Refusal::NoMemory(_)) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        let is_final = matches!(
            self,
            Refusal::Cancelled | Refusal::WebSocket | Refusal::UpstreamKey(_)
        );
        if is_final || is_repeated && self.may_pass() {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        response
    }
}

/// The causes in words. The client's own word for it ("client error") says nothing and is left out.
fn why(error: &legacy::Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let colon = if text.is_empty() { "" } else { ": " };
        // Writing to a string does not fail.
        let _ = write!(text, "{colon}{error}");
        cause = error.source();
    }
    if text.is_empty() {
        error.to_string()
    } else {
        text
    }
}
