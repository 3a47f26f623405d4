//! From what came of an attempt to the response that leaves a layer.

use bytes::Bytes;
use http::Response;
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
            let (parts, body) = response.into_parts();
            let listening = entry.listen(&parts);
            let meter = Metering::new(
                attempt,
                entry.dialect(),
                entry.demand(),
                parts.status,
                &parts.headers,
            )
            .listening(listening);
            Ok(Response::from_parts(
                parts,
                ResponseBody::metered(body, meter),
            ))
        }
    }
}
