//! Response bodies that do what they are told.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::Broken;

/// A body of frames, given one at each poll.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frames {
    frames: VecDeque<Result<Bytes, Broken>>,
    /// Whether it says that it is over as soon as its last frame is out.
    tells_end: bool,
}

impl Frames {
    /// Nothing at all, and it says so.
    pub(crate) fn empty() -> Self {
        Self::of([]).telling_its_end()
    }

    /// One frame each.
    pub(crate) fn of<const N: usize>(texts: [&'static str; N]) -> Self {
        Frames {
            frames: texts
                .map(|text| Ok(Bytes::from_static(text.as_bytes())))
                .into(),
            tells_end: false,
        }
    }

    /// One frame more.
    pub(crate) fn and(mut self, frame: impl Into<Bytes>) -> Self {
        self.frames.push_back(Ok(frame.into()));
        self
    }

    /// It breaks off after its frames.
    pub(crate) fn then(mut self, error: Broken) -> Self {
        self.frames.push_back(Err(error));
        self
    }

    pub(crate) fn telling_its_end(mut self) -> Self {
        self.tells_end = true;
        self
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let next = self.frames.pop_front();
        Poll::Ready(next.map(|frame| frame.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.tells_end && self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
