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
    /// Content chunks in all, and those sent.
    chunks: u64,
    sent: u64,
    delay: Duration,
    pause: Option<Pin<Box<Sleep>>>,
    flush: Flush,
}

/// What a frame holds.
enum Piece {
    Opening,
    Content,
    Closing,
    Error,
    Break,
}

impl Stream {
    pub(crate) fn new(
        open: Open,
        story: Story,
        most_chunks: u64,
        delay: Duration,
        ending: Ending,
    ) -> Self {
        let chunks = most_chunks.max(1).min(story.output);
        Self {
            open: Some(open),
            story,
            ending,
            opened: false,
            chunks,
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
        let half = self.sent >= self.chunks.div_ceil(2);
        let piece = match (self.ending, self.opened) {
            (Ending::Error(Place::First), _) | (Ending::Error(Place::Opened), true) => Piece::Error,
            (_, false) => Piece::Opening,
            (Ending::Error(Place::Late), _) if half => Piece::Error,
            (Ending::Broken, _) if half => Piece::Break,
            _ if self.sent < self.chunks => Piece::Content,
            _ => Piece::Closing,
        };
        let mut frame = BytesMut::with_capacity(512);
        let outcome = match piece {
            Piece::Opening => {
                self.opened = true;
                self.story.opening(&mut frame);
                None
            }
            Piece::Content => {
                if !self.delay.is_zero() {
                    let delay = self.delay;
                    let pause = self
                        .pause
                        .get_or_insert_with(|| Box::pin(tokio::time::sleep(delay)));
                    ready!(pause.as_mut().poll(cx));
                    self.pause = None;
                }
                let generated = |chunks| self.story.output * chunks / self.chunks;
                let (before, after) = (generated(self.sent), generated(self.sent + 1));
                self.story.content(after - before, &mut frame);
                open.generated(after);
                self.sent += 1;
                None
            }
            Piece::Closing => {
                self.story.closing(&mut frame);
                Some(Outcome::Completed)
            }
            Piece::Error => {
                self.story.error(&mut frame);
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
