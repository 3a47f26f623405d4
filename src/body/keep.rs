//! An answer that is kept while something else is tried.

use std::{mem, pin::pin};

use bytes::{Bytes, BytesMut};
use http::{
    Response,
    header::{CONTENT_ENCODING, CONTENT_LENGTH},
};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

use super::ResponseBody;

/// How much of an answer's body is kept. Providers say what went wrong in a few hundred bytes.
const LONGEST: usize = 64 << 10;

/// Reads an answer's body into memory, so that nothing of it stays open: the attempt behind it is settled,
/// its connection free. What comes after its data is kept too: trailers, or the error that it broke off with.
///
/// What is longer than 64 KiB, or not there `until` then, is cut off. The error that would say so is the inner service's,
/// and cannot be made here; so its head claims no length any more. Half of what was encoded says nothing to anybody: it is
/// left out.
pub(crate) async fn keep<R>(
    response: Response<ResponseBody<R>>,
    until: Instant,
) -> Response<ResponseBody<R>>
where
    R: Body<Data = Bytes>,
{
    let (mut parts, body) = response.into_parts();
    let (data, end) = read(body, until).await;
    let body = match end {
        End::Whole(None) => ResponseBody::local(data),
        End::Whole(Some(trailers)) => ResponseBody::kept(Kept::new(data, Ok(trailers))),
        End::Broken(error) => ResponseBody::kept(Kept::new(data, Err(error))),
        End::Cut => {
            parts.headers.remove(CONTENT_LENGTH);
            ResponseBody::local(match parts.headers.remove(CONTENT_ENCODING) {
                None => data,
                Some(_) => Bytes::new(),
            })
        }
    };
    Response::from_parts(parts, body)
}

/// How it ended, what was read of a body.
enum End<E> {
    /// All of it was, its trailers as well.
    Whole(Option<Frame<Bytes>>),
    Broken(E),
    /// There may be more.
    Cut,
}

/// Reads a body, and closes it.
async fn read<B>(body: B, until: Instant) -> (Bytes, End<B::Error>)
where
    B: Body<Data = Bytes>,
{
    let mut body = pin!(body);
    // Copied, as a frame may hold much more that was read with it.
    let (mut read, mut trailers) = (BytesMut::new(), None);
    let end = loop {
        let Ok(frame) = timeout_at(until, body.frame()).await else {
            break End::Cut;
        };
        match frame.map(|frame| frame.map(Frame::into_data)) {
            None => break End::Whole(trailers),
            Some(Err(error)) => break End::Broken(error),
            Some(Ok(Err(frame))) => trailers = Some(frame),
            Some(Ok(Ok(data))) => {
                let room = LONGEST - read.len();
                read.extend_from_slice(&data[..data.len().min(room)]);
                if data.len() > room {
                    break End::Cut;
                }
            }
        }
    };
    (read.freeze(), end)
}

/// A body that was kept, and does not end with its data.
pub(super) struct Kept<E> {
    /// Empty when it was handed on.
    data: Bytes,
    /// Trailers, or the error that it broke off with; taken when it is handed on.
    last: Option<Result<Frame<Bytes>, E>>,
}

impl<E> Kept<E> {
    fn new(data: Bytes, last: Result<Frame<Bytes>, E>) -> Self {
        Kept {
            data,
            last: Some(last),
        }
    }

    pub(super) fn next(&mut self) -> Option<Result<Frame<Bytes>, E>> {
        let data = mem::take(&mut self.data);
        match data.is_empty() {
            true => self.last.take(),
            false => Some(Ok(Frame::data(data))),
        }
    }

    pub(super) fn is_end(&self) -> bool {
        self.data.is_empty() && self.last.is_none()
    }

    /// No exact length: whoever is told one may not ask for what comes after it.
    pub(super) fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(self.data.len() as u64);
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use futures_util::stream::{self, Stream, StreamExt as _};
    use http::{HeaderMap, HeaderName, HeaderValue};
    use http_body_util::StreamBody;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Broken;

    type Item = Result<Frame<Bytes>, Broken>;

    const SECOND: Duration = Duration::from_secs(1);

    fn data(part: impl Into<Bytes>) -> Item {
        Ok(Frame::data(part.into()))
    }

    fn trailers() -> HeaderMap {
        let name = HeaderName::from_static("x-checksum");
        HeaderMap::from_iter([(name, HeaderValue::from_static("17"))])
    }

    /// An answer with this body, which says a length.
    fn answer<S: Stream<Item = Item>>(frames: S) -> Response<ResponseBody<StreamBody<S>>> {
        let body = ResponseBody::passed(StreamBody::new(frames));
        let response = Response::builder().header(CONTENT_LENGTH, "100000");
        response.body(body).unwrap()
    }

    fn encoded<B>(mut response: Response<B>) -> Response<B> {
        let gzip = HeaderValue::from_static("gzip");
        response.headers_mut().insert(CONTENT_ENCODING, gzip);
        response
    }

    /// What there is of an answer that was kept for a second at most.
    async fn kept<R>(response: Response<ResponseBody<R>>) -> Response<ResponseBody<R>>
    where
        R: Body<Data = Bytes>,
    {
        keep(response, Instant::now() + SECOND).await
    }

    /// The data of a body, and what comes after it.
    async fn all<B>(body: B) -> (BytesMut, Option<Result<HeaderMap, B::Error>>)
    where
        B: Body<Data = Bytes>,
    {
        let mut body = pin!(body);
        let (mut data, mut last) = (BytesMut::new(), None);
        while let Some(frame) = body.frame().await {
            match frame.map(Frame::into_data) {
                Ok(Ok(part)) => data.extend_from_slice(&part),
                Ok(Err(frame)) => last = Some(Ok(frame.into_trailers().unwrap())),
                Err(error) => last = Some(Err(error)),
            }
        }
        assert!(body.is_end_stream());
        (data, last)
    }

    fn says<B>(response: &Response<B>) -> [bool; 2] {
        [CONTENT_LENGTH, CONTENT_ENCODING].map(|name| response.headers().contains_key(name))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_whole_is_kept_as_it_is() {
        let frames = [data("come "), data(""), data("back")];
        let response = kept(encoded(answer(stream::iter(frames)))).await;
        assert_eq!(says(&response), [true, true]);
        assert_eq!(response.body().size_hint().exact(), Some(9));
        let (data, last) = all(response.into_body()).await;
        assert_eq!((&data[..], last), (&b"come back"[..], None));
    }

    #[tokio::test(start_paused = true)]
    async fn so_are_its_trailers() {
        for text in ["come back", ""] {
            let frames = [data(text), Ok(Frame::trailers(trailers()))];
            let response = kept(answer(stream::iter(frames))).await;
            assert!(!response.body().is_end_stream());
            let (data, last) = all(response.into_body()).await;
            assert_eq!((&data[..], last), (text.as_bytes(), Some(Ok(trailers()))));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_breaks_off_breaks_for_whoever_reads_it_at_the_same_place() {
        for text in ["come ", ""] {
            let frames = [data(text), Err(Broken), data("back")];
            let response = kept(encoded(answer(stream::iter(frames)))).await;
            assert_eq!(says(&response), [true, true]);
            assert_eq!(response.body().size_hint().exact(), None);
            let (data, last) = all(response.into_body()).await;
            assert_eq!((&data[..], last), (text.as_bytes(), Some(Err(Broken))));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_long_is_cut_and_says_no_length() {
        for (length, is_cut) in [(LONGEST, false), (LONGEST + 1, true)] {
            let long = vec![b'x'; length - 5];
            let response = kept(answer(stream::iter([data("come "), data(long)]))).await;
            assert_eq!(says(&response), [!is_cut, false]);
            let (data, last) = all(response.into_body()).await;
            assert_eq!((data.len(), last), (LONGEST, None));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_slow_is_cut_and_held_open_no_longer() {
        let (start, open) = (Instant::now(), Arc::new(()));
        let held = open.clone();
        let never = stream::pending().map(move |item: Item| {
            let _ = &held;
            item
        });
        let response = kept(answer(stream::iter([data("come ")]).chain(never))).await;
        assert_eq!((start.elapsed(), Arc::strong_count(&open)), (SECOND, 1));
        assert_eq!(says(&response), [false, false]);
        let (data, last) = all(response.into_body()).await;
        assert_eq!((&data[..], last), (&b"come "[..], None));
    }

    #[tokio::test(start_paused = true)]
    async fn half_of_what_is_encoded_is_left_out() {
        let slow = stream::iter([data("come ")]).chain(stream::pending());
        let response = kept(encoded(answer(slow))).await;
        assert_eq!(says(&response), [false, false]);
        let (data, last) = all(response.into_body()).await;
        assert_eq!((data.len(), last), (0, None));
    }
}
