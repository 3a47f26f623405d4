//! From what came of an attempt to the response that leaves a layer.

use bytes::Bytes;
use http::{
    Response,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
    response::Parts,
};
use http_body::Body;

use super::{ResponseBody, refuse, response::Metering};
use crate::call::{Entry, Sent};

/// The response that leaves a layer: metered by the layer that sent the attempt, passed on by the others.
///
/// # Errors
/// The inner service's error, untouched.
pub(crate) fn finish<R, E>(entry: &Entry, sent: Sent<R, E>) -> Result<Response<ResponseBody<R>>, E>
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
            let meter = Metering::new(
                attempt,
                entry.dialect(),
                entry.demand(),
                parts.status,
                &parts.headers,
            )
            .listening(listening);
            let meter = if entry.hides_usage() && is_event_stream(&parts) {
                // It gets shorter.
                parts.headers.remove(CONTENT_LENGTH);
                meter.hiding()
            } else {
                meter
            };
            Ok(Response::from_parts(
                parts,
                ResponseBody::metered(body, meter),
            ))
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
