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
    pricing::provider_name,
    store::Observation,
    tags::Tag,
    wire::{self, ErrorClass, ProviderError},
};

/// How much of a refusal's body is read. Providers say what is wrong in a few hundred bytes.
const BODY_CAP: usize = 64 << 10;
/// For a quota that is used up nobody waits longer than this.
const QUOTA: Duration = Duration::from_secs(60);
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

/// A stream of which nobody knows yet whether it begins with an error.
#[derive(Debug)]
pub(crate) struct Opening {
    attempt: Arc<Attempt>,
    provider: Arc<str>,
    /// What its head tells.
    wait: Option<Duration>,
    may_repeat: Option<bool>,
}

impl Entry {
    /// Takes in what the head of an answer tells, by the layer that sent the attempt. Where the body may tell
    /// more it is to be listened to.
    pub(crate) fn listen(&self, head: &Parts) -> Option<Listening> {
        if head.extensions.get::<Rejection>().is_some() {
            // Another stack of ours, further in, has not sent it.
            return None;
        }
        let is_error = head.status.as_u16() >= 400;
        if !is_error && !wire::may_show_limits(&head.headers) {
            // As most answers are.
            return None;
        }
        let attempt = self.attempt();
        let provider = self.provider();
        let (now, refused) = (time_of_day(), head.status == StatusCode::TOO_MANY_REQUESTS);
        let shown = wire::rate_limits(&provider, &head.headers, now);
        if refused || !shown.is_empty() {
            attempt.observe(&Observation::Counters { shown, refused });
        }
        if !is_error {
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
        let told = wire::retry_after(&head.headers, now);
        if let (true, Some(wait)) = (closes, told.filter(|wait| !wait.is_zero())) {
            // At once: nobody may read the body.
            listening.close(wait);
        }
        Some(listening)
    }

    /// No limit refused the attempt, by the head of its answer.
    pub(crate) fn hear_success(&self, head: &Parts) {
        if head.status.as_u16() < 400 && head.extensions.get::<Rejection>().is_none() {
            self.attempt().observe(&Observation::Succeeded);
        }
    }

    /// The same of a stream: how it begins is still to be heard.
    pub(crate) fn opening(&self, head: &Parts) -> Opening {
        Opening {
            attempt: self.attempt(),
            provider: self.provider(),
            wait: wire::retry_after(&head.headers, time_of_day()),
            may_repeat: wire::should_retry(&head.headers),
        }
    }

    fn provider(&self) -> Arc<str> {
        let tags = self.tags();
        let Some(name) = tags.shared(&Tag::Provider) else {
            return Arc::default();
        };
        match provider_name(name) {
            ours if *ours == **name => name.clone(),
            ours => ours.into(),
        }
    }
}

impl Listening {
    pub(crate) fn push(&mut self, data: &[u8]) {
        let room = BODY_CAP - self.body.len();
        self.body.extend_from_slice(&data[..data.len().min(room)]);
    }

    /// What went wrong, by what is known by now.
    pub(crate) fn error(&self) -> Option<ProviderError> {
        let now = time_of_day();
        wire::classify(&self.provider, self.status, &self.headers, &self.body, now)
    }

    /// The body has ended, or nobody reads on: what is known by now is all. What went wrong.
    pub(crate) fn end(mut self) -> Option<ProviderError> {
        let error = self.error()?;
        match (waits(&error), error.wait) {
            (true, Some(wait)) if self.closed.is_none() => self.close(wait),
            (false, _) => self.reopen(),
            _ => {}
        }
        if let (true, Some(wait)) = (self.closed.is_some(), error.wait) {
            self.attempt.cools(wait.min(LONGEST));
        }
        hear_limit(&self.attempt, &error);
        Some(error)
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

impl Opening {
    pub(crate) fn provider(&self) -> &str {
        &self.provider
    }

    /// It broke before anything was generated.
    pub(crate) fn broke_off(self) -> ProviderError {
        ProviderError::broke_off(self.may_repeat)
    }

    /// Something was generated, or it ended.
    pub(crate) fn succeeded(self) {
        self.attempt.began();
        self.attempt.observe(&Observation::Succeeded);
    }

    /// It begins with an error: the same is heard of it as of one that a status tells. The error, with what the head
    /// says besides.
    pub(crate) fn failed(self, error: ProviderError) -> ProviderError {
        let retryable = self.may_repeat.unwrap_or(error.retryable);
        let told = self.wait.filter(|_| retryable);
        // Who says zero rounds down.
        let more = told.filter(|wait| !wait.is_zero());
        let error = ProviderError {
            retryable,
            wait: more.or(error.wait).or(told),
            ..error
        };
        if let (true, Some(wait)) = (waits(&error), error.wait) {
            let until = Instant::now() + wait.min(LONGEST);
            self.attempt.close_target(until);
            self.attempt.cools(wait.min(LONGEST));
        }
        hear_limit(&self.attempt, &error);
        error
    }
}

/// A limit may have refused the attempt.
fn hear_limit(attempt: &Attempt, error: &ProviderError) {
    if matches!(error.class, ErrorClass::RateLimit | ErrorClass::Ramp) {
        attempt.observe(&Observation::Limited {
            quantity: error.quantity,
            period: error.window,
        });
    }
}

/// Whether a wait told with it holds for every call to the target.
fn waits(error: &ProviderError) -> bool {
    match error.class {
        ErrorClass::RateLimit | ErrorClass::Ramp | ErrorClass::Overloaded => true,
        // Who has none left for a month is told so by the provider, each time, and does not stand in line for it.
        ErrorClass::Quota => error.wait.is_none_or(|wait| wait <= QUOTA),
        _ => false,
    }
}
