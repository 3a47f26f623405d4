//! Answers that refuse the gateway's own key: what is said of that is for nobody else.

use std::time::Duration;

use axum::{body::Body, response::Response};
use http::StatusCode;
use http_body_util::{BodyExt as _, Limited};
use tokio::time::timeout;

use super::{refusal::Refusal, upstreams::Place};
use crate::wire::{ErrorClass, ProviderError};

/// How much is read of such an answer, and for how long: what went wrong is said in a few hundred bytes.
const READ: usize = 64 << 10;
const READ_IN: Duration = Duration::from_secs(1);

/// The answer, unless it refuses a key of ours. Of an API that is no provider's (`is_known`) it may be about anything: it is handed
/// on where it does not repeat the key.
pub(super) async fn unless_key_refused(
    response: Response,
    place: Option<&Place>,
    is_known: bool,
) -> Result<Response, Refusal> {
    let keyed = place.filter(|place| place.has_key());
    let Some((place, name)) = keyed.and_then(|place| Some((place, place.name.clone()?))) else {
        return Ok(response);
    };
    if !may_be_of_key(&response, is_known) {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    // All of it: so its attempt ends as it would, and its connection is free.
    let read = timeout(READ_IN, Limited::new(body, READ).collect()).await;
    let shown = match read {
        Ok(Ok(body)) if !is_known => body.to_bytes(),
        _ => return Err(Refusal::UpstreamKey(name)),
    };
    let mut headers = parts.headers.values();
    match place.is_key_in(&shown) || headers.any(|value| place.is_key_in(value.as_bytes())) {
        true => Err(Refusal::UpstreamKey(name)),
        false => Ok(Response::from_parts(parts, Body::from(shown))),
    }
}

fn may_be_of_key(response: &Response, is_known: bool) -> bool {
    match response.status() {
        StatusCode::UNAUTHORIZED => true,
        StatusCode::FORBIDDEN if !is_known => true,
        _ => {
            let said = response.extensions().get::<ProviderError>();
            is_known && said.is_some_and(|said| said.class == ErrorClass::KeyRefused)
        }
    }
}
