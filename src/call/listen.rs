//! What the answer to an attempt tells its limits.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode, response::Parts};
use tokio::time::Instant;

use super::{Entry, attempt::Attempt};
use crate::{
    clock::time_of_day,
    error::Rejection,
    limit::Tick,
    limiter::Limiter,
    store::Observation,
    tags::Tag,
    wire::{self, ErrorClass},
};

/// How much of a refusal's body is read. Providers say what is wrong in a few hundred bytes.
const BODY_CAP: usize = 64 << 10;
/// A told wait that is longer than this is taken for this long: what hangs on one word should not hang for ever.
const LONGEST: Duration = Duration::from_secs(86_400);

/// A refusal whose body is still to come: what it tells is known when it has.
#[derive(Debug)]
pub(crate) struct Listening {
    attempt: Arc<Attempt>,
    provider: Arc<str>,
    status: StatusCode,
    headers: HeaderMap,
    came: Instant,
    /// Until when the target was closed for it, in the time of each limiter.
    closed: Option<Vec<(Limiter, Tick)>>,
    body: Vec<u8>,
}

impl Entry {
    /// Takes in what the head of an answer tells, by the layer that sent the attempt. Where the body may tell
    /// more it is to be listened to.
    pub(crate) fn listen(&self, head: &Parts) -> Option<Listening> {
        if head.extensions.get::<Rejection>().is_some() {
            // Another stack of ours, further in, has not sent it.
            return None;
        }
        let attempt = self.attempt();
        let provider = self.provider();
        let (now, refused) = (time_of_day(), head.status == StatusCode::TOO_MANY_REQUESTS);
        let shown = wire::rate_limits(&provider, &head.headers, now);
        if refused || !shown.is_empty() {
            attempt.observe(&Observation::Counters { shown, refused });
        }
        if head.status.as_u16() < 400 {
            attempt.observe(&Observation::Succeeded);
            return None;
        }
        let closes = matches!(head.status.as_u16(), 429 | 503 | 529);
        let mut listening = Listening {
            attempt,
            provider,
            status: head.status,
            headers: head.headers.clone(),
            came: Instant::now(),
            closed: None,
            body: Vec::new(),
        };
        if let (true, Some(wait)) = (closes, wire::retry_after(&head.headers, now)) {
            // At once: nobody may read the body.
            listening.close(wait);
        }
        Some(listening)
    }

    fn provider(&self) -> Arc<str> {
        let tags = self.tags();
        tags.shared(&Tag::Provider).cloned().unwrap_or_default()
    }
}

impl Listening {
    pub(crate) fn push(&mut self, data: &[u8]) {
        let room = BODY_CAP - self.body.len();
        self.body.extend_from_slice(&data[..data.len().min(room)]);
    }

    /// The body has ended, or nobody reads on: what is known by now is all.
    pub(crate) fn end(mut self) {
        let now = time_of_day();
        let error = wire::classify(&self.provider, self.status, &self.headers, &self.body, now);
        let Some(error) = error else {
            return;
        };
        match (waits(error.class), error.wait) {
            (true, Some(wait)) if self.closed.is_none() => self.close(wait),
            (false, _) => self.reopen(),
            _ => {}
        }
        if matches!(error.class, ErrorClass::RateLimit | ErrorClass::Ramp) {
            self.attempt.observe(&Observation::Limited {
                quantity: error.quantity,
                period: error.window,
            });
        }
    }

    /// Closes the target for so long since the answer came.
    fn close(&mut self, wait: Duration) {
        let until = self.came + wait.min(LONGEST);
        self.closed = Some(self.attempt.close_target(until));
    }

    fn reopen(&mut self) {
        if let Some(closed) = self.closed.take() {
            self.attempt.reopen_target(&closed);
        }
    }
}

/// Whether a wait told with it holds for every call to the target.
fn waits(class: ErrorClass) -> bool {
    matches!(
        class,
        ErrorClass::RateLimit | ErrorClass::Ramp | ErrorClass::Quota | ErrorClass::Overloaded
    )
}
