//! The body of every response that leaves one of our layers.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use pin_project_lite::pin_project;

use super::{keep::Kept, metering::Metering, stream::Stream};

pin_project! {
    /// The body of every response that leaves one of this crate's layers.
    ///
    /// It passes the inner body's bytes on unchanged and at once, and reads the usage that the provider reports. When
    /// it ends, fails or is dropped, the attempt is settled, once.
    ///
    /// Four things differ from what the provider sends:
    /// - OpenAI chat streams are asked for their usage. If the caller did not ask for it, the extra chunk and each
    ///   `usage: null` are removed, so that events arrive whole.
    /// - The response to a stream is handed on when something was generated, or when the stream failed or ended before
    ///   that; after a second or after 64 KiB at the latest. If the stream *begins* with an error, that error is in the
    ///   response's extensions, as a [`ProviderError`](crate::wire::ProviderError); its bytes pass unchanged.
    /// - Behind a [`BudgetLayer`](crate::BudgetLayer), a stream that comes to more than was reserved for it ends with
    ///   an error in its dialect if a budget has no more for it.
    /// - An answer that is kept while a layer tries something else is cut off, without an error, after 64 KiB or a second:
    ///   then it has no `Content-Length`, and if it was encoded, neither a `Content-Encoding` nor a body. One that breaks
    ///   off before that breaks with the same error.
    pub struct ResponseBody<R>
    where
        R: Body,
    {
        #[pin]
        kind: Kind<R>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<R>
    where
        R: Body,
    {
        /// Passed on; somebody further in meters it, or nobody has to.
        Passed { #[pin] body: R },
        /// Metered here.
        Metered { #[pin] body: R, meter: Box<Metering> },
        /// Metered here, as it is generated.
        Stream { stream: Box<Stream<R>> },
        /// What was kept of one that does not end with its data.
        Kept { kept: Box<Kept<R::Error>> },
        /// Our own words, or what was kept of one that does.
        Local { body: Full<Bytes> },
    }
}

impl<R: Body> ResponseBody<R> {
    pub(crate) fn passed(body: R) -> Self {
        ResponseBody {
            kind: Kind::Passed { body },
        }
    }

    pub(super) fn metered(body: R, mut meter: Box<Metering>) -> Self {
        if body.is_end_stream() {
            // Nobody will read a body that is over before it began.
            meter.end();
        }
        ResponseBody {
            kind: Kind::Metered { body, meter },
        }
    }

    pub(super) fn stream(stream: Box<Stream<R>>) -> Self {
        ResponseBody {
            kind: Kind::Stream { stream },
        }
    }

    pub(super) fn kept(kept: Kept<R::Error>) -> Self {
        ResponseBody {
            kind: Kind::Kept {
                kept: Box::new(kept),
            },
        }
    }

    pub(crate) fn local(body: Bytes) -> Self {
        ResponseBody {
            kind: Kind::Local {
                body: Full::new(body),
            },
        }
    }
}

impl<R: Body<Data = Bytes>> Body for ResponseBody<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        match self.project().kind.project() {
            KindProjection::Passed { body } => body.poll_frame(cx),
            KindProjection::Metered { body, meter } => meter.poll_frame(body, cx),
            KindProjection::Stream { stream } => stream.poll_frame(cx),
            KindProjection::Kept { kept } => Poll::Ready(kept.next()),
            KindProjection::Local { body } => Pin::new(body)
                .poll_frame(cx)
                .map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Passed { body } => body.is_end_stream(),
            Kind::Metered { body, meter } => meter.is_end(body),
            Kind::Stream { stream } => stream.is_end(),
            Kind::Kept { kept } => kept.is_end(),
            Kind::Local { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Passed { body } => body.size_hint(),
            Kind::Metered { body, meter } => meter.size_hint(body),
            Kind::Stream { stream } => stream.size_hint(),
            Kind::Kept { kept } => kept.size_hint(),
            Kind::Local { body } => body.size_hint(),
        }
    }
}

impl<R: Body> fmt::Debug for ResponseBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Passed { .. } => "passed",
            Kind::Metered { .. } => "metered",
            Kind::Stream { .. } => "stream",
            Kind::Kept { .. } => "kept",
            Kind::Local { .. } => "local",
        };
        f.debug_tuple("ResponseBody").field(&kind).finish()
    }
}

impl<R: Body + Default> Default for ResponseBody<R> {
    /// Creates an empty body.
    fn default() -> Self {
        Self::passed(R::default())
    }
}
