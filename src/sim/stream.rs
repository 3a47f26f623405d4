//! A streamed answer, one frame a poll.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::Sleep;

use super::answer::Story;
use super::body::{Flush, SimError};
use super::faults::Place;
use super::ledger::Outcome;
use super::open::Open;

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Whole,
    /// With an error of the body, after half of the content.
    Broken,
    /// With an error event; late is after half of the content.
    Error(Place),
}

/// The opening events, the content in chunks, the closing events.
#[derive(Debug)]
pub(crate) struct Stream {
    /// `None` after the last frame.
    open: Option<Open>,
    story: Story,
    ending: Ending,
    opened: bool,
    /// Content chunks that have been sent.
    sent: u64,
    delay: Duration,
    pause: Option<Pin<Box<Sleep>>>,
    flush: Flush,
}

/// What a frame holds.
enum Piece {
    Content,
    Closing,
    Error,
    Break,
}

impl Stream {
    pub(crate) fn new(open: Open, story: Story, delay: Duration, ending: Ending) -> Self {
        Self {
            open: Some(open),
            story,
            ending,
            opened: false,
            sent: 0,
            delay,
            pause: None,
            flush: Flush::default(),
        }
    }

    /// The number of its attempt, until the last frame has been taken.
    pub(crate) fn seq(&self) -> Option<u64> {
        self.open.as_ref().map(Open::seq)
    }

    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, SimError>>> {
        let Some(open) = &mut self.open else {
            return Poll::Ready(None);
        };
        if !self.opened && self.ending != Ending::Error(Place::First) {
            self.opened = true;
            let mut frame = BytesMut::with_capacity(512);
            self.story.opening(&mut frame);
            // Not every dialect has something to say before its content.
            if !frame.is_empty() {
                return Poll::Ready(Some(Ok(frame.freeze())));
            }
        }
        let chunks = self.story.chunks();
        let half = self.sent >= chunks.div_ceil(2);
        let piece = match self.ending {
            Ending::Error(Place::First | Place::Opened) => Piece::Error,
            Ending::Error(Place::Late) if half => Piece::Error,
            Ending::Broken if half => Piece::Break,
            _ if self.sent < chunks => Piece::Content,
            _ => Piece::Closing,
        };
        let mut frame = BytesMut::with_capacity(512);
        let outcome = match piece {
            Piece::Content => {
                if !self.delay.is_zero() {
                    let delay = self.delay;
                    let pause = self
                        .pause
                        .get_or_insert_with(|| Box::pin(tokio::time::sleep(delay)));
                    ready!(pause.as_mut().poll(cx));
                    self.pause = None;
                }
                self.story.content(self.sent, &mut frame);
                self.sent += 1;
                open.generated(self.story.generated(self.sent));
                None
            }
            Piece::Closing => {
                self.story.closing(&mut frame);
                Some(Outcome::Completed)
            }
            Piece::Error => {
                let after = self.opened.then_some(self.sent);
                self.story.error(after, &mut frame);
                Some(Outcome::Spoilt)
            }
            Piece::Break => {
                ready!(self.flush.poll(cx));
                Some(Outcome::Spoilt)
            }
        };
        if let Some(outcome) = outcome
            && let Some(open) = self.open.take()
        {
            open.close(outcome);
        }
        match piece {
            Piece::Break => Poll::Ready(Some(Err(SimError::Broken))),
            _ => Poll::Ready(Some(Ok(frame.freeze()))),
        }
    }
}
