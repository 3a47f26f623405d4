//! An answer that is kept while something else is tried.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use http::{Response, header::CONTENT_LENGTH};
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

use super::ResponseBody;

/// How much of an answer's body is kept. Providers say what went wrong in a few hundred bytes.
const LONGEST: usize = 64 << 10;

/// Reads an answer's body into memory, so that nothing of it stays open: the attempt behind it is settled,
/// its connection free. What is longer than 64 KiB, or not there `until` then, is cut off.
pub(crate) async fn keep<R>(
    response: Response<ResponseBody<R>>,
    until: Instant,
) -> Response<ResponseBody<R>>
where
    R: Body<Data = Bytes>,
{
    let (mut parts, body) = response.into_parts();
    let (mut kept, mut whole) = (BytesMut::new(), false);
    {
        let mut body = pin!(body);
        while let Ok(frame) = timeout_at(until, body.frame()).await {
            match frame {
                None => {
                    whole = true;
                    break;
                }
                Some(Err(_)) => break,
                Some(Ok(frame)) => {
                    let data = frame.into_data().unwrap_or_default();
                    let room = LONGEST - kept.len();
                    kept.extend_from_slice(&data[..data.len().min(room)]);
                    if data.len() > room {
                        break;
                    }
                }
            }
        }
    }
    if !whole {
        parts.headers.remove(CONTENT_LENGTH);
    }
    Response::from_parts(parts, ResponseBody::local(kept.freeze()))
}
