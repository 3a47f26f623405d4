//! A stream without the usage that its caller did not ask for.

use bytes::Bytes;
use http_body::Frame;

use crate::wire::HideUsage;

/// What the caller sees of a stream in which usage is hidden.
#[derive(Default)]
pub(super) struct Hiding {
    hide: HideUsage,
    /// What comes after bytes that were held back.
    next: Option<Frame<Bytes>>,
    /// Whether the body is over.
    over: bool,
}

/// What there is to see.
pub(super) enum Seen {
    Frame(Frame<Bytes>),
    /// Nothing yet.
    Nothing,
    End,
}

impl Seen {
    /// The frame, where there is one.
    pub(super) fn frame(self) -> Option<Frame<Bytes>> {
        match self {
            Seen::Frame(frame) => Some(frame),
            Seen::Nothing | Seen::End => None,
        }
    }
}

impl Hiding {
    /// Whether there is nothing more to see.
    pub(super) fn is_end(&self) -> bool {
        self.over && self.next.is_none()
    }

    /// What was held back, or that the body is over; `None`: it has more.
    pub(super) fn pending(&mut self) -> Option<Seen> {
        let next = self.next.take().map(Seen::Frame);
        next.or_else(|| self.over.then_some(Seen::End))
    }

    /// The body's next frame has come.
    pub(super) fn push(&mut self, frame: Frame<Bytes>, is_last: bool) -> Seen {
        self.over = is_last;
        match frame.into_data() {
            Ok(data) => {
                let shown = self.hide.push(&data);
                let rest = if is_last {
                    self.hide.end()
                } else {
                    Bytes::new()
                };
                match (shown.is_empty(), rest.is_empty()) {
                    (true, true) if is_last => Seen::End,
                    (true, true) => Seen::Nothing,
                    (false, true) => Seen::Frame(Frame::data(shown)),
                    (true, false) => Seen::Frame(Frame::data(rest)),
                    (false, false) => {
                        self.next = Some(Frame::data(rest));
                        Seen::Frame(Frame::data(shown))
                    }
                }
            }
            Err(trailers) => {
                let rest = self.hide.end();
                if rest.is_empty() {
                    return Seen::Frame(trailers);
                }
                self.next = Some(trailers);
                Seen::Frame(Frame::data(rest))
            }
        }
    }

    /// The body has no more frames.
    pub(super) fn end(&mut self) -> Seen {
        self.over = true;
        let rest = self.hide.end();
        if rest.is_empty() {
            Seen::End
        } else {
            Seen::Frame(Frame::data(rest))
        }
    }

    /// The last data of a stream that ends with it, and what is held back.
    pub(super) fn last(mut self, data: &[u8]) -> Bytes {
        [self.hide.push(data), self.hide.end()].concat().into()
    }
}
