//! What answers tell of their calls, in headers.

use std::{fmt::Write as _, pin::pin, time::Duration};

use axum::{body::Body, response::Response};
use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio::time::sleep;

use crate::{
    limit::Quantity,
    limiter::{Limiter, Progress},
    money::Money,
    retry::{Attempts, Outcome},
    store::Settlement,
    wire::Dialect,
};

const CALL: HeaderName = HeaderName::from_static("x-quota-call");
const PROVIDER: HeaderName = HeaderName::from_static("x-quota-provider");
const MODEL: HeaderName = HeaderName::from_static("x-quota-model");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-quota-attempts");
const WAIT: HeaderName = HeaderName::from_static("x-quota-wait");
const COST: HeaderName = HeaderName::from_static("x-quota-cost");
const REMAINING: HeaderName = HeaderName::from_static("x-quota-remaining");

/// Longer answers are not awaited for their cost.
const WHOLE: usize = 1 << 20;

/// Nor are those that take longer to come: they may be kept alive by what comes now and then.
const WHOLE_IN: Duration = Duration::from_secs(1);

/// What is known before the answer ends.
pub(super) fn tell(response: &mut Response, progress: &Progress) {
    let attempts = response.extensions().get::<Attempts>().cloned();
    let headers = response.headers_mut();
    headers.insert(CALL, progress.id().into());
    let waited = (progress.waited().as_micros() + 500) / 1_000;
    put(
        headers,
        WAIT,
        format!("{}.{:03}", waited / 1_000, waited % 1_000),
    );
    let Some(attempts) = attempts else {
        return;
    };
    let sent = attempts.made.iter();
    let mut sent = sent.filter(|made| !matches!(made.outcome, Outcome::Refused { .. }));
    headers.insert(ATTEMPTS, sent.clone().count().into());
    if let Some(last) = sent.next_back() {
        let target = [
            (PROVIDER, &last.target.provider),
            (MODEL, &last.target.model),
        ];
        for (name, value) in target {
            if let Some(value) = value {
                put(headers, name, value.to_string());
            }
        }
    }
}

/// What is left for the next call like the one that was sent, as a list: `requests=41, tokens=90000, cost=4.98`.
fn tell_remaining(headers: &mut HeaderMap, progress: &Progress, limiter: &Limiter) {
    let sent = progress.last_sent();
    let Some(remaining) = sent.and_then(|tags| limiter.remaining(&tags)) else {
        return;
    };
    let mut said = String::with_capacity(64);
    for (quantity, left) in remaining.iter() {
        let between = if said.is_empty() { "" } else { ", " };
        // Nothing fails that is written into a text.
        let _ = match quantity {
            Quantity::Cost => {
                let left = Money::from_nanos(left).decimal();
                write!(said, "{between}{quantity}={left}")
            }
            _ => write!(said, "{between}{quantity}={left}"),
        };
    }
    if !said.is_empty() {
        put(headers, REMAINING, said);
    }
}

/// A model may have any name; one that cannot be in a header is left out.
fn put(headers: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// An answer that is whole, with what it cost and what is left then. A stream, what is long, what comes slowly, and what no API
/// is known of, is handed on as it comes: what it cost is known when it ends, and its headers have left by then; what is left is
/// what is not reserved.
pub(super) async fn with_cost(
    mut response: Response,
    (progress, dialect): (&Progress, Dialect),
    limiter: &Limiter,
) -> Result<Response, axum::Error> {
    let is_json = response.headers().get(CONTENT_TYPE);
    let is_json = is_json.is_some_and(|kind| {
        let kind = kind.as_bytes().split(|byte| *byte == b';').next();
        kind.is_some_and(|kind| kind.trim_ascii() == b"application/json")
    });
    let length = response.body().size_hint();
    let is_short = length.lower() <= WHOLE as u64 && length.exact() != Some(0);
    // A list in JSON may be a stream, too.
    let is_whole = is_json && dialect != Dialect::Generic && progress.streams() == Some(false);
    if !is_whole || !is_short || !response.status().is_success() {
        tell_remaining(response.headers_mut(), progress, limiter);
        return Ok(response);
    }
    let (mut parts, mut body) = response.into_parts();
    let mut read = BytesMut::new();
    let mut late = pin!(sleep(WHOLE_IN));
    loop {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => Some(frame),
            () = &mut late => None,
        };
        let is_late = frame.is_none();
        match frame {
            Some(None) => break,
            Some(Some(frame)) => {
                // Trailers are left out: nobody who speaks these APIs has any.
                let data = frame?.into_data().unwrap_or_default();
                // Nearly always the only one. It is copied, as it may hold much more that was read with it.
                read.extend_from_slice(&data);
            }
            None => {}
        }
        if is_late || read.len() > WHOLE {
            tell_remaining(&mut parts.headers, progress, limiter);
            let body = Body::new(Behind {
                first: (!read.is_empty()).then(|| read.freeze()),
                body,
            });
            return Ok(Response::from_parts(parts, body));
        }
    }
    if let Some(Settlement::Usage(usage)) = progress.settled()
        && let Some(cost) = usage.cost
    {
        put(&mut parts.headers, COST, cost.decimal().to_string());
    }
    tell_remaining(&mut parts.headers, progress, limiter);
    parts.headers.insert(CONTENT_LENGTH, read.len().into());
    Ok(Response::from_parts(parts, Body::from(read.freeze())))
}

/// A body whose first bytes were read already.
#[derive(Debug)]
struct Behind {
    first: Option<Bytes>,
    body: Body,
}

impl http_body::Body for Behind {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        match self.first.take() {
            Some(first) => std::task::Poll::Ready(Some(Ok(http_body::Frame::data(first)))),
            None => std::pin::Pin::new(&mut self.body).poll_frame(cx),
        }
    }
}
