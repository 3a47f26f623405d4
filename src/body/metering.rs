//! The meter of one answer, and what its attempt is settled with.

use std::{
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::{
    answer::Answer,
    hiding::{Hiding, Seen},
};
use crate::{
    call::{Allowed, Listening, Opening, Unfinished},
    error::Rejection,
    limit::Demand,
    store::BoxFuture,
    wire::{Dialect, Meter, ProviderError, Stage},
};

/// How often the output of a stream is dated. Slots of a minute are as long.
const DATED_EVERY: Duration = Duration::from_millis(250);

/// The meter of one answer, and the attempt to settle with what it read.
pub(crate) struct Metering {
    meter: Meter,
    /// Taken when it is settled.
    attempt: Option<Unfinished>,
    /// Of a refusal; taken when it is settled.
    listening: Option<Listening>,
    /// Of a stream, until it is known how that begins.
    opening: Option<Opening>,
    /// The error that it is, or that it began with.
    failed: Option<ProviderError>,
    /// Of a stream whose caller did not ask for its usage.
    hiding: Option<Hiding>,
    /// Up to how much output the money does that is held for it.
    covered: u64,
    /// Budgets are asked for more. (A mutex, so that bodies are `Sync`: nobody ever waits for it.)
    asking: Option<Mutex<BoxFuture<Result<u64, Rejection>>>>,
    answer: Answer,
    /// When the output of a stream was dated last; else that is nobody's concern.
    dated: Option<Instant>,
}

impl Metering {
    pub(crate) fn new(
        attempt: Unfinished,
        dialect: Dialect,
        (demand, allowed): (Demand, Allowed),
        status: StatusCode,
        headers: &http::HeaderMap,
    ) -> Box<Self> {
        let meter = Meter::new(dialect, status, headers);
        Box::new(Metering {
            dated: meter.is_stream().then(Instant::now),
            meter,
            attempt: Some(attempt),
            listening: None,
            opening: None,
            failed: None,
            hiding: None,
            covered: u64::MAX,
            asking: None,
            answer: Answer {
                dialect,
                status,
                demand,
                allowed,
            },
        })
    }

    /// Also hears what a refusal tells.
    pub(super) fn listen(&mut self, listening: Option<Listening>) {
        self.listening = listening;
    }

    /// Also hears whether a stream begins with an error.
    pub(super) fn open(&mut self, opening: Opening) {
        self.opening = Some(opening);
    }

    /// Keeps the usage of a stream from the caller.
    pub(super) fn hide(&mut self) {
        self.hiding = Some(Hiding::default());
    }

    /// Asks budgets for more where what is held does not do for what has streamed.
    pub(super) fn cover(&mut self) {
        let has_budgets = |attempt: &Unfinished| attempt.has_budgets();
        if self.attempt.as_ref().is_some_and(has_budgets) {
            self.covered = 0;
        }
    }

    /// Whether nothing but the beginning of a stream has come so far, or not even that.
    pub(super) fn is_preamble(&self) -> bool {
        self.answer.status.is_success() && self.meter.stage("") == Stage::Preamble
    }

    /// Whether budgets are asked for more while it streams, and may end it.
    pub(super) fn covers(&self) -> bool {
        self.covered < u64::MAX
    }

    /// The error that it is, or that the stream began with; by what was read of it so far.
    pub(super) fn failed(&self) -> Option<ProviderError> {
        self.failed.or_else(|| self.listening.as_ref()?.error())
    }

    fn push(&mut self, data: &[u8]) {
        self.meter.push(data);
        if let Some(listening) = &mut self.listening {
            listening.push(data);
        }
        let begins = self.opening.is_some() && self.hear_how_it_begins();
        if !self.meter.is_stream() {
            return;
        }
        let now = Instant::now();
        let dated = *self.dated.get_or_insert(now);
        if begins || now.saturating_duration_since(dated) >= DATED_EVERY {
            self.dated = Some(now);
            if let Some(attempt) = &self.attempt {
                attempt.streamed(self.meter.output_streamed());
            }
        }
    }

    /// Passes on how the stream begins, once that is known; whether it is.
    fn hear_how_it_begins(&mut self) -> bool {
        let Some(opening) = &self.opening else {
            return true;
        };
        match self.meter.stage(opening.provider()) {
            Stage::Preamble => return false,
            Stage::Error(error) => {
                self.failed = self.opening.take().map(|opening| opening.failed(error));
            }
            _ => {
                if let Some(opening) = self.opening.take() {
                    opening.succeeded();
                }
            }
        }
        true
    }

    /// The body is over.
    pub(super) fn end(&mut self) {
        self.meter.end();
        self.hear_how_it_begins();
        self.settle();
    }

    /// Ends the attempt, once.
    pub(super) fn settle(&mut self) {
        // While its claims are there still.
        if let Some(listening) = self.listening.take() {
            self.failed = listening.end();
        }
        self.opening = None;
        if let Some(attempt) = self.attempt.take() {
            // A whole answer is read once.
            let mut reading = None;
            attempt.says(self.failed, || {
                let reading = reading.insert(self.meter.reading());
                reading.model.as_deref().map(Into::into)
            });
            attempt.end(self.answer.over(&self.meter, reading));
        }
    }

    /// Has more money held where what is held does not do for what has come; the refusal where there is no more.
    pub(super) fn poll_covered(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Rejection>> {
        if self.covered == u64::MAX || self.meter.output_streamed() <= self.covered {
            return Poll::Ready(Ok(()));
        }
        if self.asking.is_none() {
            let reading = self.meter.reading();
            if reading.finish.is_some() && self.answer.allowed.choices == 1 {
                // What is generated is generated; of several choices others may go on.
                return Poll::Ready(Ok(()));
            }
            let goes_on = reading.error.is_none() && !reading.usage_is_final && !reading.complete;
            let Some(attempt) = self.attempt.as_ref().filter(|_| goes_on) else {
                self.covered = u64::MAX;
                return Poll::Ready(Ok(()));
            };
            let ended = self.answer.ended(&self.meter);
            self.asking = Some(Mutex::new(attempt.cover(ended)));
        }
        let Some(asking) = &mut self.asking else {
            return Poll::Ready(Ok(()));
        };
        let asking = asking.get_mut().unwrap_or_else(PoisonError::into_inner);
        let answer = ready!(asking.as_mut().poll(cx));
        self.asking = None;
        if let Err(Rejection::StoreUnavailable(_)) = answer {
            // Nobody said that there is no more: asked again when as much again has come.
            self.covered = self.meter.output_streamed().saturating_mul(2);
            return Poll::Ready(Ok(()));
        }
        self.covered = *answer.as_ref().unwrap_or(&u64::MAX);
        Poll::Ready(answer.map(|_| ()))
    }

    /// Reads on in `data` to the end of an event, and ends the stream there: what the caller sees of that, and an event
    /// that says why. `None`: no event ends in it, and all of it passes.
    pub(super) fn end_within(&mut self, data: &Bytes, why: &Rejection) -> Option<Bytes> {
        let mut read = 0;
        while !self.meter.is_between() {
            self.meter.push(data.get(read..=read)?);
            read += 1;
        }
        if read > 0 && data[read - 1] == b'\r' && data.get(read) == Some(&b'\n') {
            // Half of an end of a line would be none to some.
            self.meter.push(&data[read..=read]);
            read += 1;
        }
        let message = format!("this answer was cut off: {why}");
        let status = StatusCode::PAYMENT_REQUIRED;
        let last = self.meter.last_event(why.kind(), status, &message)?;
        self.settle();
        let read = data.slice(..read);
        Some(match self.hiding.take() {
            Some(hiding) => [hiding.last(&read), last].concat().into(),
            None => [read, last].concat().into(),
        })
    }

    /// The next frame that the caller sees of a body.
    pub(super) fn poll_frame<R: Body<Data = Bytes>>(
        &mut self,
        mut body: Pin<&mut R>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        loop {
            if let Some(shown) = self.pending() {
                return Poll::Ready(shown.map(Ok));
            }
            let frame = ready!(body.as_mut().poll_frame(cx));
            // Many readers stop where they know of the end, without asking for it.
            let is_last = body.is_end_stream();
            if let Some(data) = data(&frame) {
                self.push(data);
            }
            if let Some(shown) = self.show(frame, is_last) {
                return Poll::Ready(shown);
            }
        }
    }

    /// What was held back and is to be seen now, or that there is no more.
    pub(super) fn pending(&mut self) -> Option<Option<Frame<Bytes>>> {
        let pending = self.hiding.as_mut().and_then(Hiding::pending);
        pending.map(Seen::frame)
    }

    /// What the caller sees of a frame that was read; `None`: nothing yet.
    pub(super) fn show<E>(
        &mut self,
        frame: Option<Result<Frame<Bytes>, E>>,
        is_last: bool,
    ) -> Option<Option<Result<Frame<Bytes>, E>>> {
        match &frame {
            Some(Ok(_)) if !is_last => {}
            Some(Err(_)) => {
                if self.is_preamble()
                    && let Some(opening) = self.opening.take()
                {
                    self.failed = Some(opening.broke_off());
                }
                self.settle();
            }
            _ => self.end(),
        }
        let Some(hiding) = &mut self.hiding else {
            return Some(frame);
        };
        let seen = match frame {
            Some(Ok(frame)) => hiding.push(frame, is_last),
            Some(Err(error)) => return Some(Some(Err(error))),
            None => hiding.end(),
        };
        match seen {
            Seen::Nothing => None,
            seen => Some(seen.frame().map(Ok)),
        }
    }

    /// Whether the caller will see no more of a body.
    pub(super) fn is_end<R: Body>(&self, body: &R) -> bool {
        match &self.hiding {
            Some(hiding) => hiding.is_end(),
            None => body.is_end_stream(),
        }
    }

    /// How much the caller will see of a body.
    pub(super) fn size_hint<R: Body>(&self, body: &R) -> SizeHint {
        match &self.hiding {
            Some(_) => SizeHint::default(),
            None => body.size_hint(),
        }
    }
}

/// The data in a frame.
pub(super) fn data<E>(frame: &Option<Result<Frame<Bytes>, E>>) -> Option<&Bytes> {
    frame.as_ref()?.as_ref().ok()?.data_ref()
}

impl Drop for Metering {
    fn drop(&mut self) {
        self.settle();
    }
}
