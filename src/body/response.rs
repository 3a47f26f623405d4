//! A response body that is metered while it passes.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::hiding::{Hiding, Seen};
use crate::{
    call::{Ended, Listening, Unfinished},
    limit::Demand,
    pricing::ServiceTier,
    store::Settlement,
    usage::Usage,
    wire::{Dialect, Meter, Served},
};

/// How often the output of a stream is dated. Slots of a minute are as long.
const DATED_EVERY: Duration = Duration::from_millis(250);

pin_project! {
    /// The body of every response that leaves one of our layers.
    ///
    /// It passes the inner body's bytes on unchanged and at once, and reads the usage that the provider
    /// reports. Unchanged but for this: OpenAI chat streams are asked for their usage, and where the caller did not
    /// ask for it, the extra chunk and each `usage: null` are taken out, so that events come whole. When it ends, fails or is dropped, the attempt is settled, once.
    pub struct ResponseBody<R> {
        #[pin]
        kind: Kind<R>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<R> {
        /// Passed on; somebody further in meters it, or nobody has to.
        Passed { #[pin] body: R },
        /// Metered here.
        Metered { #[pin] body: R, meter: Metering },
        /// Our own words.
        Local { body: Full<Bytes> },
    }
}

impl<R> ResponseBody<R> {
    pub(crate) fn passed(body: R) -> Self {
        ResponseBody {
            kind: Kind::Passed { body },
        }
    }

    pub(crate) fn metered(body: R, mut meter: Metering) -> Self
    where
        R: Body,
    {
        if body.is_end_stream() {
            // Nobody will read a body that is over before it began.
            meter.end();
        }
        ResponseBody {
            kind: Kind::Metered { body, meter },
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

/// The meter of one answer, and the attempt to settle with what it read.
pub(crate) struct Metering {
    meter: Meter,
    /// Taken when it is settled.
    attempt: Option<Unfinished>,
    /// Of a refusal; taken when it is settled.
    listening: Option<Listening>,
    /// Of a stream whose caller did not ask for its usage.
    hiding: Option<Hiding>,
    dialect: Dialect,
    status: StatusCode,
    demand: Demand,
    /// When the output was dated last.
    dated: Instant,
}

impl Metering {
    pub(crate) fn new(
        attempt: Unfinished,
        dialect: Dialect,
        demand: Demand,
        status: StatusCode,
        headers: &http::HeaderMap,
    ) -> Self {
        Metering {
            meter: Meter::new(dialect, status, headers),
            attempt: Some(attempt),
            listening: None,
            hiding: None,
            dialect,
            status,
            demand,
            dated: Instant::now(),
        }
    }

    fn push(&mut self, data: &[u8]) {
        self.meter.push(data);
        if let Some(listening) = &mut self.listening {
            listening.push(data);
        }
        if !self.meter.is_stream() {
            return;
        }
        let now = Instant::now();
        if now.saturating_duration_since(self.dated) >= DATED_EVERY {
            self.dated = now;
            if let Some(attempt) = &self.attempt {
                attempt.streamed(self.meter.output_streamed());
            }
        }
    }

    /// This meter, which also hears what a refusal tells.
    pub(super) fn listening(mut self, listening: Option<Listening>) -> Self {
        self.listening = listening;
        self
    }

    /// This meter, which keeps the usage of a stream from the caller.
    pub(super) fn hiding(mut self) -> Self {
        self.hiding = Some(Hiding::default());
        self
    }

    fn end(&mut self) {
        self.meter.end();
        self.settle();
    }

    fn settle(&mut self) {
        // While its claims are there still.
        if let Some(listening) = self.listening.take() {
            listening.end();
        }
        if let Some(attempt) = self.attempt.take() {
            attempt.end(self.ended());
        }
    }

    /// What the answer used, by the best that is known of it: what was reported; else what was seen of
    /// the output and estimated of the input; of an error, nothing but the request.
    fn ended(&self) -> Ended {
        if !self.status.is_success() {
            return Ended::with(Settlement::Usage(Usage::default()));
        }
        if self.dialect == Dialect::Generic {
            return Ended::with(Settlement::Unknown);
        }
        let reading = self.meter.reading();
        if !self.meter.is_stream() && !reading.complete && !reading.usage_is_final {
            // It was generated whole before its first byte came, and nobody read how much it was.
            return Ended::with(Settlement::Unknown);
        }
        let seen = Usage::new(self.demand.input, reading.output_seen);
        let mut usage = match reading.usage {
            Some(usage) if reading.usage_is_final => usage,
            // A report that is not the last word: the input is, the output is at least what was seen.
            Some(mut usage) => {
                usage.input = if usage.input == 0 {
                    seen.input
                } else {
                    usage.input
                };
                usage.output = usage.output.max(seen.output);
                usage
            }
            None => seen,
        };
        usage.cost = reading.cost;
        Ended {
            settlement: Settlement::Usage(usage),
            is_final: reading.usage_is_final,
            told: reading.usage.map_or(0, |usage| usage.output),
            text: reading.text_bytes,
            most: if self.demand.output_declared {
                self.demand.output
            } else {
                u64::MAX
            },
            failed: reading.error.is_some() && reading.output_seen == 0,
            tier: tier(&reading.served),
        }
    }
}

/// The tier that an answer says it was served in.
fn tier(served: &Served) -> ServiceTier {
    match (served.tier.as_deref(), served.speed.as_deref()) {
        (Some("batch"), _) => ServiceTier::Batch,
        (Some("flex"), _) => ServiceTier::Flex,
        (Some("priority"), _) => ServiceTier::Priority,
        (_, Some("fast")) => ServiceTier::Fast,
        _ => ServiceTier::Standard,
    }
}

impl Drop for Metering {
    fn drop(&mut self) {
        self.settle();
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
            KindProjection::Local { body } => Pin::new(body)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            KindProjection::Metered { mut body, meter } => loop {
                if let Some(seen) = meter.hiding.as_mut().and_then(Hiding::pending) {
                    return Poll::Ready(seen.frame().map(Ok));
                }
                let frame = ready!(body.as_mut().poll_frame(cx));
                // Many readers stop where they know of the end, without asking for it.
                let is_last = body.is_end_stream();
                match &frame {
                    Some(Ok(frame)) => {
                        if let Some(data) = frame.data_ref() {
                            meter.push(data);
                        }
                        if is_last {
                            meter.end();
                        }
                    }
                    Some(Err(_)) => meter.settle(),
                    None => meter.end(),
                }
                let Some(hiding) = &mut meter.hiding else {
                    return Poll::Ready(frame);
                };
                let seen = match frame {
                    Some(Ok(frame)) => hiding.push(frame, is_last),
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    None => hiding.end(),
                };
                if !matches!(seen, Seen::Nothing) {
                    return Poll::Ready(seen.frame().map(Ok));
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Metered { meter, body } => match &meter.hiding {
                Some(hiding) => hiding.is_end(),
                None => body.is_end_stream(),
            },
            Kind::Passed { body } => body.is_end_stream(),
            Kind::Local { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Metered { meter, .. } if meter.hiding.is_some() => SizeHint::default(),
            Kind::Passed { body } | Kind::Metered { body, .. } => body.size_hint(),
            Kind::Local { body } => body.size_hint(),
        }
    }
}

impl<R> fmt::Debug for ResponseBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Passed { .. } => "passed",
            Kind::Metered { .. } => "metered",
            Kind::Local { .. } => "local",
        };
        f.debug_tuple("ResponseBody").field(&kind).finish()
    }
}

impl<R: Default> Default for ResponseBody<R> {
    /// An empty body.
    fn default() -> Self {
        Self::passed(R::default())
    }
}
