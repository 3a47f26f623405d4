//! What the tests of the layers stand on: inner services that insist, bodies that are scripted, foreign layers.

pub(crate) mod body;
pub(crate) mod foreign;
pub(crate) mod stack;
pub(crate) mod upstream;

use std::{fmt, future::Future, time::Duration};

use bytes::Bytes;
use http::Request;
use tokio::time::Instant;
use tower_quota::{
    Limiter, Rejection, Tag, Tags,
    limit::{Limit, Limits},
    limiter::Call,
};

pub(crate) use body::Frames;
pub(crate) use stack::{Stack, stack};
pub(crate) use upstream::{Answer, Upstream};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// How long a charge counts under a limit of a minute: the period and the usual margin.
pub(crate) const COUNTED: Duration = Duration::from_millis(60_500);

/// Longer than anything in a test takes: whoever is not done by then stands still.
const STANDSTILL: Duration = Duration::from_secs(86_400);

/// The error of the inner services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) u32);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken, number {}", self.0)
    }
}

impl std::error::Error for Broken {}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn limiter(limits: impl IntoIterator<Item = Limit>) -> Limiter {
    Limiter::new(Limits::new(limits).unwrap())
}

/// One call in flight at a time, and so many requests an hour that they are counted and never lack.
pub(crate) fn one_in_flight() -> Limiter {
    limiter([Limit::concurrency(1), Limit::requests(MANY).every(HOUR)])
}

pub(crate) const MANY: u64 = 40;

/// One call a minute.
pub(crate) fn one_a_minute() -> Limiter {
    limiter([Limit::requests(1).every(MINUTE)])
}

/// An OpenAI chat call.
pub(crate) fn chat<B: From<Bytes>>() -> Request<B> {
    let body = r#"{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"Hi"}]}"#;
    let request = Request::post("http://upstream/v1/chat/completions");
    request.body(Bytes::from(body).into()).unwrap()
}

/// The same, by an agent.
pub(crate) fn chat_of<B: From<Bytes>>(agent: &str) -> Request<B> {
    let mut request = chat();
    request
        .extensions_mut()
        .insert(Tags::new().with(Tag::Agent, agent));
    request
}

/// Whether a call would be let in at this moment.
pub(crate) async fn is_free(limiter: &Limiter) -> bool {
    let permit = limiter.try_acquire(Call::new()).await;
    permit.map(|permit| permit.release()).is_ok()
}

/// How many requests count under [`one_in_flight`], none of which is in flight any more.
pub(crate) async fn counted(limiter: &Limiter) -> u64 {
    let mut counted = MANY;
    while let Ok(permit) = limiter.try_acquire(Call::new()).await {
        // Ended, so that the next one may be in flight: it stays counted.
        permit.settle(tower_quota::Usage::default());
        counted -= 1;
    }
    counted
}

/// When the next call is let in, counted from `start`.
pub(crate) async fn next_let_in(limiter: &Limiter, start: Instant) -> Result<Duration, Rejection> {
    limiter.acquire(Call::new()).await?.release();
    Ok(start.elapsed())
}

/// The output of what must not stand still.
pub(crate) async fn ends<F: Future>(future: F) -> F::Output {
    let ended = tokio::time::timeout(STANDSTILL, future).await;
    ended.expect("it stands still for ever")
}
