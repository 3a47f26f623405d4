//! A request body that can be made of bytes, whatever it was before.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};

use super::attempt::Attempt;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request body that can be made of bytes.
///
/// This crate's layers read a request's body once and send it again, so the body type must be `From<Bytes>`. Many are:
/// `Full<Bytes>`, `reqwest::Body`, `axum::body::Body`. For those that are not, such as `hyper::body::Incoming` or a
/// `BoxBody`, this is the way in:
///
/// ```
/// use tower_quota::RequestBody;
/// # use http_body_util::{combinators::BoxBody, BodyExt, Empty};
/// # let body: BoxBody<bytes::Bytes, std::convert::Infallible> = Empty::new().boxed();
/// # let request = http::Request::new(body);
///
/// let request = request.map(RequestBody::new);
/// # let _: http::Request<RequestBody> = request;
/// ```
///
/// A request that a program builds itself has its body from `Bytes`, a `String`, a `Vec<u8>`, a literal, or `()`, which
/// is no body:
///
/// ```
/// use tower_quota::RequestBody;
///
/// let body = r#"{"model": "gpt-4o", "messages": []}"#;
/// let request = http::Request::post("https://api.openai.com/v1/chat/completions").body(RequestBody::from(body))?;
/// # let _ = request;
/// # Ok::<(), http::Error>(())
/// ```
///
/// It also tells the layers when the client first takes from it to write to the wire, so that a call is dated at that
/// instant: after the wait for a connection, not before. A call that is given up before then costs nothing if its
/// body is dropped unread by then; if somebody has the body still, such as a queue, it may leave later, and counts as
/// sent. With any other type, the call is dated when it is handed to the client.
pub struct RequestBody {
    kind: Kind,
    /// The attempt to date when it is first read.
    attempt: Option<Weak<Attempt>>,
}

enum Kind {
    Whole(Full<Bytes>),
    Streamed(UnsyncBoxBody<Bytes, BoxError>),
}

impl RequestBody {
    /// Wraps any body.
    pub fn new<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Kind::Streamed(body.map_err(Into::into).boxed_unsync()).into()
    }
}

impl RequestBody {
    /// Has it date `attempt` when it is first read. False where it has nothing to be read.
    pub(super) fn watch(&mut self, attempt: &Arc<Attempt>) -> bool {
        self.attempt = Some(Arc::downgrade(attempt));
        // Of one that is known to be empty nothing may ever be taken.
        !self.is_end_stream() && self.size_hint().exact() != Some(0)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        // Nothing of it was ever taken, and nothing will be.
        if let Some(attempt) = self.attempt.take().and_then(|attempt| attempt.upgrade()) {
            attempt.body_is_gone();
        }
    }
}

impl From<Kind> for RequestBody {
    fn from(kind: Kind) -> Self {
        RequestBody {
            kind,
            attempt: None,
        }
    }
}

impl From<Bytes> for RequestBody {
    fn from(bytes: Bytes) -> Self {
        Kind::Whole(Full::new(bytes)).into()
    }
}

impl From<Vec<u8>> for RequestBody {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for RequestBody {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for RequestBody {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<&'static [u8]> for RequestBody {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from_static(bytes).into()
    }
}

impl From<()> for RequestBody {
    /// Creates an empty body.
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl Default for RequestBody {
    /// Creates an empty body.
    fn default() -> Self {
        Bytes::new().into()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let RequestBody { kind, attempt } = self.get_mut();
        if let Some(attempt) = attempt.take().and_then(|attempt| attempt.upgrade()) {
            attempt.left();
        }
        match kind {
            Kind::Whole(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Kind::Streamed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole(body) => body.is_end_stream(),
            Kind::Streamed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(body) => body.size_hint(),
            Kind::Streamed(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if matches!(self.kind, Kind::Whole(_)) {
            "whole"
        } else {
            "streamed"
        };
        f.debug_tuple("RequestBody").field(&kind).finish()
    }
}
