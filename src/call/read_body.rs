//! How the body of a request is read into memory, under a cap.

use std::pin::{Pin, pin};

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::error::Rejection;

/// How much of a body is read where nothing is said.
pub(crate) const BODY_CAP: usize = 32 << 20;

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request body: in memory, so that it can be sent again, or passed on as it is.
pub(crate) enum ReadBody<B> {
    Whole(Bytes),
    Unread(B),
}

impl<B: From<Bytes>> ReadBody<B> {
    pub(super) fn into_body(self) -> B {
        match self {
            ReadBody::Whole(bytes) => B::from(bytes),
            ReadBody::Unread(body) => body,
        }
    }
}

/// All of a body, or all of it still to come where it says that it is longer than `cap`.
///
/// # Errors
/// Where it turns out to be longer, or breaks off.
pub(super) async fn read<B>(body: B, cap: usize) -> Result<ReadBody<B>, Rejection>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let length = body.size_hint().exact();
    if length.is_some_and(|length| length > cap as u64) {
        return Ok(ReadBody::Unread(body));
    }
    match read_within(Limited::new(body, cap)).await {
        Ok(whole) => Ok(ReadBody::Whole(whole)),
        Err(error) if error.is::<LengthLimitError>() => Err(Rejection::BodyTooLarge { cap }),
        Err(error) => Err(Rejection::BadRequest {
            message: format!("its body broke off: {error}"),
        }),
    }
}

/// Shorter frames are copied: one may hold all that was read with it, many times as much.
const SHORT: usize = 4 << 10;

/// All of a body. Most are one frame.
async fn read_within<B>(body: B) -> Result<Bytes, BoxError>
where
    B: Body<Data = Bytes, Error = BoxError>,
{
    let mut body = pin!(body);
    let first = match body.frame().await {
        None => return Ok(Bytes::new()),
        Some(frame) => frame?.into_data().unwrap_or_default(),
    };
    if body.is_end_stream() {
        return Ok(alone(first));
    }
    // On the heap: every call would be larger by it.
    Box::pin(rest(first, body)).await
}

async fn rest<B>(first: Bytes, mut body: Pin<&mut B>) -> Result<Bytes, BoxError>
where
    B: Body<Data = Bytes, Error = BoxError>,
{
    let Some(second) = body.frame().await else {
        return Ok(alone(first));
    };
    let second = second?.into_data().unwrap_or_default();
    let said = usize::try_from(body.size_hint().lower()).unwrap_or_default();
    let mut all = BytesMut::with_capacity(first.len() + second.len() + said.min(BODY_CAP));
    all.extend_from_slice(&first);
    all.extend_from_slice(&second);
    drop((first, second));
    while let Some(frame) = body.frame().await {
        all.extend_from_slice(&frame?.into_data().unwrap_or_default());
    }
    // What says no length has grown by doubling.
    Ok(match all.capacity() - all.len() > all.len() / 8 {
        true => Bytes::copy_from_slice(&all),
        false => all.freeze(),
    })
}

fn alone(frame: Bytes) -> Bytes {
    match frame.len() < SHORT {
        true => Bytes::copy_from_slice(&frame),
        false => frame,
    }
}
