//! From what came of an attempt to the response that leaves a layer.

use bytes::Bytes;
use http::{
    Response,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
    response::Parts,
};
use http_body::Body;

use super::{ResponseBody, metering::Metering, refuse, stream::Stream};
use crate::call::{Entry, Sent};

/// The response that leaves a layer: metered by the layer that sent the attempt, passed on by the others.
///
/// A stream is begun to be read, so that an error that it begins with is known: it is in the extensions then. So is what
/// any other answer says that is an error, where somebody decides by it whether to repeat the call.
///
/// # Errors
/// The inner service's error, untouched.
pub(crate) async fn finish<R, E>(
    entry: &Entry,
    sent: Sent<R, E>,
) -> Result<Response<ResponseBody<R>>, E>
where
    R: Body<Data = Bytes>,
{
    match sent {
        Sent::Refused(rejection) => Ok(refuse(entry.dialect(), rejection)),
        Sent::Failed(error) => Err(error),
        Sent::Answer(response, None) => Ok(response.map(ResponseBody::passed)),
        Sent::Answer(response, Some(attempt)) => {
            let (mut parts, body) = response.into_parts();
            let listening = entry.listen(&parts);
            let mut meter = Metering::new(
                attempt,
                entry.dialect(),
                (entry.demand(), entry.allowed()),
                parts.status,
                &parts.headers,
            )
            .listening(listening);
            if entry.hides_usage() && is_event_stream(&parts) {
                // It gets shorter.
                parts.headers.remove(CONTENT_LENGTH);
                meter = meter.hiding();
            }
            if parts.status.as_u16() >= 400 && entry.is_repeated() {
                // What it says decides what becomes of the call.
                let mut said = Box::new(Stream::new(body, meter));
                said.hold().await;
                if let Some(error) = said.meter().failed() {
                    entry.note_failure(parts.status, error);
                    parts.extensions.insert(error);
                }
                return Ok(Response::from_parts(parts, ResponseBody::stream(said)));
            }
            if body.is_end_stream() || !meter.is_preamble() {
                entry.hear_success(&parts);
                return Ok(Response::from_parts(
                    parts,
                    ResponseBody::metered(body, meter),
                ));
            }
            let meter = meter.opening(entry.opening(&parts));
            let mut stream = Box::new(Stream::new(body, meter));
            if stream.meter().covers() {
                // It may end before that.
                parts.headers.remove(CONTENT_LENGTH);
            }
            stream.begin().await;
            if let Some(error) = stream.meter().failed() {
                entry.note_failure(parts.status, error);
                parts.extensions.insert(error);
            }
            Ok(Response::from_parts(parts, ResponseBody::stream(stream)))
        }
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
