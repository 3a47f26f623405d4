//! Answers that refuse the gateway's own key, or repeat it: what is said of that is for nobody else.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, response::Response};
use bytes::{Bytes, BytesMut};
use http::{StatusCode, response::Parts};
use http_body::Frame;
use http_body_util::BodyExt as _;
use tokio::time::sleep;

use super::{refusal::Refusal, upstreams::Place};
use crate::{
    failover::ApiKey,
    retry::Attempts,
    wire::{ErrorClass, ProviderError},
};

/// How much is read of such an answer, and for how long: what went wrong is said in a few hundred bytes.
const READ: usize = 64 << 10;
const READ_IN: Duration = Duration::from_secs(1);

/// The answer, unless it refuses a key of ours, or is an error that repeats one: that of its upstream, or one that targets of routes
/// are sent (`routed`). Of an API that is no provider's (`is_known`) a refusal may be about anything: it is handed on where it does
/// not repeat the key. A key is looked for in the headers, and in the first 64 KiB of the body as far as they come within a second.
pub(super) async fn unless_key_refused(
    response: Response,
    (place, is_known): (Option<&Place>, bool),
    routed: &[ApiKey],
) -> Result<Response, Refusal> {
    let keyed = place.filter(|place| place.has_key());
    let is_of_key = keyed.is_some() && may_be_of_key(&response, is_known);
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let may_repeat = is_error && (keyed.is_some() || !routed.is_empty());
    if !is_of_key && !may_repeat {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    // Of an error all of it, nearly always: so its attempt ends as it would, and its connection is free.
    let looked = Looked::at(body).await;
    let shows = |text: &[u8]| {
        let of_place = keyed.is_some_and(|place| match is_of_key {
            true => place.is_key_in(text),
            false => place.is_secret_in(text),
        });
        of_place || routed.iter().any(|key| key.is_in(text))
    };
    let mut headers = parts.headers.values();
    let is_refused = is_of_key && (is_known || !looked.is_whole);
    if is_refused || shows(&looked.first) || headers.any(|value| shows(value.as_bytes())) {
        return Err(Refusal::UpstreamKey(whose(&parts, keyed)));
    }
    Ok(Response::from_parts(parts, looked.again()))
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

/// Who has answered, by the name that whoever runs this knows it by.
fn whose(parts: &Parts, keyed: Option<&Place>) -> Arc<str> {
    let upstream = keyed.and_then(|place| place.name.clone());
    let attempts = parts.extensions.get::<Attempts>();
    let last = attempts.and_then(|attempts| attempts.made.last());
    let target = || last.and_then(|last| last.target.provider.clone());
    upstream
        .or_else(target)
        .unwrap_or_else(|| Arc::from("a target of its route"))
}

/// An answer's body of which the beginning was read.
struct Looked {
    first: Bytes,
    /// Whether that is all of it.
    is_whole: bool,
    /// What it broke off with.
    failed: Option<axum::Error>,
    rest: Body,
}

impl Looked {
    async fn at(mut rest: Body) -> Self {
        let mut first = BytesMut::new();
        let (mut is_whole, mut failed) = (false, None);
        let mut late = pin!(sleep(READ_IN));
        while first.len() < READ {
            let frame = tokio::select! {
                biased;
                frame = rest.frame() => frame,
                () = &mut late => break,
            };
            match frame {
                // Trailers are left out: nobody who speaks these APIs has any.
                Some(Ok(frame)) => {
                    first.extend_from_slice(&frame.into_data().unwrap_or_default());
                }
                Some(Err(error)) => {
                    failed = Some(error);
                    break;
                }
                None => {
                    is_whole = true;
                    break;
                }
            }
        }
        Looked {
            first: first.freeze(),
            is_whole,
            failed,
            rest,
        }
    }

    /// The whole body, as it came.
    fn again(self) -> Body {
        match self.is_whole {
            true => Body::from(self.first),
            false => Body::new(self),
        }
    }
}

impl http_body::Body for Looked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let first = std::mem::take(&mut self.first);
        if !first.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        match self.failed.take() {
            Some(error) => Poll::Ready(Some(Err(error))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};

    use super::*;

    fn key() -> ApiKey {
        ApiKey::new("main", "sk-of-ours").unwrap()
    }

    /// An answer of a target of a route, in these pieces, one a second.
    fn answer(status: u16, pieces: &'static [&'static str]) -> Response {
        let pieces = stream::iter(pieces)
            .enumerate()
            .then(|(number, piece)| async move {
                if number > 0 {
                    sleep(Duration::from_secs(1)).await;
                }
                match *piece {
                    "broken" => Err(std::io::Error::other("broken")),
                    piece => Ok(Bytes::from_static(piece.as_bytes())),
                }
            });
        let body = Body::from_stream(pieces);
        Response::builder().status(status).body(body).unwrap()
    }

    async fn handed_on(answer: Response) -> Result<Response, Refusal> {
        unless_key_refused(answer, (None, true), &[key()]).await
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_that_repeats_a_key_of_ours_is_for_nobody_else() {
        for status in [400, 401, 403, 404, 429, 500, 503] {
            let repeats = answer(status, &["{\"message\": \"no: sk-of-ours\"}"]);
            let refused = handed_on(repeats).await.unwrap_err();
            assert!(matches!(refused, Refusal::UpstreamKey(_)), "{status}");
            let other = answer(status, &["{\"message\": \"no: sk-of-yours\"}"]);
            assert_eq!(handed_on(other).await.unwrap().status(), status);
        }
        let in_header = Response::builder()
            .status(400)
            .header("x-key", "sk-of-ours");
        let in_header = in_header.body(Body::empty()).unwrap();
        assert!(handed_on(in_header).await.is_err());
        // What a model has written is the caller's.
        let fine = answer(200, &["sk-of-ours"]);
        assert!(handed_on(fine).await.is_ok());
        // Nor is anything known of keys that others have.
        let repeats = answer(400, &["sk-of-ours"]);
        assert!(unless_key_refused(repeats, (None, true), &[]).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_that_does_not_is_handed_on_as_it_comes() {
        let slow = handed_on(answer(400, &["a", "b", "c"])).await.unwrap();
        let read = slow.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(read, "abc");
        let mut broken = handed_on(answer(400, &["a", "broken"])).await.unwrap();
        let first = broken.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(first.into_data().unwrap(), "a");
        assert!(broken.body_mut().frame().await.unwrap().is_err());
    }
}
