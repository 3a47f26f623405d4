//! Streams that wait for room: comments tell the caller, and all between, that somebody is still there.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use http_body::Frame;
use http_body_util::{BodyExt as _, Limited};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use super::refusal::Refusal;
use crate::{
    error::Rejection,
    limiter::{CallState, Progress},
    wire::{Dialect, Meter},
};

const STREAM: &[u8] = b"text/event-stream";

/// A line that every reader of server-sent events passes over.
const COMMENT: &[u8] = b": waiting for room\n\n";

/// How much of an error is read, and for how long.
const ERROR_CAP: usize = 64 << 10;
const ERROR_IN: Duration = Duration::from_secs(5);

/// What an answer is awaited as.
pub(super) type Answering = Pin<Box<dyn Future<Output = Result<Response, Refusal>> + Send>>;

/// Whether a call that waits is one whose stream can begin with comments.
pub(super) fn may_begin(progress: &Progress, dialect: Dialect) -> bool {
    // Not Gemini's: Google's SDKs take every line for JSON, comments too.
    let is_sse = matches!(
        dialect,
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::AnthropicMessages
    );
    let waits = || {
        matches!(
            progress.state(),
            CallState::Waiting(_) | CallState::BackingOff { .. }
        )
    };
    is_sse && progress.streams() == Some(true) && waits()
}

/// The answer to a call that waits: comments until its own begins, which follows. One that is an error is the last event
/// of the stream, as its status is told already.
pub(super) fn begin(answering: Answering, dialect: Dialect, each: Duration) -> Response {
    let mut beats = interval(each);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut response = Response::new(Body::new(Beating {
        dialect,
        beats,
        stage: Stage::Waiting(answering),
    }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

struct Beating {
    dialect: Dialect,
    beats: Interval,
    stage: Stage,
}

enum Stage {
    Waiting(Answering),
    Failing(Pin<Box<dyn Future<Output = Bytes> + Send>>),
    Answered(Body),
    Over,
}

impl http_body::Body for Beating {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        loop {
            match &mut this.stage {
                Stage::Waiting(answering) => match answering.as_mut().poll(cx) {
                    Poll::Ready(answer) => this.stage = Stage::of(answer, this.dialect),
                    Poll::Pending => {
                        ready!(this.beats.poll_tick(cx));
                        return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(COMMENT)))));
                    }
                },
                Stage::Failing(event) => {
                    let event = ready!(event.as_mut().poll(cx));
                    this.stage = Stage::Over;
                    return Poll::Ready(Some(Ok(Frame::data(event))));
                }
                Stage::Answered(body) => return Pin::new(body).poll_frame(cx),
                Stage::Over => return Poll::Ready(None),
            }
        }
    }
}

impl Stage {
    fn of(answer: Result<Response, Refusal>, dialect: Dialect) -> Self {
        let answer = match answer {
            Ok(answer) => answer,
            Err(refusal) => {
                let (status, kind) = refusal.kind();
                let event = last_event(dialect, kind, status, &refusal.to_string());
                return Stage::Failing(Box::pin(async { event }));
            }
        };
        let is_stream = answer.headers().get(CONTENT_TYPE);
        let is_stream = is_stream.is_some_and(|kind| {
            let begin = kind.as_bytes().get(..STREAM.len());
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(STREAM))
        });
        if is_stream && answer.status().is_success() {
            return Stage::Answered(answer.into_body());
        }
        Stage::Failing(Box::pin(error_of(answer, dialect)))
    }
}

/// An answer that is an error, as the last event.
async fn error_of(answer: Response, dialect: Dialect) -> Bytes {
    let (parts, body) = answer.into_parts();
    if let Some(rejection) = parts.extensions.get::<Rejection>() {
        return last_event(
            dialect,
            rejection.kind(),
            parts.status,
            &rejection.to_string(),
        );
    }
    let mut meter = Meter::new(dialect, parts.status, &parts.headers);
    // Nothing more is sent to keep it alive: it is not waited for long.
    let read = timeout(ERROR_IN, Limited::new(body, ERROR_CAP).collect()).await;
    if let Ok(Ok(read)) = read {
        meter.push(&read.to_bytes());
    }
    let error = meter.reading().error;
    let message = error.map_or_else(
        || format!("the answer is {}, and no stream", parts.status),
        |error| error.message,
    );
    last_event(dialect, "upstream_error", parts.status, &message)
}

fn last_event(dialect: Dialect, kind: &str, status: StatusCode, message: &str) -> Bytes {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    let meter = Meter::new(dialect, StatusCode::OK, &headers);
    meter.last_event(kind, status, message).unwrap_or_default()
}

impl fmt::Debug for Beating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beating")
            .field("dialect", &self.dialect)
            .finish_non_exhaustive()
    }
}
