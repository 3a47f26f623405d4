//! One attempt: from what is sent to the response that leaves a layer.

use bytes::Bytes;
use http::{
    Request, Response,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
    response::Parts,
};
use http_body::Body;
use tower_service::Service;

use super::{Answered, Onward, ResponseBody, metering::Metering, refuse, stream::Stream};
use crate::call::{Entered, Entry, MakeRequest, Sent};

/// Sends the present attempt of a call, with the request that is made then. The response that leaves the layer is metered
/// by the layer that sent the attempt, and passed on by the others.
///
/// A stream is begun to be read, so that an error that it begins with is known: it is in the extensions then. So is what
/// any other answer says that is an error, where somebody decides by it whether to repeat the call.
///
/// # Errors
/// The inner service's error, untouched.
pub(crate) async fn exchange<S, B, R>(
    entry: &Entry,
    inner: &mut S,
    request: MakeRequest<'_, B>,
) -> Answered<R, S::Error>
where
    S: Service<Request<B>, Response = Response<R>, Error: 'static> + Clone,
    B: 'static,
    R: Body<Data = Bytes>,
{
    match begin(entry, entry.send(inner, request).await)? {
        Begun::Whole(response) => Ok(response),
        // On the heap: every call would be larger by it.
        Begun::ToRead(answer) => Ok(Box::pin(answer.read(entry)).await),
    }
}

/// The same of a call that is not repeated by this layer.
///
/// # Errors
/// The inner service's error, untouched.
pub(crate) async fn send_once<N, B>(
    entered: &mut Entered<B>,
    next: &mut N,
) -> Answered<N::Body, N::Error>
where
    N: Onward<B>,
    B: From<Bytes> + Send + 'static,
{
    let (entry, mut request) = entered.last();
    next.send(entry, &mut request).await
}

/// An answer as it begins.
enum Begun<R: Body> {
    /// What it says is known when its body has passed.
    Whole(Response<ResponseBody<R>>),
    /// It is looked into before it is handed on.
    ToRead(Answer<R>),
}

/// An answer that is looked into before it is handed on.
struct Answer<R: Body> {
    parts: Parts,
    stream: Box<Stream<R>>,
    /// Whether its status says that it is an error.
    is_error: bool,
}

fn begin<R, E>(entry: &Entry, sent: Sent<R, E>) -> Result<Begun<R>, E>
where
    R: Body<Data = Bytes>,
{
    let (response, attempt) = match sent {
        Sent::Refused(rejection) => return Ok(Begun::Whole(refuse(entry.dialect(), rejection))),
        Sent::Failed(error) => return Err(error),
        Sent::Answer(response, None) => {
            return Ok(Begun::Whole(response.map(ResponseBody::passed)));
        }
        Sent::Answer(response, Some(attempt)) => (response, attempt),
    };
    let (mut parts, body) = response.into_parts();
    let listening = entry.listen(&parts);
    let mut meter = Metering::new(
        attempt,
        entry.dialect(),
        (entry.demand(), entry.allowed()),
        parts.status,
        &parts.headers,
    );
    meter.listen(listening);
    if entry.hides_usage() && is_event_stream(&parts) {
        // It gets shorter.
        parts.headers.remove(CONTENT_LENGTH);
        meter.hide();
    }
    let is_error = parts.status.as_u16() >= 400 && entry.is_repeated();
    if !is_error && (body.is_end_stream() || !meter.is_preamble()) {
        entry.hear_success(&parts);
        let body = ResponseBody::metered(body, meter);
        return Ok(Begun::Whole(Response::from_parts(parts, body)));
    }
    if !is_error {
        meter.open(entry.opening(&parts));
    }
    let stream = Box::new(Stream::new(body, meter));
    if !is_error && stream.meter().covers() {
        // It may end before that.
        parts.headers.remove(CONTENT_LENGTH);
    }
    Ok(Begun::ToRead(Answer {
        parts,
        stream,
        is_error,
    }))
}

impl<R: Body<Data = Bytes>> Answer<R> {
    async fn read(mut self, entry: &Entry) -> Response<ResponseBody<R>> {
        if self.is_error {
            // What it says decides what becomes of the call.
            self.stream.hold().await;
        } else {
            self.stream.begin().await;
        }
        if let Some(error) = self.stream.meter().failed() {
            entry.note_failure(self.parts.status, error);
            self.parts.extensions.insert(error);
        }
        Response::from_parts(self.parts, ResponseBody::stream(self.stream))
    }
}

fn is_event_stream(parts: &Parts) -> bool {
    let kind = parts.headers.get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok());
    // What is encoded has no events to look into.
    let plain = !parts.headers.contains_key(CONTENT_ENCODING);
    plain
        && parts.status.is_success()
        && kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
}
