//! Answers that are the gateway's own, not the upstream's and not the layers'.

use std::{error::Error, fmt::Write as _};

use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use hyper_util::client::legacy;

use super::Upstream;
use crate::{
    body::SHOULD_RETRY,
    tags::BadHeader,
    wire::{Dialect, error_body},
};

/// Why a call was not answered by the upstream.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Header(#[from] BadHeader),
    #[error("this is no proxy to any host: ask for a path of {0}")]
    NoPath(Upstream),
    #[error("the upstream {0} could not be reached: {reason}", reason = why(.1))]
    NotReached(Upstream, legacy::Error),
    #[error("the upstream {0} broke off before it answered: {reason}", reason = why(.1))]
    BrokeOff(Upstream, legacy::Error),
}

impl Refusal {
    pub(super) fn failed(upstream: &Upstream, error: legacy::Error) -> Self {
        let upstream = upstream.clone();
        if error.is_connect() {
            Refusal::NotReached(upstream, error)
        } else {
            Refusal::BrokeOff(upstream, error)
        }
    }

    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Refusal::Header(_) => (StatusCode::BAD_REQUEST, "bad_header"),
            Refusal::NoPath(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Refusal::NotReached(..) => (StatusCode::BAD_GATEWAY, "upstream_not_reached"),
            Refusal::BrokeOff(..) => (StatusCode::BAD_GATEWAY, "upstream_broke_off"),
        }
    }

    /// Whether it is the upstream that failed, which may pass.
    fn may_pass(&self) -> bool {
        matches!(self, Refusal::NotReached(..) | Refusal::BrokeOff(..))
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
        if is_repeated && self.may_pass() {
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
