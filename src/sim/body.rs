//! The response body, and what can go wrong with an answer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::ledger::Outcome;
use super::open::Open;
use super::stream::Stream;

/// Why there is no answer, or not the whole of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// The fault `drop`: the connection is closed before the answer.
    #[error("the simulator closed the connection before its answer")]
    Dropped,
    /// The fault `broken-stream`: the body ends here.
    #[error("the simulator broke its answer off")]
    Broken,
    /// The body of the request failed.
    #[error("the request could not be read: {0}")]
    Request(String),
}

/// The body of a response.
///
/// Its attempt ends when the last frame is taken, or when the body is dropped before that.
#[derive(Debug)]
pub struct SimBody(Kind);

#[derive(Debug)]
enum Kind {
    /// One frame, and then the end or an error.
    Whole {
        text: Bytes,
        open: Option<Open>,
        outcome: Outcome,
        /// What a broken body declares but does not send.
        missing: u64,
        flush: Flush,
    },
    Stream(Box<Stream>),
}

/// Pends once, so that a server sends what it has before an error makes it hang up.
#[derive(Debug, Default)]
pub(crate) struct Flush {
    pended: bool,
}

impl Flush {
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.pended, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl SimBody {
    /// A text whose attempt ends so.
    pub(crate) fn whole(text: Bytes, open: Open, outcome: Outcome) -> Self {
        Self(Kind::Whole {
            text,
            open: Some(open),
            outcome,
            missing: 0,
            flush: Flush::default(),
        })
    }

    /// The first half of a text, and then an error.
    pub(crate) fn broken(mut text: Bytes, open: Open) -> Self {
        let missing = text.split_off(text.len() / 2).len() as u64;
        Self(Kind::Whole {
            text,
            open: Some(open),
            outcome: Outcome::Spoilt,
            missing,
            flush: Flush::default(),
        })
    }

    /// A text that belongs to no attempt.
    pub(crate) fn free(text: Bytes) -> Self {
        Self(Kind::Whole {
            text,
            open: None,
            outcome: Outcome::Completed,
            missing: 0,
            flush: Flush::default(),
        })
    }

    pub(crate) fn stream(stream: Stream) -> Self {
        Self(Kind::Stream(Box::new(stream)))
    }

    /// The number of the attempt that the body belongs to.
    pub(crate) fn seq(&self) -> Option<u64> {
        match &self.0 {
            Kind::Whole { open, .. } => open.as_ref().map(Open::seq),
            Kind::Stream(stream) => stream.seq(),
        }
    }
}

impl Body for SimBody {
    type Data = Bytes;
    type Error = SimError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SimError>>> {
        match &mut self.0 {
            Kind::Whole {
                text,
                open,
                outcome,
                missing,
                flush,
            } => {
                let frame = if !text.is_empty() {
                    Some(Ok(Frame::data(std::mem::take(text))))
                } else if *missing > 0 {
                    ready!(flush.poll(cx));
                    *missing = 0;
                    Some(Err(SimError::Broken))
                } else {
                    None
                };
                if *missing == 0
                    && let Some(open) = open.take()
                {
                    open.close(*outcome);
                }
                Poll::Ready(frame)
            }
            Kind::Stream(stream) => stream.poll_next(cx).map_ok(Frame::data),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole { text, missing, .. } => text.is_empty() && *missing == 0,
            Kind::Stream(stream) => stream.seq().is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole { text, missing, .. } => SizeHint::with_exact(text.len() as u64 + missing),
            Kind::Stream(_) => SizeHint::default(),
        }
    }
}
