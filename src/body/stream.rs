//! A stream: what it begins with is read before it is handed on, and a budget may end it. The same of an answer that is
//! an error, where somebody is to decide whether to repeat it.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::timeout;

use super::metering::{Metering, data};
use crate::error::Rejection;

/// How long the beginning of a stream is held back at most.
const LONGEST: Duration = Duration::from_secs(1);
/// How much of it. OpenAI's first events repeat what was asked, tools and instructions.
const MOST: usize = 64 << 10;

pub(super) struct Stream<R: Body> {
    /// What was read of it and not handed on.
    held: VecDeque<Result<Frame<Bytes>, R::Error>>,
    /// `None`: it is over.
    body: Option<Pin<Box<R>>>,
    meter: Box<Metering>,
    /// Why it is to end as soon as it can.
    cut: Option<Rejection>,
}

impl<R: Body<Data = Bytes>> Stream<R> {
    pub(super) fn new(body: R, mut meter: Box<Metering>) -> Self {
        // One whose length is known was generated whole: to end it saves nothing.
        if body.size_hint().exact().is_none() {
            meter.cover();
        }
        Stream {
            held: VecDeque::new(),
            body: Some(Box::pin(body)),
            meter,
            cut: None,
        }
    }

    /// Reads what the stream begins with, until something was generated, or there is an error, or it is over; a
    /// second at most, and 64 KiB.
    pub(super) async fn begin(&mut self) {
        self.read_while(Metering::is_preamble).await;
    }

    /// Reads all of it, as far as that is short.
    pub(super) async fn hold(&mut self) {
        self.read_while(|_| true).await;
    }

    async fn read_while(&mut self, goes_on: impl Fn(&Metering) -> bool) {
        let mut read = pin!(poll_fn(|cx| self.poll_while(&goes_on, cx)));
        // Most answers begin at once, and need no timer.
        let is_read = poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx).is_ready())).await;
        if !is_read {
            // What is read by then is held, and the rest comes as it comes.
            let _ = timeout(LONGEST, read).await;
        }
    }

    fn poll_while(
        &mut self,
        goes_on: &impl Fn(&Metering) -> bool,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let mut length: usize = self.held.iter().map(length).sum();
        while goes_on(&self.meter) && length < MOST {
            let Some(frame) = ready!(self.poll_next(cx)) else {
                break;
            };
            length += self::length(&frame);
            let broken = frame.is_err();
            self.held.push_back(frame);
            if broken {
                break;
            }
        }
        Poll::Ready(())
    }

    pub(super) fn meter(&self) -> &Metering {
        &self.meter
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        match self.held.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => self.poll_next(cx),
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        if let Err(no_more) = ready!(self.meter.poll_covered(cx)) {
            self.cut = Some(no_more);
        }
        if self.cut.is_some() {
            return self.poll_cut(cx);
        }
        let frame = ready!(self.meter.poll_frame(body.as_mut(), cx));
        if frame.is_none() {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    /// The same of a stream that is to end where its next event does.
    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        loop {
            let (Some(body), Some(why)) = (&mut self.body, &self.cut) else {
                return Poll::Ready(None);
            };
            if let Some(shown) = self.meter.pending() {
                return Poll::Ready(shown.map(Ok));
            }
            let mut last = self.meter.end_within(&Bytes::new(), why);
            let mut frame = None;
            if last.is_none() {
                frame = ready!(body.as_mut().poll_frame(cx));
                last = data(&frame).and_then(|data| self.meter.end_within(data, why));
            }
            if let Some(last) = last {
                // With its connection: the provider need not go on.
                self.body = None;
                return Poll::Ready(Some(Ok(Frame::data(last))));
            }
            let is_last = body.is_end_stream();
            let is_over = frame.is_none();
            let shown = self.meter.show(frame, is_last);
            if is_over {
                self.body = None;
            }
            if let Some(shown) = shown {
                return Poll::Ready(shown);
            }
        }
    }

    pub(super) fn is_end(&self) -> bool {
        let is_over = |body: &Pin<Box<R>>| self.meter.is_end(&**body);
        self.held.is_empty() && self.body.as_ref().is_none_or(is_over)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let held: usize = self.held.iter().map(length).sum();
        let rest = match &self.body {
            Some(body) => self.meter.size_hint(&**body),
            None => SizeHint::with_exact(0),
        };
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(held as u64));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(held as u64));
        }
        hint
    }
}

fn length<E>(frame: &Result<Frame<Bytes>, E>) -> usize {
    let data = frame.as_ref().ok().and_then(|frame| frame.data_ref());
    data.map_or(0, Bytes::len)
}
