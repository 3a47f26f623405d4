//! An inner service that insists on the contract: no call without readiness, which no clone inherits.

use std::{
    collections::VecDeque,
    future::Future,
    mem,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, Sleep};
use tower::Service;

use super::{Broken, Frames};

/// An inner service. Clones share what they are told and what they note, not their readiness.
#[derive(Debug)]
pub(crate) struct Upstream {
    plan: Plan,
    notes: Arc<Notes>,
    is_ready: bool,
    opening: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Debug)]
struct Plan {
    opens: Instant,
    broken: Option<Broken>,
    reads: Reads,
    latency: Duration,
}

#[derive(Debug)]
struct Notes {
    start: Instant,
    answers: Mutex<VecDeque<Answer>>,
    sent: Mutex<Vec<Duration>>,
    read: Mutex<Vec<Bytes>>,
}

/// When it takes the request's body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reads {
    AtOnce,
    After(Duration),
    Never,
}

/// What it answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// 200, with a body.
    Ok(Frames),
    /// 200, with a body that is an event stream.
    Stream(Frames),
    /// 200, with a body of this content type.
    Typed(&'static str, Frames),
    /// 429, come back after so many seconds; with a body.
    Busy(u64, Frames),
    /// A status without more.
    Status(u16),
    /// An error of the service.
    Fails(Broken),
}

impl Upstream {
    /// Ready, and answers each call at once with 200.
    pub(crate) fn new() -> Self {
        let start = Instant::now();
        let plan = Plan {
            opens: start,
            broken: None,
            reads: Reads::AtOnce,
            latency: Duration::ZERO,
        };
        let notes = Notes {
            start,
            answers: Mutex::default(),
            sent: Mutex::default(),
            read: Mutex::default(),
        };
        Upstream {
            plan,
            notes: Arc::new(notes),
            is_ready: false,
            opening: None,
        }
    }

    /// Not ready until then.
    pub(crate) fn opens_after(mut self, span: Duration) -> Self {
        self.plan.opens = self.notes.start + span;
        self
    }

    /// Fails to become ready.
    pub(crate) fn never_ready(mut self, error: Broken) -> Self {
        self.plan.broken = Some(error);
        self
    }

    pub(crate) fn reads(mut self, reads: Reads) -> Self {
        self.plan.reads = reads;
        self
    }

    /// Takes so long to answer, once it has what it wants of the request.
    pub(crate) fn latency(mut self, span: Duration) -> Self {
        self.plan.latency = span;
        self
    }

    /// Answers so, in this order, and 200 afterwards.
    pub(crate) fn answers(self, answers: impl IntoIterator<Item = Answer>) -> Self {
        lock(&self.notes.answers).extend(answers);
        self
    }

    /// When each call came, since the start.
    pub(crate) fn sent(&self) -> Vec<Duration> {
        lock(&self.notes.sent).clone()
    }

    /// The bodies that it took.
    pub(crate) fn read(&self) -> Vec<Bytes> {
        lock(&self.notes.read).clone()
    }

    pub(crate) fn start(&self) -> Instant {
        self.notes.start
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clone for Upstream {
    fn clone(&self) -> Self {
        Upstream {
            plan: self.plan.clone(),
            notes: self.notes.clone(),
            is_ready: false,
            opening: None,
        }
    }
}

impl<B> Service<Request<B>> for Upstream
where
    B: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<Frames>;
    type Error = Broken;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Frames>, Broken>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        if let Some(error) = &self.plan.broken {
            return Poll::Ready(Err(error.clone()));
        }
        if Instant::now() < self.plan.opens {
            let opens = self.plan.opens;
            let opening = self
                .opening
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(opens)));
            ready!(opening.as_mut().poll(cx));
        }
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        assert!(mem::take(&mut self.is_ready), "called without readiness");
        lock(&self.notes.sent).push(self.notes.start.elapsed());
        let answer = lock(&self.notes.answers).pop_front();
        let (Plan { reads, latency, .. }, notes) = (self.plan.clone(), self.notes.clone());
        Box::pin(async move {
            let body = pin!(request.into_body());
            if let Reads::After(span) = reads {
                tokio::time::sleep(span).await;
            }
            if !matches!(reads, Reads::Never) {
                // What breaks off is not taken.
                if let Ok(body) = body.collect().await {
                    lock(&notes.read).push(body.to_bytes());
                }
            }
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            answer.unwrap_or(Answer::Ok(Frames::of(["{}"]))).into()
        })
    }
}

impl From<Answer> for Result<Response<Frames>, Broken> {
    fn from(answer: Answer) -> Self {
        let response = Response::builder();
        let response = match answer {
            Answer::Ok(body) => response.body(body),
            Answer::Stream(body) => response
                .header("content-type", "text/event-stream; charset=utf-8")
                .body(body),
            Answer::Typed(kind, body) => response.header("content-type", kind).body(body),
            Answer::Busy(wait, body) => response.status(429).header("retry-after", wait).body(body),
            Answer::Status(status) => response.status(status).body(Frames::empty()),
            Answer::Fails(error) => return Err(error),
        };
        Ok(response.unwrap())
    }
}
